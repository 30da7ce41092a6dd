/** Loss and accuracy over an evaluation split, without gradients or dropout. */
import type { BatchShape } from '../data/index.ts';
import { Graph } from '../graph/graph.ts';
import { Plan } from '../graph/plan.ts';
import type { LossProgram, Objective } from '../objectives/index.ts';

/** What an evaluation gives. */
export interface Evaluation {
  /** Mean −log p over all targets, natural logarithm. */
  readonly loss: number;
  /** Share of targets that had the largest logit. */
  readonly accuracy: number;
  /** Number of targets. */
  readonly targets: number;
}

/** Adds up losses and hits in row order, in f64. */
export async function addResults<Batch>(
  plan: Plan,
  program: LossProgram<Batch>,
): Promise<{ loss: number; correct: number }> {
  const losses = await plan.readRegion(program.losses);
  const hits = await plan.readRegion(program.correct);
  let loss = 0;
  let correct = 0;
  for (let row = 0; row < program.rows; row++) {
    loss += losses[row]!;
    correct += hits[row]!;
  }
  return { loss, correct };
}

/** A compiled evaluation; `run` may be called as the weights change. */
export class Evaluator<Batch> {
  readonly #plan: Plan;
  readonly #program: LossProgram<Batch>;

  private constructor(plan: Plan, program: LossProgram<Batch>) {
    this.#plan = plan;
    this.#program = program;
  }

  static async create<Batch>(objective: Objective<Batch>, shape: BatchShape): Promise<Evaluator<Batch>> {
    const graph = new Graph(objective.model.blocks);
    const program = objective.record(graph, shape);
    return new Evaluator(await Plan.compile(objective.model.engine, graph, 'evaluation'), program);
  }

  async run(batches: Iterable<Batch>, signal?: AbortSignal): Promise<Evaluation> {
    let [loss, correct, targets] = [0, 0, 0];
    for (const batch of batches) {
      signal?.throwIfAborted();
      targets += this.#program.count(batch);
      this.#program.write(this.#plan, batch);
      await this.#plan.run();
      const sums = await addResults(this.#plan, this.#program);
      loss += sums.loss;
      correct += sums.correct;
    }
    return { loss: loss / targets, accuracy: correct / targets, targets };
  }

  dispose(): void {
    this.#plan.dispose();
  }
}

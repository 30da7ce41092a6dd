/** What a training run needs of linear memory, computed before anything is allocated, and what would fit instead. */
import type { BatchShape } from '../data/index.ts';
import { MemoryError } from '../errors.ts';
import { Graph } from '../graph/graph.ts';
import { measurePlan, type PlanBytes } from '../graph/plan.ts';
import type { Region } from '../graph/tensor.ts';
import type { Objective } from '../objectives/index.ts';
import { align, FIRST_FREE_ADDRESS, MEMORY_LIMIT_BYTES } from '../runtime/allocator.ts';
import { recordStep, type StepOptions } from './step.ts';

/** What the engine can give out. */
const AVAILABLE_BYTES = MEMORY_LIMIT_BYTES - align(FIRST_FREE_ADDRESS);

/** Bytes of linear memory that a training run takes. */
export interface TrainingBytes {
  /** Of what is trained. */
  readonly weights: number;
  /** Of the weights that stay as they are: those of a model with adapters. */
  readonly frozen: number;
  readonly gradients: number;
  readonly moments: number;
  readonly plan: PlanBytes;
  /** Of the plan that evaluates; 0 without evaluation. */
  readonly evaluation: number;
  readonly total: number;
}

export interface TrainingBytesOptions extends StepOptions {
  /** Whether the data has an evaluation split. Default true. */
  readonly evaluation?: boolean;
}

/**
 * Bytes of a run with this batch and context; nothing is allocated. The objective's model may be a blueprint.
 * @param objective what is minimised
 * @param shape the batch
 * @param threads as the engine has; each needs scratch memory
 * @param options `clip` and `weightDecay` of the run, and whether there is an evaluation split
 * @returns bytes by their purpose, and their sum
 * @example
 * const { total } = trainingBytes(causalLanguageModel(model), { batchSize: 8, length: 64 }, 1, { clip: 1, weightDecay: 0.1 });
 */
export function trainingBytes<Batch>(
  objective: Objective<Batch>,
  shape: BatchShape,
  threads: number,
  options: TrainingBytesOptions,
): TrainingBytes {
  checkObjective(objective, 'trainingBytes');
  const weights = objective.model.parameters.blockSize * 4;
  const placeholder = (label: string): Region => ({ label, bytes: weights, address: undefined });
  const { graph } = recordStep(objective, shape, placeholder('gradients'), placeholder('m'), placeholder('v'), options);
  const frozen = graph.parameters.frozen?.weights.bytes ?? 0;
  const plan = measurePlan(graph, threads);
  const evaluation = options.evaluation === false ? 0 : evaluationBytes(objective, shape, threads);
  const total = frozen + 4 * weights + plan.total + evaluation;
  return { weights, frozen, gradients: weights, moments: 2 * weights, plan, evaluation, total };
}

/** @throws TypeError for a model in the place of an objective, which is what a trainer took in earlier versions */
export function checkObjective(objective: Objective<never>, where: string): void {
  if (typeof objective?.record !== 'function' || !objective.model)
    throw new TypeError(
      `${where}: expected an objective, got ${objective && 'body' in objective ? 'a model. Pass causalLanguageModel(model)' : `${typeof objective}. Pass one, such as causalLanguageModel(model)`}.`,
    );
}

function evaluationBytes<Batch>(objective: Objective<Batch>, shape: BatchShape, threads: number): number {
  const graph = new Graph(objective.model.blocks);
  objective.record(graph, shape);
  return measurePlan(graph, threads).total;
}

/**
 * Refuses a run that 4 GiB do not hold.
 * @throws MemoryError with the size asked, the limit, and the largest batch and context that would fit
 */
export function checkTrainingFits<Batch>(
  objective: Objective<Batch>,
  shape: BatchShape,
  threads: number,
  options: TrainingBytesOptions,
): void {
  // At once, since recording thousands of layers takes minutes.
  const { model } = objective;
  const frozen = model.blocks.frozen?.weights.bytes ?? 0;
  const blocks = frozen + model.parameters.blockSize * 4 * 4;
  if (blocks >= AVAILABLE_BYTES)
    throw new MemoryError(
      `train: expected at most ${mebibytes(MEMORY_LIMIT_BYTES)} MiB, got ${mebibytes(blocks)} MiB for weights, gradients and moments alone. No batch fits: use a smaller model.`,
      blocks,
      MEMORY_LIMIT_BYTES,
    );
  const bytes = (batchSize: number, length: number) =>
    trainingBytes(objective, { batchSize, length }, threads, options).total;
  const asked = bytes(shape.batchSize, shape.length);
  if (asked <= AVAILABLE_BYTES) return;
  const fits = (batchSize: number, length: number) => bytes(batchSize, length) <= AVAILABLE_BYTES;
  const batchSize = largest(shape.batchSize - 1, (candidate) => fits(candidate, shape.length));
  const length = largest(shape.length - 1, (candidate) => fits(shape.batchSize, candidate));
  const single = largest(shape.length, (candidate) => fits(1, candidate));
  const choices = [
    batchSize > 0 && `batch ${batchSize} with context ${shape.length}`,
    length > 0 && `batch ${shape.batchSize} with context ${length}`,
    batchSize === 0 && single > 0 && `batch 1 with context ${single}`,
  ].filter(Boolean);
  const advice = choices.length > 0 ? `What fits: ${choices.join(', or ')}.` : 'No batch fits: use a smaller model.';
  throw new MemoryError(
    `train: expected at most ${mebibytes(MEMORY_LIMIT_BYTES)} MiB, got ${mebibytes(asked)} MiB for batch ${shape.batchSize} with context ${shape.length}. ${advice}`,
    asked,
    MEMORY_LIMIT_BYTES,
  );
}

/** The largest n in 1…most for which `holds`, 0 when there is none; `holds` is true up to a point. */
function largest(most: number, holds: (n: number) => boolean): number {
  let low = 0;
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

function mebibytes(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toLocaleString('en-US');
}

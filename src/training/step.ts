/**
 * A training step as one plan:  zero | loss | update.  `zero` clears the gradients, `loss` runs forward and backward
 * and adds to them, `update` clips and applies AdamW. One batch per update runs all three in one call;
 * with accumulation `loss` runs once for each batch.
 */
import { HYPER_COUNT } from '../abi/index.ts';
import type { BatchShape } from '../data/index.ts';
import type { DropoutSource } from '../graph/ops/dropout.ts';
import { fill } from '../graph/ops/fill.ts';
import { optimizerStep } from '../graph/ops/optimizer.ts';
import type { Region } from '../graph/tensor.ts';
import { TrainingGraph } from '../graph/training-graph.ts';
import type { LossProgram, Objective } from '../objectives/index.ts';

export interface StepOptions {
  readonly clip: number;
  readonly weightDecay: number;
}

export interface RecordedStep<Batch> {
  readonly graph: TrainingGraph;
  readonly program: LossProgram<Batch>;
  /** u32[3]: seed low, seed high, number of the forward pass. */
  readonly dropoutSeed: Region;
  /** f32[HYPER_COUNT]. */
  readonly hyper: Region;
  /** f32[2]: gradient norm before clipping, factor applied. */
  readonly norm: Region;
}

export function recordStep<Batch>(
  objective: Objective<Batch>,
  shape: BatchShape,
  gradients: Region,
  m: Region,
  v: Region,
  options: StepOptions,
): RecordedStep<Batch> {
  const graph = new TrainingGraph(objective.model.blocks, gradients);
  const dropoutSeed = graph.region('dropout seed', 3);
  let streams = 0;
  const dropoutSource: DropoutSource = { seed: dropoutSeed, nextStream: () => streams++ };
  graph.section('zero');
  fill(graph, 'zero gradients', gradients, 0);
  graph.section('loss');
  const program = objective.record(graph, shape, dropoutSource);
  graph.backward();
  graph.section('update');
  const hyper = graph.region('hyperparameters', HYPER_COUNT);
  const norm = graph.region('gradient norm', 2);
  optimizerStep(graph, { m, v, hyper, norm }, options);
  return { graph, program, dropoutSeed, hyper, norm };
}

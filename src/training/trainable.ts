/** What a trainer needs of a model, and of data: something with parameters and a loss, and batches of some type for it. */
import type { Directory } from '../files/index.ts';
import type { Graph, ParameterBlocks } from '../graph/graph.ts';
import type { DropoutSource } from '../graph/ops/dropout.ts';
import type { ParameterTable } from '../graph/parameters.ts';
import { type LanguageModel, type LossProgram, type LossShape, languageModelProgram } from '../models/loss.ts';
import type { Engine } from '../runtime/engine.ts';

/** A model that can be trained. */
export interface Trainable<Batch> {
  readonly engine: Engine;
  readonly parameters: ParameterTable;
  /** The longest sequence the model takes. */
  readonly config: { readonly blockSize: number };
  /** What graphs over the model's weights read. */
  readonly blocks: ParameterBlocks;
  /** Records the loss on fixed batches. Absent: the model is a LanguageModel, and its loss that of one. */
  recordLoss?(graph: Graph, shape: LossShape, dropoutSource?: DropoutSource): LossProgram<Batch>;
  save(directory: Directory, options?: { tokenizer?: { toJSON(): object } }): Promise<void>;
  restore(directory: Directory): Promise<void>;
  /** What a run depends on beside `config`, such as weights that are not trained; a checkpoint of another is not resumed. */
  identity?(): Promise<Readonly<Record<string, string | number | boolean>>>;
}

/** What recording needs of a model. */
export type Recordable<Batch> = Pick<Trainable<Batch>, 'blocks' | 'recordLoss'>;

/** Records the loss of a model on fixed batches. */
export function recordLoss<Batch>(
  model: Recordable<Batch>,
  graph: Graph,
  shape: LossShape,
  dropoutSource?: DropoutSource,
): LossProgram<Batch> {
  if (model.recordLoss) return model.recordLoss(graph, shape, dropoutSource);
  const program: unknown = languageModelProgram(model as unknown as LanguageModel, graph, shape, dropoutSource);
  return program as LossProgram<Batch>;
}

/** Where a training batch comes from: the same arguments give the same batch, so that a run can be resumed. */
export interface BatchRequest extends LossShape {
  readonly seed: number;
  /** Counts forward passes from 0. */
  readonly index: number;
}

/** Data as batches. */
export interface Dataset<Batch> {
  /** The batch of one forward pass. */
  batch(request: BatchRequest): Batch;
  /** All of the evaluation split, each target once; undefined when there is no such split. */
  evaluation?(shape: LossShape): Iterable<Batch>;
  /** Changes when the data changes; a run resumes only on the data it started with. */
  readonly fingerprint: string;
}

/**
 * What is minimised: an objective has a model, and records the loss of that model on batches of one type. The trainer depends on
 * objectives, never on tasks.
 */
import type { BatchShape } from '../data/index.ts';
import type { Directory } from '../files/index.ts';
import type { Graph, ParameterBlocks } from '../graph/graph.ts';
import type { DropoutSource } from '../graph/ops/dropout.ts';
import type { LossInputs } from '../graph/ops/loss.ts';
import type { ParameterTable } from '../graph/parameters.ts';
import type { Plan } from '../graph/plan.ts';
import type { Engine } from '../runtime/engine.ts';

/** What training needs of a model. Every `Model` is one. */
export interface TrainableModel {
  readonly engine: Engine;
  readonly parameters: ParameterTable;
  /** The options of the model, which a checkpoint stores: among them the longest sequence, tokens. */
  readonly config: { readonly blockSize: number };
  /** What graphs over the model's weights read. */
  readonly blocks: ParameterBlocks;
  save(directory: Directory, options?: { tokenizer?: { toJSON(): object } }): Promise<void>;
  restore(directory: Directory): Promise<void>;
  /** What a run depends on beside `config`, such as frozen weights: a checkpoint with another identity is not resumed. */
  identity(): Promise<Readonly<Record<string, string | number | boolean>>>;
}

/** A recorded loss: where to put a batch, and where its results stand. */
export interface LossProgram<Batch> extends LossInputs {
  /** Rows whose losses and hits `losses` and `correct` hold. */
  readonly rows: number;
  /** The number of targets in a batch that are predicted. */
  count(batch: Batch): number;
  /** Checks a batch and writes it. A training run also reads `scale`. */
  write(plan: Plan, batch: Batch): void;
}

/** A loss of a model on batches of one type. */
export interface Objective<Batch> {
  /** What is trained. */
  readonly model: TrainableModel;
  /**
   * Records the loss of fixed batches on `graph`, and in a training graph its gradients.
   * @param dropoutSource absent: no dropout
   */
  record(graph: Graph, shape: BatchShape, dropoutSource?: DropoutSource): LossProgram<Batch>;
}

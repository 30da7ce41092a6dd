/** Batches of training data, whatever is in them. */

/** The size of a batch. */
export interface BatchShape {
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
}

/** Where a training batch comes from: the same arguments give the same batch, so that a run can be resumed. */
export interface BatchRequest extends BatchShape {
  readonly seed: number;
  /** Counts forward passes from 0. */
  readonly index: number;
}

/** Data as batches. */
export interface Dataset<Batch> {
  /** The batch of one forward pass. */
  batch(request: BatchRequest): Batch;
  /** All of the evaluation split, each target once; undefined when there is no such split. */
  evaluation?(shape: BatchShape): Iterable<Batch>;
  /** Changes when the data changes; a run resumes only on the data it started with. */
  readonly fingerprint: string;
}

/** One sequence of a batch: `targets[i]` is what follows `tokens[i]`; a negative target is not predicted. */
export interface TokenSequence {
  readonly tokens: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
}

/** A batch of token sequences. */
export type TokenBatch = readonly TokenSequence[];

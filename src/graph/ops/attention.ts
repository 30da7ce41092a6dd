/** Scaled dot-product attention over several heads (Vaswani et al. 2017, §3.2) without a cache: training and scoring. */

import * as op from '../../abi/index.ts';
import { ConfigError } from '../../errors.ts';
import { attentionScratchBytes } from '../attention-scratch.ts';
import type { FieldValue, Graph } from '../graph.ts';
import { maxOf, type Tensor } from '../tensor.ts';
import { type HeadOptions, headsOf, type QueryKeyValue, type Segments } from './attention-heads.ts';
import { type DropoutSource, dropoutWords } from './dropout.ts';

export interface AttentionOptions extends HeadOptions {
  /** Whether rows see only themselves and earlier rows. A window needs it. */
  readonly causal: boolean;
  /** Share of the attention weights that is set to 0. */
  readonly dropout: number;
  readonly dropoutSource?: DropoutSource | undefined;
}

/**
 * Queries, keys and values → [rows, heads · headSize]; each segment attends within itself. No T×T matrix is kept: the backward pass
 * recomputes it from each row's log-sum-exp (Dao et al. 2022).
 * @throws ShapeError, ConfigError when the options do not fit the tensors, or each other
 */
export function attention(
  graph: Graph,
  label: string,
  inputs: QueryKeyValue,
  segments: Segments,
  options: AttentionOptions,
): Tensor {
  const { causal, dropoutSource } = options;
  const { heads, headSize, window, fields } = headsOf(label, inputs, segments, options);
  if (window > 0 && !causal)
    throw new ConfigError(
      `${label}: expected causal attention with a window, got bidirectional. Leave out the window, or set causal.`,
    );
  const { query, key, value } = inputs;
  const { rows } = query;
  const out = graph.activation(
    label,
    rows,
    query.cols,
    [query, key, value].some(({ requiresGrad }) => requiresGrad),
  );
  const lse = graph.activation(`${label} lse`, rows, heads);
  const { threshold, scale } = dropoutWords(options.dropout);
  const dropout: [number, FieldValue][] =
    dropoutSource && options.dropout > 0
      ? [
          [op.ATTENTION_DROPOUT_THRESHOLD, threshold],
          [op.ATTENTION_DROPOUT_SCALE, scale],
          [op.ATTENTION_SEED, dropoutSource.seed],
          [op.ATTENTION_STREAM, dropoutSource.nextStream()],
        ]
      : [];
  graph.record({
    opcode: op.OP_ATTENTION,
    label,
    output: out,
    fields: [
      [op.ATTENTION_OUT, out],
      ...fields,
      [op.ATTENTION_FLAGS, causal ? op.FLAG_CAUSAL : 0],
      [op.ATTENTION_LSE, lse],
      ...dropout,
    ],
    scratchBytes: attentionScratchBytes(segments.maxLength, headSize),
    flops: attentionFlops(maxOf(rows), segments.maxLength, query.cols, causal, window),
  });
  return out;
}

/** Two matrix products of 2 · rows · keys · C, forward: over all rows of a sequence, half of them with `causal`, or its window. */
export function attentionFlops(rows: number, maxLength: number, width: number, causal: boolean, window = 0): number {
  const seen = window > 0 ? Math.min(window, maxLength) : maxLength;
  return 4 * width * rows * (causal ? seen * (1 - seen / (2 * maxLength)) : maxLength);
}

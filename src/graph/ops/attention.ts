/** Scaled dot-product attention over several heads (Vaswani et al. 2017, §3.2) without a cache: training and scoring. */

import * as op from '../../abi/index.ts';
import { attentionScratchBytes } from '../attention-scratch.ts';
import { type FieldValue, f32Word, type Graph } from '../graph.ts';
import { maxOf, type Tensor } from '../tensor.ts';
import { headSizeOf, type Segments } from './cached-attention.ts';
import { type DropoutSource, dropoutWords } from './dropout.ts';

export interface AttentionOptions {
  readonly heads: number;
  readonly causal: boolean;
  readonly dropout: number;
  readonly dropoutSource?: DropoutSource | undefined;
}

/**
 * qkv [rows, 3·C] → [rows, C]; each segment attends within itself. No T×T matrix is kept: the backward pass
 * recomputes it from each row's log-sum-exp (Dao et al. 2022).
 */
export function attention(
  graph: Graph,
  label: string,
  qkv: Tensor,
  segments: Segments,
  options: AttentionOptions,
): Tensor {
  const { heads, causal, dropoutSource } = options;
  const headSize = headSizeOf(label, qkv, heads);
  const width = heads * headSize;
  const out = graph.activation(label, qkv.rows, width, qkv.requiresGrad);
  const lse = graph.activation(`${label} lse`, qkv.rows, heads);
  const dropped = dropoutSource && options.dropout > 0;
  const { threshold, scale } = dropoutWords(options.dropout);
  const fields: [number, FieldValue][] = [
    [op.ATTENTION_QKV, qkv],
    [op.ATTENTION_LSE, lse],
    [op.ATTENTION_SEGMENTS, segments.table],
    [op.ATTENTION_SEGMENT_COUNT, segments.count],
    [op.ATTENTION_HEADS, heads],
    [op.ATTENTION_HEAD_SIZE, headSize],
    [op.ATTENTION_SCALE, f32Word(1 / Math.sqrt(headSize))],
    [op.ATTENTION_FLAGS, causal ? op.FLAG_CAUSAL : 0],
  ];
  if (dropped)
    fields.push(
      [op.ATTENTION_DROPOUT_THRESHOLD, threshold],
      [op.ATTENTION_DROPOUT_SCALE, scale],
      [op.ATTENTION_SEED, dropoutSource.seed],
      [op.ATTENTION_STREAM, dropoutSource.nextStream()],
    );
  const scratchBytes = attentionScratchBytes(segments.maxLength, headSize);
  const flops = attentionFlops(maxOf(qkv.rows), segments.maxLength, width, causal);
  graph.record({
    opcode: op.OP_ATTENTION,
    label,
    output: out,
    fields: [[op.ATTENTION_OUT, out], ...fields],
    scratchBytes,
    flops,
  });
  return out;
}

/** Causal half of the T×T products: two matrix products of 2·T²·C each, forward. */
export function attentionFlops(rows: number, maxLength: number, width: number, causal: boolean): number {
  return 4 * rows * maxLength * width * (causal ? 0.5 : 1);
}

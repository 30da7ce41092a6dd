/** Scaled dot-product attention over several heads (Vaswani et al. 2017, §3.2) with a key-value cache: generating. */

import * as op from '../../abi/index.ts';
import { attentionScratchBytes } from '../attention-scratch.ts';
import type { FieldValue, Graph } from '../graph.ts';
import type { Tensor } from '../tensor.ts';
import { type HeadOptions, headsOf, type QueryKeyValue, type Segments } from './attention-heads.ts';

/** What a cache keeps keys and values as. */
export type CacheDtype = 'f32' | 'bf16';

/** One layer's cache of keys and values, for some sequences of up to `capacity` positions (a multiple of 8). */
export interface LayerCache {
  readonly tensor: Tensor;
  readonly capacity: number;
  readonly dtype: CacheDtype;
}

/** Bytes of keys and values of one position of one layer. In bf16 keys have whole runs of four heads. */
export function cacheBytes(dtype: CacheDtype, keyValueHeads: number, headSize: number): number {
  const heads = keyValueHeads;
  return (dtype === 'bf16' ? 2 * (Math.ceil(heads / 4) * 4 + heads) : 8 * heads) * headSize;
}

/** Appends the rows' keys and values to the cache, then attends to everything their sequences hold there: [rows, heads · headSize]. */
export function cachedAttention(
  graph: Graph,
  label: string,
  inputs: QueryKeyValue,
  cache: LayerCache,
  segments: Segments,
  options: HeadOptions,
): Tensor {
  const { heads, keyValueHeads, headSize, fields } = headsOf(label, inputs, segments, options);
  const { query } = inputs;
  const all: [number, FieldValue][] = [
    ...fields.map(([word, value]): [number, FieldValue] => [word, value]),
    [op.ATTENTION_CACHE, cache.tensor],
    [op.ATTENTION_CAPACITY, cache.capacity],
    [op.ATTENTION_ENCODING, cache.dtype === 'bf16' ? op.ENCODING_BF16 : op.ENCODING_F32],
  ];
  const without = (...words: number[]) => all.filter(([word]) => !words.includes(word));
  graph.record({
    opcode: op.OP_CACHE_APPEND,
    label: `${label} append`,
    fields: without(op.ATTENTION_Q, op.ATTENTION_LDQ),
  });
  const out = graph.activation(label, query.rows, query.cols);
  graph.record({
    opcode: op.OP_ATTENTION_CACHED,
    label,
    fields: [[op.ATTENTION_OUT, out], ...without(op.ATTENTION_K, op.ATTENTION_LDK, op.ATTENTION_V, op.ATTENTION_LDV)],
    scratchBytes: attentionScratchBytes(cache.capacity, headSize, heads / keyValueHeads),
  });
  return out;
}

/** Scaled dot-product attention over several heads (Vaswani et al. 2017, §3.2) with a key-value cache: generating. */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { attentionScratchBytes } from '../attention-scratch.ts';
import { f32Word, type Graph } from '../graph.ts';
import { type Extent, type Region, shapeOf, type Tensor } from '../tensor.ts';

/** Which rows belong to the same sequence: i32[count][SEGMENT_WORDS] and how many there are. */
export interface Segments {
  readonly table: Region;
  readonly count: Extent;
  /** The most rows that a segment has, or positions that a cached sequence has. */
  readonly maxLength: number;
}

/** The size of a head by the width of its queries, keys and values. */
export function headSizeOf(label: string, qkv: Tensor, heads: number): number {
  const headSize = qkv.cols / (3 * heads);
  if (!Number.isInteger(headSize))
    throw new ShapeError(label, `qkv of ${heads} heads`, ['rows', `a multiple of ${3 * heads}`], shapeOf(qkv));
  return headSize;
}

/** What a cache keeps keys and values as. */
export type CacheDtype = 'f32' | 'bf16';

/** One layer's cache of keys and values, for some sequences of up to `capacity` positions (a multiple of 8). */
export interface LayerCache {
  readonly tensor: Tensor;
  readonly capacity: number;
  readonly dtype: CacheDtype;
}

/** Bytes of keys and values of one position of one layer. In bf16 keys have whole runs of four heads. */
export function cacheBytes(dtype: CacheDtype, heads: number, headSize: number): number {
  return (dtype === 'bf16' ? 2 * (Math.ceil(heads / 4) * 4 + heads) : 8 * heads) * headSize;
}

/** Appends the rows' keys and values to the cache, then attends to everything their sequences hold there. */
export function cachedAttention(
  graph: Graph,
  label: string,
  qkv: Tensor,
  cache: LayerCache,
  segments: Segments,
  heads: number,
): Tensor {
  const headSize = headSizeOf(label, qkv, heads);
  const encoding = cache.dtype === 'bf16' ? op.ENCODING_BF16 : op.ENCODING_F32;
  graph.record({
    opcode: op.OP_CACHE_APPEND,
    label: `${label} append`,
    fields: [
      [op.CACHE_APPEND_CACHE, cache.tensor],
      [op.CACHE_APPEND_QKV, qkv],
      [op.CACHE_APPEND_SEGMENTS, segments.table],
      [op.CACHE_APPEND_SEGMENT_COUNT, segments.count],
      [op.CACHE_APPEND_HEADS, heads],
      [op.CACHE_APPEND_HEAD_SIZE, headSize],
      [op.CACHE_APPEND_CAPACITY, cache.capacity],
      [op.CACHE_APPEND_ENCODING, encoding],
    ],
  });
  const width = heads * headSize;
  const out = graph.activation(label, qkv.rows, width);
  graph.record({
    opcode: op.OP_ATTENTION_CACHED,
    label,
    fields: [
      [op.ATTENTION_CACHED_OUT, out],
      [op.ATTENTION_CACHED_QKV, qkv],
      [op.ATTENTION_CACHED_CACHE, cache.tensor],
      [op.ATTENTION_CACHED_SEGMENTS, segments.table],
      [op.ATTENTION_CACHED_SEGMENT_COUNT, segments.count],
      [op.ATTENTION_CACHED_HEADS, heads],
      [op.ATTENTION_CACHED_HEAD_SIZE, headSize],
      [op.ATTENTION_CACHED_SCALE, f32Word(1 / Math.sqrt(headSize))],
      [op.ATTENTION_CACHED_CAPACITY, cache.capacity],
      [op.ATTENTION_CACHED_ENCODING, encoding],
    ],
    scratchBytes: attentionScratchBytes(cache.capacity, headSize),
  });
  return out;
}

/**
 * The key-value cache of OP_CACHE_APPEND and OP_ATTENTION_CACHED. One layer's cache, C = heads · headSize:
 *
 *   slot s, one sequence: 2 · capacity · C floats
 *   ┌─────────────────────────────────────────────┬──────────────────────────────────────┐
 *   │ K [heads][capacity / 8][headSize][8]        │ V [heads][capacity][headSize]        │
 *   └─────────────────────────────────────────────┴──────────────────────────────────────┘
 *     panels, as head.ts wants them                 read in place, column groups of rows headSize apart
 *
 * Appending a row touches its own lane of a panel; nothing is moved. Positions that hold nothing yet may hold anything.
 */
import * as op from '../../src/graph/opcodes';
import { float, ptr, scratch, shareStart, size, word } from '../descriptor';
import { attendBlock } from './block';
import { endOfHead, openHead, packValues } from './forward';
import { BLOCK_ROWS, costOfRows, costStart, rowAtCost, segment } from './head';
import { copyRow } from './pack';

/**
 * cache[slot, position of each row] = the row's keys and values, overwritten; the rest of the cache stays.
 * Threads share the (row, head) pairs.
 */
export function cacheAppend(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const cache = ptr(d, op.CACHE_APPEND_CACHE), qkv = ptr(d, op.CACHE_APPEND_QKV);
  const segments = ptr(d, op.CACHE_APPEND_SEGMENTS), count = size(d, ctx, op.CACHE_APPEND_SEGMENT_COUNT);
  const heads = word(d, op.CACHE_APPEND_HEADS), headSize = word(d, op.CACHE_APPEND_HEAD_SIZE);
  const capacity = word(d, op.CACHE_APPEND_CAPACITY);
  const width = <usize>(heads * headSize) << 2, headBytes = <usize>headSize << 2;

  let pairs = 0;
  for (let s = 0; s < count; s++) pairs += segment(segments, s, op.SEGMENT_ROWS) * heads;
  let from = <i32>shareStart(pairs, 1, thread, threads), to = <i32>shareStart(pairs, 1, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const position = segment(segments, s, op.SEGMENT_POSITION);
    const keyCache = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * 2 * capacity * width;
    const valueCache = keyCache + <usize>capacity * width;
    for (let pair = max(from, 0), end = min(to, rows * heads); pair < end; pair++) {
      const i = pair / heads, h = pair % heads;
      const key = qkv + <usize>(row + i) * 3 * width + width + <usize>h * headBytes;
      const at = position + i;
      let lane = keyCache + <usize>(h * capacity + (at & ~7)) * headBytes + (<usize>(at & 7) << 2);
      for (let j: usize = 0; j < headBytes; j += 4) {
        store<f32>(lane, load<f32>(key + j));
        lane += 32;
      }
      copyRow(valueCache + <usize>(h * capacity + at) * headBytes, key + width, headSize, 1);
    }
    from -= rows * heads;
    to -= rows * heads;
  }
}

/**
 * out[i, h] = attention of row i over positions 0 … position of row i of its sequence in the cache; overwritten.
 * The same bits as OP_ATTENTION with CAUSAL over the whole sequence, however it was cut into calls. Errors: block.ts.
 */
export function attentionCached(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const out = ptr(d, op.ATTENTION_CACHED_OUT), qkv = ptr(d, op.ATTENTION_CACHED_QKV);
  const cache = ptr(d, op.ATTENTION_CACHED_CACHE);
  const segments = ptr(d, op.ATTENTION_CACHED_SEGMENTS), count = size(d, ctx, op.ATTENTION_CACHED_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_CACHED_HEADS), headSize = word(d, op.ATTENTION_CACHED_HEAD_SIZE);
  const capacity = word(d, op.ATTENTION_CACHED_CAPACITY);
  const width = <usize>(heads * headSize) << 2, headBytes = <usize>headSize << 2;

  let total: u64 = 0;
  for (let s = 0; s < count; s++) {
    const rows = segment(segments, s, op.SEGMENT_ROWS), position = segment(segments, s, op.SEGMENT_POSITION);
    total += costOfRows(rows, position + 1, 1) * heads;
  }
  const head = openHead(scratch(ctx), headSize, capacity, float(d, op.ATTENTION_CACHED_SCALE));
  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const firstKeys = segment(segments, s, op.SEGMENT_POSITION) + 1;
    const keyCache = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * 2 * capacity * width;
    const cost = <i64>costOfRows(rows, firstKeys, 1);
    for (let h = 0; h < heads; h++) {
      const first = rowAtCost(from, rows, firstKeys, 1, BLOCK_ROWS);
      const last = rowAtCost(to, rows, firstKeys, 1, BLOCK_ROWS);
      from -= cost;
      to -= cost;
      if (first == last) continue;
      const offset = <usize>h * headBytes;
      const values = keyCache + <usize>capacity * width + <usize>capacity * offset;
      head.keys = keyCache + <usize>capacity * offset;
      if (headSize < 8) {
        packValues(head, endOfHead(head), values, headBytes, firstKeys + last - 1);
      } else {
        head.values = values;
        head.valueGroupStride = 32;
        head.valueStep = headBytes;
        head.valuesLast = headSize & 7 ? values + (<usize>(headSize - 8) << 2) : 0;
      }
      for (let i = first; i < last; i += BLOCK_ROWS) {
        const at = <usize>(row + i);
        attendBlock(
          head,
          out + at * width + offset, width, 0, 0,
          qkv + at * 3 * width + offset, 3 * width,
          min(BLOCK_ROWS, last - i), firstKeys + i, 1,
          0, 0,
        );
      }
    }
  }
}

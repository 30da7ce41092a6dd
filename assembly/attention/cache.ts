/**
 * The key-value cache of OP_CACHE_APPEND and OP_ATTENTION_CACHED. One layer's cache, C = heads · headSize:
 *
 *   slot s, one sequence: 2 · capacity · C floats
 *   ┌─────────────────────────────────────────────┬──────────────────────────────────────┐
 *   │ K [capacity / 8][heads][headSize][8]        │ V [capacity / 8][heads][8][headSize] │
 *   └─────────────────────────────────────────────┴──────────────────────────────────────┘
 *     panels, as head.ts wants them                 8 rows of a head side by side
 *
 * All that a sequence holds of K, and of V, is one run of memory, which decoding reads from front to back: with a run for
 * each head, 128 positions were read at 12 GB/s, where 1,024 were at 23 and memory gives 25.
 * Appending a row touches its own lane of a panel; nothing is moved. Positions that hold nothing yet may hold anything.
 */
import * as op from '../../src/graph/opcodes';
import { float, ptr, scratch, shareStart, size, word } from '../descriptor';
import { attendBlock } from './block';
import { openHead, placeValues } from './forward';
import { BLOCK_ROWS, costOfRows, costStart, Head, rowAtCost, segment } from './head';
import { copyRow, packGroups } from './pack';
import { rowTimesPanels, rowTimesValues } from './row';
import { softmaxRow } from './softmax';

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
      const at = position + i, lanes = <usize>(at & 7), block = <usize>(at & ~7) * width + <usize>h * (headBytes << 3);
      let lane = keyCache + block + (lanes << 2);
      for (let j: usize = 0; j < headBytes; j += 4) {
        store<f32>(lane, load<f32>(key + j));
        lane += 32;
      }
      copyRow(valueCache + block + lanes * headBytes, key + width, headSize, 1);
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
  const head = openHead(scratch(ctx), headSize, capacity, max(heads, BLOCK_ROWS), float(d, op.ATTENTION_CACHED_SCALE));
  head.panelStride = width << 3;
  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const firstKeys = segment(segments, s, op.SEGMENT_POSITION) + 1;
    const keyCache = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * 2 * capacity * width;
    const valueCache = keyCache + <usize>capacity * width;
    const cost = <i64>costOfRows(rows, firstKeys, 1);
    const together = rows < BLOCK_ROWS && headSize >= 8; // no head of so few rows is parted
    let firstHead = heads, lastHead = 0;
    for (let h = 0; h < heads; h++) {
      const first = rowAtCost(from, rows, firstKeys, 1, BLOCK_ROWS);
      const last = rowAtCost(to, rows, firstKeys, 1, BLOCK_ROWS);
      from -= cost;
      to -= cost;
      if (first == last) continue;
      if (together) {
        firstHead = min(firstHead, h);
        lastHead = h + 1;
        continue;
      }
      const offset = <usize>h * headBytes, keys = firstKeys + last - 1;
      head.keys = keyCache + (offset << 3);
      placeValues(head, head.end, keys);
      for (let key = 0; key < keys; key += 8) {
        const block = valueCache + <usize>key * width + (offset << 3);
        packGroups(head.values + (<usize>key << 5), head.valueGroupStride, block, headBytes, min(8, keys - key), headSize);
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
    if (firstHead >= lastHead) continue;
    const offset = <usize>firstHead * headBytes;
    for (let i = 0; i < rows; i++) {
      const at = <usize>(row + i) * width + offset, q = qkv + <usize>(row + i) * 3 * width + offset;
      attendRow(head, out + at, q, keyCache + (offset << 3), valueCache + (offset << 3), lastHead - firstHead, firstKeys + i);
    }
  }
}

/**
 * One row of `heads` heads that stand side by side, all their keys and then all their values: both in the order of memory.
 * The same bits as attendBlock.
 */
function attendRow(head: Head, out: usize, q: usize, keyCache: usize, valueCache: usize, heads: i32, keys: i32): void {
  const headSize = head.headSize, headBytes = <usize>headSize << 2, blockBytes = headBytes << 3;
  for (let key = 0; key < keys; key += 8) {
    let panel = keyCache + <usize>(key >> 3) * head.panelStride, scores = head.scores + (<usize>key << 2), query = q;
    for (let h = 0; h < heads; h++) {
      rowTimesPanels(scores, query, panel, 0, 1, headSize);
      panel += blockBytes;
      scores += head.scoreStride;
      query += headBytes;
    }
  }
  const inverse = head.sumStride - 4; // behind the sums of a head
  for (let h: usize = 0; h < <usize>heads; h++) {
    softmaxRow(head, head.scores + h * head.scoreStride, keys);
    store<f32>(head.sums + h * head.sumStride + inverse, 1 / head.sum);
  }
  const groups = headSize >> 3, rest = headSize & 7, lastGroup = headBytes - 32, lastSums = <usize>groups << 5;
  for (let key = 0; key < keys; key += 8) {
    const visit = min(8, keys - key), resume = key > 0;
    let block = valueCache + <usize>(key >> 3) * head.panelStride, p = head.scores + (<usize>key << 2), sums = head.sums;
    for (let h = 0; h < heads; h++) {
      rowTimesValues(sums, p, block, 32, headBytes, groups, visit, resume);
      if (rest) rowTimesValues(sums + lastSums, p, block + lastGroup, 0, headBytes, 1, visit, resume);
      block += blockBytes;
      p += head.scoreStride;
      sums += head.sumStride;
    }
  }
  for (let sums = head.sums, end = sums + <usize>heads * head.sumStride; sums < end; sums += head.sumStride) {
    const factor = load<f32>(sums + inverse);
    copyRow(out, sums, groups << 3, factor);
    if (rest) copyRow(out + lastGroup, sums + lastSums, 8, factor);
    out += headBytes;
  }
}

/**
 * The key-value cache of OP_CACHE_APPEND and OP_ATTENTION_CACHED. One layer's cache, C = heads · headSize:
 *
 *   slot s, one sequence: 2 · capacity · C floats (or bf16, in blocks of 8 positions of another layout: cache-bf16.ts)
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
import { appendBf16, attendRowBf16, wholeFours, widenBlock } from './cache-bf16';
import { openHead, placeValues } from './forward';
import { BLOCK_ROWS, costOfRows, costStart, Head, rowAtCost, segment } from './head';
import { copyRow, packGroups } from './pack';
import { rowTimesPanels, rowTimesValues } from './row';
import { softmaxHeads, storeHeads } from './softmax-heads';

/** Bytes of the keys of one position. */
// @ts-ignore: decorator
@inline function keyWidthOf(heads: i32, headSize: i32, isBf16: bool): usize {
  return isBf16 ? <usize>(wholeFours(heads) * headSize) << 1 : <usize>(heads * headSize) << 2;
}

/**
 * cache[slot, position of each row] = the row's keys and values, overwritten; the rest of the cache stays.
 * Threads share the (row, head) pairs.
 */
export function cacheAppend(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const cache = ptr(d, op.CACHE_APPEND_CACHE), qkv = ptr(d, op.CACHE_APPEND_QKV);
  const segments = ptr(d, op.CACHE_APPEND_SEGMENTS), count = size(d, ctx, op.CACHE_APPEND_SEGMENT_COUNT);
  const heads = word(d, op.CACHE_APPEND_HEADS), headSize = word(d, op.CACHE_APPEND_HEAD_SIZE);
  const capacity = word(d, op.CACHE_APPEND_CAPACITY), isBf16 = word(d, op.CACHE_APPEND_ENCODING) == op.ENCODING_BF16;
  const width = <usize>(heads * headSize) << 2, headBytes = <usize>headSize << 2;
  const keyWidth = keyWidthOf(heads, headSize, isBf16), valueWidth = isBf16 ? width >> 1 : width;

  let pairs = 0;
  for (let s = 0; s < count; s++) pairs += segment(segments, s, op.SEGMENT_ROWS) * heads;
  let from = <i32>shareStart(pairs, 1, thread, threads), to = <i32>shareStart(pairs, 1, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const position = segment(segments, s, op.SEGMENT_POSITION);
    const keyCache = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * capacity * (keyWidth + valueWidth);
    const valueCache = keyCache + <usize>capacity * keyWidth;
    for (let pair = max(from, 0), end = min(to, rows * heads); pair < end; pair++) {
      const i = pair / heads, h = pair % heads;
      const key = qkv + <usize>(row + i) * 3 * width + width + <usize>h * headBytes, value = key + width;
      const at = position + i, lane = <usize>(at & 7), block = <usize>(at & ~7);
      const keys = keyCache + block * keyWidth, values = valueCache + block * valueWidth;
      if (isBf16) {
        appendBf16(keys, values, key, value, h, headSize, lane);
        continue;
      }
      const ofHead = <usize>h * (headBytes << 3), lanes = keys + ofHead + (lane << 2);
      for (let j: usize = 0; j < headBytes; j += 4) store<f32>(lanes + (j << 3), load<f32>(key + j));
      copyRow(values + ofHead + lane * headBytes, value, headSize, 1);
    }
    from -= rows * heads;
    to -= rows * heads;
  }
}

/**
 * out[i, h] = attention of row i over positions 0 … position of row i of its sequence in the cache; overwritten.
 * The same bits as OP_ATTENTION with CAUSAL over the whole sequence (with keys and values as they are in the cache), however it
 * was cut into calls. Errors: block.ts.
 *
 * Scratch memory: that of forward.ts, with sums and scores of a row of all heads; key panels only for bf16, and behind them
 * 8 · headSize floats.
 */
export function attentionCached(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const out = ptr(d, op.ATTENTION_CACHED_OUT), qkv = ptr(d, op.ATTENTION_CACHED_QKV);
  const cache = ptr(d, op.ATTENTION_CACHED_CACHE);
  const segments = ptr(d, op.ATTENTION_CACHED_SEGMENTS), count = size(d, ctx, op.ATTENTION_CACHED_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_CACHED_HEADS), headSize = word(d, op.ATTENTION_CACHED_HEAD_SIZE);
  const capacity = word(d, op.ATTENTION_CACHED_CAPACITY), isBf16 = word(d, op.ATTENTION_CACHED_ENCODING) == op.ENCODING_BF16;
  const width = <usize>(heads * headSize) << 2, headBytes = <usize>headSize << 2;
  const keyWidth = keyWidthOf(heads, headSize, isBf16), valueWidth = isBf16 ? width >> 1 : width;

  let total: u64 = 0;
  for (let s = 0; s < count; s++) {
    const rows = segment(segments, s, op.SEGMENT_ROWS), position = segment(segments, s, op.SEGMENT_POSITION);
    total += costOfRows(rows, position + 1, 1) * heads;
  }
  const head = openHead(scratch(ctx), headSize, capacity, wholeFours(heads), float(d, op.ATTENTION_CACHED_SCALE));
  const panels = head.end, spare = panels + <usize>capacity * headBytes;
  const packedValues = isBf16 ? spare + (headBytes << 3) : head.end;
  if (!isBf16) head.panelStride = width << 3;
  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const firstKeys = segment(segments, s, op.SEGMENT_POSITION) + 1;
    const keyCache = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * capacity * (keyWidth + valueWidth);
    const valueCache = keyCache + <usize>capacity * keyWidth;
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
      head.keys = isBf16 ? panels : keyCache + (offset << 3);
      placeValues(head, packedValues, keys);
      for (let key = 0; key < keys; key += 8) {
        const at = <usize>key << 5, present = min(8, keys - key);
        const keyBlock = keyCache + <usize>key * keyWidth, values = valueCache + <usize>key * valueWidth;
        if (isBf16) widenBlock(head, panels + <usize>key * headBytes, at, spare, keyBlock, values, h, present);
        else packGroups(head.values + at, head.valueGroupStride, values + (offset << 3), headBytes, present, headSize);
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
    const offset = <usize>firstHead * headBytes;
    for (let i = 0; i < rows && firstHead < lastHead; i++) {
      const at = out + <usize>(row + i) * width + offset, q = qkv + <usize>(row + i) * 3 * width + offset, keys = firstKeys + i;
      if (isBf16) attendRowBf16(head, at, q, keyCache, valueCache, firstHead, lastHead, heads, keys);
      else attendRow(head, at, q, keyCache + (offset << 3), valueCache + (offset << 3), lastHead - firstHead, keys);
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
  softmaxHeads(head, heads, keys);
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
  storeHeads(head, out, heads);
}

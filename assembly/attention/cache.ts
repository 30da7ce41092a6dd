/**
 * The key-value cache of OP_CACHE_APPEND and OP_ATTENTION_CACHED. One layer's cache holds a slot for each sequence, of runs for four
 * key-value heads each; the last one for as many as are left. A run of n heads:
 *
 *   ┌──────────────────────────────────┬──────────────────────────────────┐
 *   │ K [capacity / 8][n][headSize][8] │ V [capacity / 8][n][8][headSize] │
 *   └──────────────────────────────────┴──────────────────────────────────┘
 *     panels, as in head.ts              8 rows of a head side by side
 *
 * of floats, or of bf16, whose blocks of 8 positions have another layout (cache-bf16.ts).
 *
 * Decoding reads a run from front to back, and no run is parted among threads. With a run for each head 128 positions were read at
 * 12 GB/s, where 1,024 were at 23 and memory gives 25; with one run for all heads, in which each thread left out the others' heads
 * block after block, two threads took three times as long as one for 1,000 positions. All query heads of a group look at a block
 * before the next one is read.
 * Appending a row touches its own lane of a panel; nothing is moved. Positions that hold nothing yet may hold anything.
 */
import * as op from '../abi';
import { float, ptr, scratch, shareStart, size, word } from '../interpreter/descriptor';
import { MR, tileStrided } from '../gemm/tile';
import { attendBlock } from './block';
import { appendBf16, attendRunBf16, widenBlock } from './cache-bf16';
import { openHead, placeValues } from './forward';
import { BLOCK_ROWS, Head, RUN_HEADS, costOfRows, costStart, rowAtCost, segment, windowOf, windowStart } from './head';
import { copyRow, packGroups } from './pack';
import { rowTimesGroups, rowTimesPanel } from './row';
import { softmaxHeads, storeHeads } from './softmax-heads';

if (RUN_HEADS != BLOCK_ROWS) ERROR('cache: scratch memory has sums and scores for BLOCK_ROWS key-value heads');

/** Bytes that `heads` heads of `headSize` take at one position: of their keys. In bf16 keys have whole runs. */
// @ts-ignore: decorator
@inline function keyBytes(heads: i32, headSize: i32, isBf16: bool): usize {
  return isBf16 ? <usize>((heads + RUN_HEADS - 1) / RUN_HEADS * RUN_HEADS * headSize) << 1 : <usize>(heads * headSize) << 2;
}

/** Of their values. */
// @ts-ignore: decorator
@inline function valueBytes(heads: i32, headSize: i32, isBf16: bool): usize {
  return <usize>(heads * headSize) << (isBf16 ? 1 : 2);
}

/** Both. */
// @ts-ignore: decorator
@inline function positionBytes(heads: i32, headSize: i32, isBf16: bool): usize {
  return keyBytes(heads, headSize, isBf16) + valueBytes(heads, headSize, isBf16);
}

/**
 * cache[slot, position of each row] = the row's keys and values, overwritten; the rest of the cache stays.
 * Threads share the (row, key-value head) pairs.
 */
export function cacheAppend(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const cache = ptr(d, op.ATTENTION_CACHE), allKeys = ptr(d, op.ATTENTION_K), allValues = ptr(d, op.ATTENTION_V);
  const ldk = <usize>word(d, op.ATTENTION_LDK) << 2, ldv = <usize>word(d, op.ATTENTION_LDV) << 2;
  const segments = ptr(d, op.ATTENTION_SEGMENTS), count = size(d, ctx, op.ATTENTION_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_KEY_VALUE_HEADS), headSize = word(d, op.ATTENTION_HEAD_SIZE);
  const capacity = word(d, op.ATTENTION_CAPACITY), isBf16 = word(d, op.ATTENTION_ENCODING) == op.ENCODING_BF16;
  const headBytes = <usize>headSize << 2;
  const slotBytes = <usize>capacity * positionBytes(heads, headSize, isBf16);

  let pairs = 0;
  for (let s = 0; s < count; s++) pairs += segment(segments, s, op.SEGMENT_ROWS) * heads;
  let from = <i32>shareStart(pairs, 1, thread, threads), to = <i32>shareStart(pairs, 1, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const position = segment(segments, s, op.SEGMENT_POSITION);
    const slot = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * slotBytes;
    for (let pair = max(from, 0), end = min(to, rows * heads); pair < end; pair++) {
      const i = pair / heads, h = pair % heads, first = h & -RUN_HEADS, inRun = min(RUN_HEADS, heads - first);
      const column = <usize>h * headBytes, key = allKeys + <usize>(row + i) * ldk + column, value = allValues + <usize>(row + i) * ldv + column;
      const at = position + i, lane = <usize>(at & 7), block = <usize>(at & ~7);
      const run = slot + <usize>capacity * positionBytes(first, headSize, isBf16), runKeys = keyBytes(inRun, headSize, isBf16);
      const keys = run + block * runKeys;
      const values = run + <usize>capacity * runKeys + block * valueBytes(inRun, headSize, isBf16);
      if (isBf16) {
        appendBf16(keys, values, key, value, h - first, headSize, lane);
        continue;
      }
      const ofHead = <usize>(h - first) * (headBytes << 3), lanes = keys + ofHead + (lane << 2);
      for (let j: usize = 0; j < headBytes; j += 4) store<f32>(lanes + (j << 3), load<f32>(key + j));
      copyRow(values + ofHead + lane * headBytes, value, headSize, 1);
    }
    from -= rows * heads;
    to -= rows * heads;
  }
}

/**
 * out[i, h] = attention of row i over the last WINDOW of positions 0 … position of row i of its sequence in the cache; overwritten.
 * The same bits as OP_ATTENTION with CAUSAL over the whole sequence (with keys and values as they are in the cache), however it
 * was cut into calls. Errors: block.ts.
 *
 * Threads share runs of key-value heads where a sequence has fewer rows than a block, and blocks of rows of a query head where it has
 * more. Scratch memory: that of forward.ts, with sums and scores of one row of all query heads of a run; key panels only for bf16, and
 * after them 8 · headSize floats.
 */
export function attentionCached(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const out = ptr(d, op.ATTENTION_OUT), queries = ptr(d, op.ATTENTION_Q), ldq = <usize>word(d, op.ATTENTION_LDQ) << 2;
  const cache = ptr(d, op.ATTENTION_CACHE);
  const segments = ptr(d, op.ATTENTION_SEGMENTS), count = size(d, ctx, op.ATTENTION_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_HEADS), keyValueHeads = word(d, op.ATTENTION_KEY_VALUE_HEADS), group = heads / keyValueHeads;
  const headSize = word(d, op.ATTENTION_HEAD_SIZE), window = windowOf(d);
  const capacity = word(d, op.ATTENTION_CAPACITY), isBf16 = word(d, op.ATTENTION_ENCODING) == op.ENCODING_BF16;
  const headBytes = <usize>headSize << 2, ldOut = <usize>heads * headBytes;
  const slotBytes = <usize>capacity * positionBytes(keyValueHeads, headSize, isBf16);

  let total: u64 = 0;
  for (let s = 0; s < count; s++) {
    const rows = segment(segments, s, op.SEGMENT_ROWS), position = segment(segments, s, op.SEGMENT_POSITION);
    total += costOfRows(rows, position + 1, 1, window) * heads;
  }
  const head = openHead(scratch(ctx), headSize, capacity, RUN_HEADS * group, float(d, op.ATTENTION_SCALE));
  const panels = head.end, spare = panels + <usize>capacity * headBytes;
  const packedValues = isBf16 ? spare + (headBytes << 3) : head.end;
  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const firstKeys = segment(segments, s, op.SEGMENT_POSITION) + 1;
    const slot = cache + <usize>segment(segments, s, op.SEGMENT_SLOT) * slotBytes;
    const cost = <i64>costOfRows(rows, firstKeys, 1, window);
    const few = rows < BLOCK_ROWS && headSize >= 8;
    for (let h = 0; h < keyValueHeads; h += RUN_HEADS) {
      const inRun = min(RUN_HEADS, keyValueHeads - h), runKeys = keyBytes(inRun, headSize, isBf16);
      const runValues = valueBytes(inRun, headSize, isBf16);
      const keyRun = slot + <usize>capacity * positionBytes(h, headSize, isBf16), valueRun = keyRun + <usize>capacity * runKeys;
      const column = <usize>(h * group) * headBytes; // of the run's first query head
      if (few) { // the thread whose share has the middle of the run computes all of it
        const runCost = cost * inRun * group, middle = runCost >> 1, isMine = from <= middle && middle < to;
        from -= runCost;
        to -= runCost;
        if (isMine) {
          for (let i = 0; i < rows; i++) {
            const at = out + <usize>(row + i) * ldOut + column, q = queries + <usize>(row + i) * ldq + column;
            if (isBf16) attendRunBf16(head, at, q, keyRun, valueRun, inRun, group, firstKeys + i, window);
            else attendRun(head, at, q, keyRun, valueRun, inRun, group, firstKeys + i, window);
          }
        }
        continue;
      }
      if (!isBf16) head.panelStride = <usize>inRun * (headBytes << 3);
      let packed = -1, packedStart = 0, packedEnd = 0; // which key-value head of the run, and which of its keys
      for (let inner = 0, queryHeads = inRun * group; inner < queryHeads; inner++) {
        const first = rowAtCost(from, rows, firstKeys, 1, window, BLOCK_ROWS);
        const last = rowAtCost(to, rows, firstKeys, 1, window, BLOCK_ROWS);
        from -= cost;
        to -= cost;
        if (first == last) continue;
        const keyValue = inner / group, start = windowStart(firstKeys + first, window), keys = firstKeys + last - 1;
        if (packed != keyValue || start < packedStart || keys > packedEnd) {
          packed = keyValue;
          packedStart = start;
          packedEnd = keys;
          const inBlock = <usize>keyValue * (headBytes << 3);
          head.keys = isBf16 ? panels : keyRun + inBlock;
          placeValues(head, packedValues, keys);
          for (let key = start; key < keys; key += 8) {
            const at = <usize>key << 5, present = min(8, keys - key), values = valueRun + <usize>key * runValues;
            if (isBf16) {
              widenBlock(head, panels + <usize>key * headBytes, at, spare, keyRun + <usize>key * runKeys, values, keyValue, present);
            } else packGroups(head.values + at, head.valueGroupStride, values + inBlock, headBytes, present, headSize);
          }
        }
        const offset = column + <usize>inner * headBytes;
        for (let i = first; i < last; i += BLOCK_ROWS) {
          const at = <usize>(row + i);
          attendBlock(
            head,
            out + at * ldOut + offset, ldOut, 0, 0,
            queries + at * ldq + offset, ldq,
            min(BLOCK_ROWS, last - i), firstKeys + i, 1, window,
            0, 0,
          );
        }
      }
    }
  }
}

/**
 * One row of a run of `heads` key-value heads, each for `group` query heads, over the last `window` of `keys` keys: all their keys
 * and then all their values. The same bits as attendBlock.
 */
function attendRun(
  head: Head, out: usize, q: usize, keyRun: usize, valueRun: usize, heads: i32, group: i32, keys: i32, window: i32,
): void {
  const headSize = head.headSize, headBytes = <usize>headSize << 2, blockBytes = headBytes << 3, start = windowStart(keys, window);
  const skipped = <usize>((start >> 3) * heads) * blockBytes, queryHeads = heads * group;
  if (group % MR == 0) scoresInTiles(head, q, keyRun + skipped, heads, group, start, keys);
  else {
    let panel = keyRun + skipped;
    for (let key = start; key < keys; key += 8) {
      let scores = head.scores + (<usize>key << 2), query = q;
      for (let h = 0; h < heads; h++) {
        let left = group;
        do {
          rowTimesPanel(scores, query, panel, headSize);
          scores += head.scoreStride;
          query += headBytes;
        } while (--left > 0);
        panel += blockBytes;
      }
    }
  }
  softmaxHeads(head, queryHeads, keys, window);
  const groups = headSize >> 3, rest = headSize & 7, lastGroup = headBytes - 32, lastSums = <usize>groups << 5;
  let block = valueRun + skipped;
  for (let key = start; key < keys; key += 8) {
    const visit = min(8, keys - key), resume = key > start;
    let p = head.scores + (<usize>key << 2), sums = head.sums;
    for (let h = 0; h < heads; h++) {
      let left = group;
      do {
        rowTimesGroups(sums, p, block, 32, headBytes, groups, visit, resume);
        if (rest) rowTimesGroups(sums + lastSums, p, block + lastGroup, 0, headBytes, 1, visit, resume);
        p += head.scoreStride;
        sums += head.sumStride;
      } while (--left > 0);
      block += blockBytes;
    }
  }
  storeHeads(head, out, queryHeads);
}

/** Scores of a run whose groups are fours of query heads: a register tile for each four and panel. */
function scoresInTiles(head: Head, q: usize, panel: usize, heads: i32, group: i32, start: i32, keys: i32): void {
  const headSize = head.headSize, headBytes = <usize>headSize << 2;
  for (let key = start; key < keys; key += 8) {
    let scores = head.scores + (<usize>key << 2), query = q;
    for (let h = 0; h < heads; h++) {
      for (let left = group; left > 0; left -= MR) {
        tileStrided(scores, head.scoreStride, query, headBytes, 4, panel, 32, headSize, false);
        scores += <usize>MR * head.scoreStride;
        query += <usize>MR * headBytes;
      }
      panel += headBytes << 3;
    }
  }
}

/**
 * A key-value cache of bf16, rounded to nearest: half the memory, half the reading. One block of 8 positions of a run of n heads:
 *
 *   K   [headSize][4][8]     filled up to four heads, with anything
 *   V   [n]: parts of 32 columns, each [8][32], then [8][what is left]; of a headSize that is no multiple of 8 [8][headSize]
 *
 * so that a row reads both from front to back, four heads or 32 columns at a time (row-bf16.ts). Runs follow each other as in
 * cache.ts. Several rows at a time read f32 in the layouts of head.ts: keys and values of one head are widened to scratch memory.
 */
import { MR, tileStrided } from '../gemm/tile';
import { held } from '../math/lanes';
import { decodeBf16, encodeBf16, roundBf16 } from '../weights/bf16';
import { Head, RUN_HEADS, windowStart } from './head';
import { copyRow, packGroups } from './pack';
import { COLUMNS_TOGETHER, fourRowsTimesPanels, lowerFloats, rowTimesColumns, rowTimesParts, upperFloats } from './row-bf16';
import { softmaxHeads, storeHeads } from './softmax-heads';

/** Bytes from one element of a key to the next. */
const KEY_STEP: usize = 16 * RUN_HEADS;
if (RUN_HEADS != 4) ERROR('cache-bf16: fours of heads');

/** Columns of the part of values that begins `left` columns before the end. */
// @ts-ignore: decorator
@inline function partOf(headSize: i32, left: i32): i32 {
  return headSize & 7 ? headSize : min(left, COLUMNS_TOGETHER);
}

/** Key and value of head `h` of a run at position `lane` of blocks `keys` and `values`. */
export function appendBf16(keys: usize, values: usize, key: usize, value: usize, h: i32, headSize: i32, lane: usize): void {
  keys += (<usize>h << 4) + (lane << 1);
  let d = headSize;
  for (; d >= 4; d -= 4) {
    const x = roundBf16(v128.load(key));
    v128.store_lane<u16>(keys, x, 0);
    v128.store_lane<u16>(keys, x, 2, KEY_STEP);
    v128.store_lane<u16>(keys, x, 4, 2 * KEY_STEP);
    v128.store_lane<u16>(keys, x, 6, 3 * KEY_STEP);
    keys += 4 * KEY_STEP;
    key += 16;
  }
  for (; d > 0; d--) {
    v128.store_lane<u16>(keys, roundBf16(v128.load32_zero(key)), 0);
    keys += KEY_STEP;
    key += 4;
  }
  values += <usize>(h * headSize) << 4;
  for (let left = headSize; left > 0;) {
    const part = partOf(headSize, left);
    encodeBf16(values + lane * (<usize>part << 1), value, part);
    values += <usize>part << 4;
    value += <usize>part << 2;
    left -= part;
  }
}

/** Keys of one head of a block → a panel. */
function widenKeys(panel: usize, keys: usize, headSize: i32): void {
  const zero = held(0, headSize >> 31);
  for (const end = panel + (<usize>headSize << 5); panel < end; panel += 32) {
    const x = v128.load(keys);
    v128.store(panel, lowerFloats(x, zero));
    v128.store(panel, upperFloats(x, zero), 16);
    keys += KEY_STEP;
  }
}

/**
 * One block of head `h` of a run → a key panel at `panel`, and the first `count` of its values to the groups at head.values + `at`.
 * `spare`: 8 · headSize floats.
 */
export function widenBlock(head: Head, panel: usize, at: usize, spare: usize, keys: usize, values: usize, h: i32, count: i32): void {
  const headSize = head.headSize;
  widenKeys(panel, keys + (<usize>h << 4), headSize);
  values += <usize>(h * headSize) << 4;
  let groups = head.values + at;
  for (let left = headSize; left > 0;) {
    const part = partOf(headSize, left);
    decodeBf16(spare, values, part << 3);
    packGroups(groups, head.valueGroupStride, spare, <usize>part << 2, count, part);
    groups += <usize>(part >> 3) * head.valueGroupStride;
    values += <usize>part << 4;
    left -= part;
  }
}

/**
 * One row of a run of `heads` key-value heads, each for `group` query heads, over the last `window` of `keys` keys. The same bits as
 * attendBlock.
 */
export function attendRunBf16(
  head: Head, out: usize, q: usize, keyRun: usize, valueRun: usize, heads: i32, group: i32, keys: i32, window: i32,
): void {
  const headSize = head.headSize, queryHeads = heads * group, start = windowStart(keys, window), stride = head.scoreStride;
  const firstBlock = keyRun + <usize>((start >> 3) * headSize) * KEY_STEP;
  if (group % MR == 0) scoresInTiles(head, q, firstBlock, heads, group, start, keys);
  else scoresInFours(head, heads == RUN_HEADS && group == 1 ? q : queriesInFours(head, q, heads, group), firstBlock, group, start, keys);
  softmaxHeads(head, queryHeads, keys, window);
  // Columns in parts of 32, those after them, and of these the ones that make no group of 8.
  const inParts = headSize & 7 ? 0 : headSize & ~31, others = headSize - inParts, rest = headSize & 7;
  const parts = inParts / COLUMNS_TOGETHER, othersStep = <usize>others << 1;
  const lastSums = <usize>(headSize & ~7) << 2, valueBytes = <usize>headSize << 4;
  let block = valueRun + <usize>((start >> 3) * heads) * valueBytes;
  for (let key = start; key < keys; key += 8) {
    const visit = min(8, keys - key), resume = key > start;
    let p = head.scores + (<usize>key << 2), left = group;
    for (let sums = head.sums, end = sums + <usize>queryHeads * head.sumStride; sums < end; sums += head.sumStride) {
      rowTimesParts(sums, p, block, parts, visit, resume);
      if (others) {
        const values = block + (<usize>inParts << 4);
        rowTimesColumns(sums + (<usize>inParts << 2), p, values, othersStep, others >> 3, visit, resume);
        if (rest) rowTimesColumns(sums + lastSums, p, values + othersStep - 16, othersStep, 1, visit, resume);
      }
      p += stride;
      if (--left == 0) {
        left = group;
        block += valueBytes;
      }
    }
  }
  storeHeads(head, out, queryHeads);
}

/**
 * Copies the queries of a run to [group][RUN_HEADS][headSize], the order in which scoresInFours multiplies them; where a run has fewer
 * heads, anything stands in their places. The copy lies in head.sums, which is not needed before the scores are done.
 */
function queriesInFours(head: Head, q: usize, heads: i32, group: i32): usize {
  const headSize = head.headSize, headBytes = <usize>headSize << 2;
  for (let h = 0, queryHeads = heads * group; h < queryHeads; h++) {
    copyRow(head.sums + <usize>(h % group * RUN_HEADS + h / group) * headBytes, q + <usize>h * headBytes, headSize, 1);
  }
  return head.sums;
}

/** Scores of whole runs: four key-value heads at a time, and their queries as queriesInFours lays them out. */
function scoresInFours(head: Head, queries: usize, block: usize, group: i32, start: i32, keys: i32): void {
  const headSize = head.headSize, stride = head.scoreStride, groupStride = <usize>group * stride;
  for (let key = start; key < keys; key += 8) {
    let scores = head.scores + (<usize>key << 2), query = queries;
    for (let member = group; member > 0; member--) {
      fourRowsTimesPanels(scores, groupStride, query, block, headSize);
      scores += stride;
      query += <usize>(RUN_HEADS * headSize) << 2;
    }
    block += KEY_STEP * headSize;
  }
}

/** Scores where a key-value head is for fours of query heads: its keys are widened, once, for register tiles. */
function scoresInTiles(head: Head, q: usize, block: usize, heads: i32, group: i32, start: i32, keys: i32): void {
  const headSize = head.headSize, headBytes = <usize>headSize << 2, panel = head.end;
  for (let key = start; key < keys; key += 8) {
    let scores = head.scores + (<usize>key << 2), query = q;
    for (let h = 0; h < heads; h++) {
      widenKeys(panel, block + (<usize>h << 4), headSize);
      for (let left = group; left > 0; left -= MR) {
        tileStrided(scores, head.scoreStride, query, headBytes, 4, panel, 32, headSize, false);
        scores += <usize>MR * head.scoreStride;
        query += <usize>MR * headBytes;
      }
    }
    block += KEY_STEP * headSize;
  }
}

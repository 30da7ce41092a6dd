/**
 * A key-value cache of bf16, rounded to nearest: half the memory, half the reading. One block of 8 positions:
 *
 *   K   fours of heads, each [headSize][4][8], then each head that is left, [headSize][8]
 *   V   [heads][headSize / part][8][part]        part: 32 columns where that divides headSize, else all
 *
 * so that a row of all heads reads both from front to back, four heads or 32 columns at a time (row-bf16.ts). Blocks follow each
 * other as in cache.ts. Several rows want f32 in the layouts of head.ts: keys and values of one head are widened to scratch memory.
 */
import { decodeBf16, encodeBf16, roundBf16 } from '../weights/block';
import { Head } from './head';
import { packGroups } from './pack';
import { COLUMNS_TOGETHER, HEADS_TOGETHER, fourRowsTimesPanels, heldZero, lowerFloats, rowTimesColumns, upperFloats } from './row-bf16';
import { softmaxHeads, storeHeads } from './softmax-heads';

/** Bytes from the start of a block of keys to those of head `h`, of `heads`. */
// @ts-ignore: decorator
@inline function keyOffset(h: i32, heads: i32, headSize: i32): usize {
  return isTogether(h, heads) ? (<usize>((h & ~3) * headSize) << 4) + (<usize>(h & 3) << 4) : <usize>(h * headSize) << 4;
}

/** Bytes from one element of a key of head `h` to the next. */
// @ts-ignore: decorator
@inline function keyStep(h: i32, heads: i32): usize {
  return isTogether(h, heads) ? 16 * HEADS_TOGETHER : 16;
}

// @ts-ignore: decorator
@inline function isTogether(h: i32, heads: i32): bool {
  return (h | 3) < heads;
}
if (HEADS_TOGETHER != 4) ERROR('cache-bf16: fours of heads');

// @ts-ignore: decorator
@inline function partOf(headSize: i32): i32 {
  return headSize % COLUMNS_TOGETHER ? headSize : COLUMNS_TOGETHER;
}

/** Key and value of head `h` at position `lane` of blocks `keys` and `values`. */
export function appendBf16(keys: usize, values: usize, key: usize, value: usize, h: i32, heads: i32, headSize: i32, lane: usize): void {
  const step = keyStep(h, heads), part = partOf(headSize), partBytes = <usize>part << 1;
  keys += keyOffset(h, heads, headSize) + (lane << 1);
  let d = headSize;
  for (; d >= 4; d -= 4) {
    const x = roundBf16(v128.load(key));
    v128.store_lane<u16>(keys, x, 0);
    v128.store_lane<u16>(keys + step, x, 2);
    keys += step << 1;
    v128.store_lane<u16>(keys, x, 4);
    v128.store_lane<u16>(keys + step, x, 6);
    keys += step << 1;
    key += 16;
  }
  for (; d > 0; d--) {
    v128.store_lane<u16>(keys, roundBf16(v128.load32_zero(key)), 0);
    keys += step;
    key += 4;
  }
  values += (<usize>(h * headSize) << 4) + lane * partBytes;
  for (d = headSize; d > 0; d -= part) {
    encodeBf16(values, value, part);
    values += partBytes << 3;
    value += <usize>part << 2;
  }
}

/**
 * One block of head `h` → a key panel at `panel`, and the first `count` of its values to the groups at head.values + `at`.
 * `spare`: 8 · headSize floats.
 */
export function widenBlock(head: Head, panel: usize, at: usize, spare: usize, keys: usize, values: usize, h: i32, heads: i32, count: i32): void {
  const headSize = head.headSize, step = keyStep(h, heads), zero = heldZero(headSize);
  keys += keyOffset(h, heads, headSize);
  for (const end = panel + (<usize>headSize << 5); panel < end; panel += 32) {
    const x = v128.load(keys);
    v128.store(panel, lowerFloats(x, zero));
    v128.store(panel, upperFloats(x, zero), 16);
    keys += step;
  }
  const part = partOf(headSize);
  values += <usize>(h * headSize) << 4;
  let groups = head.values + at;
  for (let d = headSize; d > 0; d -= part) {
    decodeBf16(spare, values, part << 3);
    packGroups(groups, head.valueGroupStride, spare, <usize>part << 2, count, part);
    groups += <usize>(part >> 3) * head.valueGroupStride;
    values += <usize>part << 4;
  }
}

/**
 * One row of heads first … last − 1 over `keys` keys; out and q are those of head `first`, blocks `blockBytes` apart. The same bits as
 * attendBlock.
 */
export function attendRowBf16(
  head: Head, out: usize, q: usize, keyCache: usize, valueCache: usize, blockBytes: usize, first: i32, last: i32, heads: i32, keys: i32,
): void {
  const headSize = head.headSize, headBytes = <usize>headSize << 2, stride = head.scoreStride;
  for (let key = 0; key < keys; key += 8) {
    let scores = head.scores + (<usize>key << 2), query = q;
    for (let h = first; h < last;) {
      const panel = keyCache + keyOffset(h, heads, headSize);
      let count: usize = 1;
      if (!(h & 3) && h + HEADS_TOGETHER <= last) {
        fourRowsTimesPanels(scores, stride, query, panel, headSize);
        count = HEADS_TOGETHER;
      } else rowTimesColumns(scores, query, panel, keyStep(h, heads), 0, 1, headSize, false);
      scores += count * stride;
      query += count * headBytes;
      h += <i32>count;
    }
    keyCache += blockBytes;
  }
  softmaxHeads(head, last - first, keys);
  const part = partOf(headSize), rowStep = <usize>part << 1, partStep: usize = part < headSize ? rowStep << 3 : 2 * COLUMNS_TOGETHER;
  const groups = headSize >> 3, rest = headSize & 7, lastSums = <usize>groups << 5;
  valueCache += <usize>(first * headSize) << 4;
  for (let key = 0; key < keys; key += 8) {
    const visit = min(8, keys - key), resume = key > 0;
    let block = valueCache, p = head.scores + (<usize>key << 2), sums = head.sums;
    for (let h = first; h < last; h++) {
      rowTimesColumns(sums, p, block, rowStep, partStep, groups, visit, resume);
      if (rest) rowTimesColumns(sums + lastSums, p, block + rowStep - 16, rowStep, 0, 1, visit, resume); // these stand in one part
      block += <usize>headSize << 4;
      p += stride;
      sums += head.sumStride;
    }
    valueCache += blockBytes;
  }
  storeHeads(head, out, last - first);
}

/**
 * Rows of activations as integers, for products with weights in q8 or q4 (quantized.ts): each row has a scale for every block
 * of the weights: 64 k for q8, 32 for q4. Rows stand in groups, as tall as the tile that reads them, block after block, which have
 * a part for each chunk of 32 k:
 *
 *   relaxed   │ scales f32 [height] │ corrections i32 [height] │ [8][height][4 k] i8   │ [8][height] …
 *   simd      │ scales f32 [height] │ corrections i32 [height] │ [8][height][4 k] i16  │ [8][height] …
 *
 * Integers lie in −63 … 63 (relaxed q8, and 64 is added: one operand of the relaxed dot must not be negative), −127 … 127
 * (relaxed q4) or −2047 … 2047 (simd, where i16 costs no more). Corrections are what the offset of q4's weights adds, −8 · Σq.
 * Error: at most half a step, max |a| of the block / 126 (relaxed q8), / 254 (relaxed q4), / 4,094 (simd).
 */
import * as op from '../abi';
import { ptr, scratch, shareStart, size, word } from '../interpreter/descriptor';
import { ROUNDER } from '../math/math';
import { blockSteps, chunksOf } from '../weights/panel';

const VALUE_BYTES: i32 = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
/** Bytes of one row and block, in front of its chunks; of one row and chunk. */
const ROW_HEAD_BYTES: i32 = 8, ROW_CHUNK_BYTES: i32 = op.ENCODING_CHUNK * VALUE_BYTES;
if (ROW_HEAD_BYTES + ROW_CHUNK_BYTES > op.QUANTIZED_ROW_CHUNK_BYTES) ERROR('quantizeRows: QUANTIZED_ROW_CHUNK_BYTES is too small');
/** From this many rows on it pays to widen a panel first, without relaxed dots. */
const WIDE_ROWS: i32 = 8;
/** Rows whose maximum in a block is not above this are 0 there: limit / |a| must be finite. */
const TINY: f32 = 1e-30;
/** What q8 adds to the integers of relaxed dots. */
const OFFSET: i32 = 64;

/** Bytes of one row of `chunks` chunks, or so many that come before a block. */
// @ts-ignore: decorator
@inline export function rowBytes(encoding: i32, chunks: i32): i32 {
  const perBlock = blockSteps(encoding) / op.ENCODING_CHUNK;
  return (chunks + perBlock - 1) / perBlock * ROW_HEAD_BYTES + chunks * ROW_CHUNK_BYTES;
}

/** Whether `rows` rows are multiplied with widened panels. */
// @ts-ignore: decorator
@inline export function isWide(rows: i32): bool {
  return !ASC_FEATURE_RELAXED_SIMD && rows >= WIDE_ROWS;
}

/** The height of all groups but the last one. */
// @ts-ignore: decorator
@inline export function tallestGroup(encoding: i32, wide: bool): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return wide ? 4 : 2;
  return encoding == op.ENCODING_Q8 ? 6 : 4;
}

/** The height of the group that takes the first of `rows` rows. What is missing in the last one is filled up. */
// @ts-ignore: decorator
@inline export function groupHeight(rows: i32, encoding: i32, wide: bool): i32 {
  const tallest = tallestGroup(encoding, wide);
  if (wide || rows >= tallest) return tallest;
  return rows == 3 ? 4 : rows == 5 ? 6 : rows;
}

/** OP_QUANTIZE_ROWS. Threads share the blocks of all groups. */
export function quantizeRows(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.QUANTIZE_ROWS_ROWS), k = size(d, ctx, op.QUANTIZE_ROWS_COLS);
  const out = ptr(d, op.QUANTIZE_ROWS_OUT), inp = ptr(d, op.QUANTIZE_ROWS_INP);
  const ld = <usize>size(d, ctx, op.QUANTIZE_ROWS_LD) << 2, encoding = word(d, op.QUANTIZE_ROWS_ENCODING);
  const floats = scratch(ctx), constants = floats + op.Q8_BLOCK * 4;
  v128.store(constants, f32x4.splat(ROUNDER));
  v128.store(constants, i32x4.splat(reinterpret<i32>(ROUNDER) - OFFSET), 16);
  const wide = isWide(rows), tallest = tallestGroup(encoding, wide);
  const steps = blockSteps(encoding), chunks = chunksOf(k), perBlock = steps / op.ENCODING_CHUNK, blocks = (chunks + perBlock - 1) / perBlock;
  const groups = (rows + tallest - 1) / tallest, bytes = rowBytes(encoding, chunks);
  const end = <i32>shareStart(groups * blocks, 1, thread + 1, threads);
  for (let unit = <i32>shareStart(groups * blocks, 1, thread, threads); unit < end;) {
    const first = unit / blocks * tallest, height = groupHeight(rows - first, encoding, wide);
    const block = unit % blocks, last = min(blocks, block + end - unit);
    const group = out + <usize>(first * bytes);
    for (let lane = 0; lane < height; lane++) {
      // A row that is not there becomes a copy of the last one: its results are not read.
      const row = inp + <usize>min(first + lane, rows - 1) * ld;
      for (let i = block; i < last; i++) {
        const step = i * steps, to = group + <usize>(height * rowBytes(encoding, i * perBlock));
        quantizeBlock(to, row + (<usize>step << 2), min(steps, k - step), lane, height, encoding, constants, floats);
      }
    }
    unit += last - block;
  }
}

/** `steps` floats → row `lane` of a block of `height` rows. NaN or an infinity makes the scale NaN, and so all results of the row. */
function quantizeBlock(
  dst: usize, src: usize, steps: i32, lane: i32, height: i32, encoding: i32, constants: usize, floats: usize,
): void {
  if (steps % op.ENCODING_CHUNK) {
    memory.fill(floats, 0, op.Q8_BLOCK * 4);
    memory.copy(floats, src, <usize>steps << 2);
    src = floats;
  }
  let most = i32x4.splat(0);
  for (let step = 0; step < steps; step += op.ENCODING_CHUNK) most = i32x4.max_u(most, largestBits(src + (<usize>step << 2)));
  most = i32x4.max_u(most, v128.shuffle<i32>(most, most, 2, 3, 0, 1));
  const largest = reinterpret<f32>(max(<u32>i32x4.extract_lane(most, 0), <u32>i32x4.extract_lane(most, 1)) >>> 1);
  const offset = ASC_FEATURE_RELAXED_SIMD && encoding == op.ENCODING_Q8;
  const limit: f32 = ASC_FEATURE_RELAXED_SIMD ? (offset ? 63 : 127) : 2047;
  const factor = f32x4.splat(largest > TINY ? limit / largest : 0), rounder = v128.load(constants);
  const zero = offset ? v128.load(constants, 16) : rounder; // the bits of the integer 0
  let to = dst + <usize>(height * ROW_HEAD_BYTES + lane * 4 * VALUE_BYTES), sums = i32x4.splat(0);
  for (let step = 0; step < steps; step += op.ENCODING_CHUNK) {
    sums = i32x4.add(sums, quantizeChunk(to, src + (<usize>step << 2), height, encoding, factor, rounder, zero));
    to += <usize>(height * ROW_CHUNK_BYTES);
  }
  store<f32>(dst + (<usize>lane << 2), largest < Infinity ? largest / limit : NaN);
  const pairs = i32x4.add(sums, v128.shuffle<i32>(sums, sums, 2, 3, 0, 1));
  store<i32>(dst + (<usize>(height + lane) << 2), -8 * (i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 1)));
}

/**
 * The bits, shifted left by one, of the largest magnitude among 32 floats, in four parts: without their signs floats are in the
 * order of their bits, infinity and NaN last; the maximum of floats costs V8 eight instructions.
 */
function largestBits(src: usize): v128 {
  const x0 = v128.load(src), x1 = v128.load(src, 16), x2 = v128.load(src, 32), x3 = v128.load(src, 48);
  const x4 = v128.load(src, 64), x5 = v128.load(src, 80), x6 = v128.load(src, 96), x7 = v128.load(src, 112);
  const most0 = i32x4.max_u(i32x4.max_u(i32x4.shl(x0, 1), i32x4.shl(x1, 1)), i32x4.max_u(i32x4.shl(x2, 1), i32x4.shl(x3, 1)));
  const most1 = i32x4.max_u(i32x4.max_u(i32x4.shl(x4, 1), i32x4.shl(x5, 1)), i32x4.max_u(i32x4.shl(x6, 1), i32x4.shl(x7, 1)));
  return i32x4.max_u(most0, most1);
}

/** 32 floats → a row's integers of a chunk. Returns their sums in four parts, for q4. */
// @ts-ignore: decorator
@inline function quantizeChunk(to: usize, src: usize, height: i32, encoding: i32, factor: v128, rounder: v128, zero: v128): v128 {
  const x0 = v128.load(src), x1 = v128.load(src, 16), x2 = v128.load(src, 32), x3 = v128.load(src, 48);
  const x4 = v128.load(src, 64), x5 = v128.load(src, 80), x6 = v128.load(src, 96), x7 = v128.load(src, 112);
  const q0 = i32x4.sub(f32x4.add(f32x4.mul(x0, factor), rounder), zero), q1 = i32x4.sub(f32x4.add(f32x4.mul(x1, factor), rounder), zero);
  const q2 = i32x4.sub(f32x4.add(f32x4.mul(x2, factor), rounder), zero), q3 = i32x4.sub(f32x4.add(f32x4.mul(x3, factor), rounder), zero);
  const q4 = i32x4.sub(f32x4.add(f32x4.mul(x4, factor), rounder), zero), q5 = i32x4.sub(f32x4.add(f32x4.mul(x5, factor), rounder), zero);
  const q6 = i32x4.sub(f32x4.add(f32x4.mul(x6, factor), rounder), zero), q7 = i32x4.sub(f32x4.add(f32x4.mul(x7, factor), rounder), zero);
  const stride = <usize>(height * 4 * VALUE_BYTES);
  const a = i16x8.narrow_i32x4_s(q0, q1), b = i16x8.narrow_i32x4_s(q2, q3), c = i16x8.narrow_i32x4_s(q4, q5), e = i16x8.narrow_i32x4_s(q6, q7);
  if (ASC_FEATURE_RELAXED_SIMD) {
    to = storeQuads(to, i8x16.narrow_i16x8_s(a, b), stride);
    storeQuads(to, i8x16.narrow_i16x8_s(c, e), stride);
  } else {
    to = storeTwoQuads(to, a, stride);
    to = storeTwoQuads(to, b, stride);
    to = storeTwoQuads(to, c, stride);
    storeTwoQuads(to, e, stride);
  }
  if (encoding != op.ENCODING_Q4) return i32x4.splat(0);
  // Sums of 32 integers of at most 2,047 fit in i16 no longer, those of pairs do.
  const ones = i16x8.splat(1);
  return i32x4.add(
    i32x4.add(i32x4.dot_i16x8_s(a, ones), i32x4.dot_i16x8_s(b, ones)), i32x4.add(i32x4.dot_i16x8_s(c, ones), i32x4.dot_i16x8_s(e, ones)),
  );
}

/** Four k at a time of 16 i8, `stride` bytes apart. */
// @ts-ignore: decorator
@inline function storeQuads(to: usize, q: v128, stride: usize): usize {
  v128.store_lane<u32>(to, q, 0);
  v128.store_lane<u32>(to + stride, q, 1);
  to += stride << 1;
  v128.store_lane<u32>(to, q, 2);
  v128.store_lane<u32>(to + stride, q, 3);
  return to + (stride << 1);
}

/** Four k at a time of 8 i16. */
// @ts-ignore: decorator
@inline function storeTwoQuads(to: usize, q: v128, stride: usize): usize {
  v128.store_lane<u64>(to, q, 0);
  v128.store_lane<u64>(to + stride, q, 1);
  return to + (stride << 1);
}

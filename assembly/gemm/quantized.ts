/**
 * Products with weights in q8 or q4 (assembly/weights/block.ts): rows of A become integers with a scale for each block of
 * 32 k, and every 16 columns of C are made by register tiles (tile-quantized.ts) from integer dots and both scales:
 *
 *   C[i, j] = from[i, j] + Σ_block float(Σ_k∈block qa[i, k] · qw[k, j]) · (sw[block, j] · sa[i, block])
 *
 * Rows of A stand in groups of 1, 2, 4 or 6, as tall as the tile that reads them (simd reads 4 from a panel widened before):
 *
 *   relaxed   │ scales f32 [rows] │ corrections i32 [rows] │ [8][rows][4 k] i8   │     block after block
 *   simd      │ scales f32 [rows] │ corrections i32 [rows] │ [8][rows][4 k] i16  │
 *
 * What the tiles multiply is:   relaxed q8: qw · (qa + 64), qa in −63 … 63, since one operand of the relaxed dot must not be
 * negative; −64 · Σ qw is added from the sums that stand in the block.   relaxed q4: qa in −127 … 127 times qw + 8; the
 * correction −8 · Σ qa is added.   simd: qa in −2047 … 2047, which i16 holds and costs no more; q4 has the same correction.
 * Integer sums are exact, so the order in which blocks are added is all that makes the bits; it is from the first to the
 * last, then the addend, whatever the number of rows or threads.
 * Error: of quantizing A, at most half a step, max |A[i, block]| / 126 (relaxed q8), / 254 (relaxed q4), / 4,094 (simd).
 */
import * as op from '../../src/graph/opcodes';
import { stepBytes } from '../weights/panel';
import {
  tileQ4Relaxed1x16, tileQ4Relaxed2x8, tileQ4Relaxed4x8, tileQ4Simd1x8, tileQ4Simd2x8,
  tileQ8Relaxed1x16, tileQ8Relaxed2x16, tileQ8Relaxed4x8, tileQ8Relaxed6x8, tileQ8Simd1x8, tileQ8Simd2x8, tileWide4x8,
} from './tile-quantized';

/** Bytes of quantized rows that are worked on together: they stay in the second-level cache. */
const ROWS_BYTES: i32 = 1 << 19;
const VALUE_BYTES: i32 = ASC_FEATURE_RELAXED_SIMD ? 1 : 2;
/** Bytes of one row and block. */
const BLOCK_BYTES: i32 = 8 + op.ENCODING_BLOCK * VALUE_BYTES;
/** The tallest tile. */
const MOST_ROWS: i32 = 6;
/** Rows below this are 0: limit / |a| must be finite. */
const TINY: f32 = 1e-30;
/** Scratch, before the rows: one block of floats, one tile of C. */
const FLOATS_BYTES: usize = op.ENCODING_BLOCK * 4;
/** Room for quantized rows. */
const ROOM_BYTES: i32 = op.GEMM_SCRATCH_BYTES - <i32>FLOATS_BYTES - MOST_ROWS * 64;
/** From this many rows on it pays to widen a panel first. */
const WIDE_ROWS: i32 = 8;
/** A block of a widened panel: 16 pairs of k, 16 columns of two i16. */
const WIDE_BYTES: i32 = 1024;
/** Blocks that are widened together: they and four rows stay in the first-level cache. */
const WIDE_BLOCKS: i32 = 16;
/** Rows that share a widened panel at most. */
const WIDE_CHUNK: i32 = 512;
/** So many rows that stay in the first-level cache go through a panel in pieces of so many blocks. */
const FEW_ROWS: i32 = 24, FEW_BYTES: i32 = 1 << 15, FEW_BLOCKS: i32 = 2;
if (FEW_ROWS > WIDE_CHUNK || FEW_BYTES * MOST_ROWS > ROWS_BYTES) ERROR('quantized: no room for few rows');
if (ROWS_BYTES + WIDE_BLOCKS * WIDE_BYTES + (WIDE_CHUNK + MOST_ROWS) * 64 > ROOM_BYTES) ERROR('quantized: GEMM_SCRATCH_BYTES is too small');

/** Rows of the tallest tile of an encoding. */
// @ts-ignore: decorator
@inline function tallest(encoding: i32): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return 2;
  return encoding == op.ENCODING_Q8 ? 6 : 4;
}

/** The rows of the tile that takes `rows` rows, or the first of them. */
// @ts-ignore: decorator
@inline function groupRows(rows: i32, encoding: i32): i32 {
  const most = tallest(encoding);
  if (rows >= most) return most;
  return rows == 3 ? 4 : rows == 5 ? 6 : rows;
}

/**
 * C = from + A · W.
 *   c, from  rows `ldc` and `fromStride` bytes apart; `from` absent, a bias (stride 0) or C itself
 *   a        rows of k contiguous floats, `lda` bytes apart
 *   weights  the panel of column 0
 */
export function quantizedProduct(
  c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, lda: usize, weights: usize, encoding: i32,
  m: i32, n: i32, k: i32, spare: usize,
): void {
  const blocks = (k + op.ENCODING_BLOCK - 1) / op.ENCODING_BLOCK;
  const panelBytes = stepBytes(encoding, k), rowBytes = blocks * BLOCK_BYTES;
  const floats = spare, tile = floats + FLOATS_BYTES, rows = tile + MOST_ROWS * 64;
  const most = tallest(encoding), wide = !ASC_FEATURE_RELAXED_SIMD && m >= WIDE_ROWS;
  const few = m <= FEW_ROWS && rowBytes * m <= FEW_BYTES;
  if (few || (wide && rowBytes * 4 <= ROWS_BYTES)) {
    piecewiseProduct(c, ldc, from, fromStride, a, lda, weights, encoding, m, n, k, spare, wide);
    return;
  }
  const chunk = max(ROWS_BYTES / (rowBytes * most), 1) * most;
  // Rows so long that not even one group has room (k > 166,000, or more) are quantized piece by piece, anew for each panel.
  const piece = min(blocks, ROOM_BYTES / (most * BLOCK_BYTES));
  for (let ic = 0; ic < m; ic += chunk) {
    const mc = min(chunk, m - ic);
    if (piece == blocks) quantizeRows(rows, a + <usize>ic * lda, lda, mc, k, blocks, encoding, floats, false);
    let panel = weights;
    for (let j = 0; j < n; j += op.ENCODING_COLUMNS) {
      const columns = min(op.ENCODING_COLUMNS, n - j);
      let group = rows, outC = c + <usize>ic * ldc + (<usize>j << 2);
      let outFrom = from ? from + <usize>ic * fromStride + (<usize>j << 2) : 0;
      for (let i = 0; i < mc;) {
        const height = groupRows(mc - i, encoding);
        clear(tile, tile + (<usize>height << 6));
        if (piece == blocks) multiplyTile(tile, group, panel, blocks, height, encoding);
        else for (let block = 0; block < blocks; block += piece) {
          const step = block * op.ENCODING_BLOCK, count = min(piece, blocks - block);
          quantizeRows(rows, a + <usize>ic * lda + (<usize>step << 2), lda, mc, k - step, count, encoding, floats, false);
          multiplyTile(tile, rows, panel + stepBytes(encoding, step), count, height, encoding);
        }
        for (let row = 0, count = min(height, mc - i); row < count; row++) {
          storeRow(outC, outFrom, tile + (<usize>row << 6), columns);
          outC += ldc;
          if (from) outFrom += fromStride;
        }
        group += <usize>(height * rowBytes);
        i += height;
      }
      panel += panelBytes;
    }
  }
}

/**
 * The same product, all rows going through a panel piece by piece, with the same sums bit for bit. For few rows, whose pace
 * memory sets, so that it is asked for the next piece all the time; and for many rows without relaxed dots (`wide`), which
 * go in fours through a piece that is widened to i16 once for all.
 */
function piecewiseProduct(
  c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, lda: usize, weights: usize, encoding: i32,
  m: i32, n: i32, k: i32, spare: usize, wide: bool,
): void {
  const blocks = (k + op.ENCODING_BLOCK - 1) / op.ENCODING_BLOCK, rowBytes = blocks * BLOCK_BYTES;
  const panelBytes = stepBytes(encoding, k), blockBytes = stepBytes(encoding, op.ENCODING_BLOCK);
  const floats = spare, tiles = floats + FLOATS_BYTES, widened = tiles + (WIDE_CHUNK + MOST_ROWS) * 64, rows = widened + WIDE_BLOCKS * WIDE_BYTES;
  const chunk = wide ? min(ROWS_BYTES / (rowBytes * 4) * 4, WIDE_CHUNK) : FEW_ROWS;
  const piece = wide ? WIDE_BLOCKS : m <= tallest(encoding) ? blocks : FEW_BLOCKS;
  for (let ic = 0; ic < m; ic += chunk) {
    const mc = min(chunk, m - ic);
    quantizeRows(rows, a + <usize>ic * lda, lda, mc, k, blocks, encoding, floats, wide);
    let panel = weights;
    for (let j = 0; j < n; j += op.ENCODING_COLUMNS) {
      clear(tiles, tiles + (<usize>(mc + MOST_ROWS) << 6));
      for (let block = 0; block < blocks; block += piece) {
        const count = min(piece, blocks - block), part = panel + <usize>block * blockBytes;
        if (wide) widenPanel(widened, part, count, encoding);
        let group = rows, tile = tiles;
        for (let i = 0; i < mc;) {
          const height = wide ? 4 : groupRows(mc - i, encoding), at = group + <usize>(block * height * BLOCK_BYTES);
          if (wide) tileWide4x8(tile, at, widened, part, blockBytes, count);
          else multiplyTile(tile, at, part, count, height, encoding);
          group += <usize>(height * rowBytes);
          tile += <usize>height << 6;
          i += height;
        }
      }
      const columns = min(op.ENCODING_COLUMNS, n - j);
      let outC = c + <usize>ic * ldc + (<usize>j << 2);
      let outFrom = from ? from + <usize>ic * fromStride + (<usize>j << 2) : 0;
      for (let row = 0; row < mc; row++) {
        storeRow(outC, outFrom, tiles + (<usize>row << 6), columns);
        outC += ldc;
        if (from) outFrom += fromStride;
      }
      panel += panelBytes;
    }
  }
}

/** A panel of integers → pairs of i16, for tileWide4x8: k and k + 1 of 16 columns side by side. */
function widenPanel(dst: usize, panel: usize, blocks: i32, encoding: i32): void {
  if (encoding == op.ENCODING_Q8) {
    for (; blocks > 0; blocks--) {
      for (let line: usize = 64; line < <usize>op.Q8_BLOCK_BYTES; line += 64) {
        for (let at: usize = 0; at < 64; at += 16) {
          const low = v128.load8x8_s(panel + line + at), high = v128.load8x8_s(panel + line + at, 8);
          storePairs(dst + at, low, high);
        }
        dst += 128;
      }
      panel += op.Q8_BLOCK_BYTES;
    }
  } else {
    const nibble = i8x16.splat(15), offset = i16x8.splat(8);
    for (; blocks > 0; blocks--) {
      for (let line: usize = 32; line < <usize>op.Q4_BLOCK_BYTES; line += 64) {
        for (let at: usize = 0; at < 64; at += 16) {
          const bytes = v128.load(panel + line + at);
          const first = v128.and(bytes, nibble), second = v128.and(i16x8.shr_u(bytes, 4), nibble);
          storePairs(dst + at, i16x8.sub(i16x8.extend_low_i8x16_u(first), offset), i16x8.sub(i16x8.extend_high_i8x16_u(first), offset));
          storePairs(dst + at + 128, i16x8.sub(i16x8.extend_low_i8x16_u(second), offset), i16x8.sub(i16x8.extend_high_i8x16_u(second), offset));
        }
        dst += 256;
      }
      panel += op.Q4_BLOCK_BYTES;
    }
  }
}

/** Four k of columns 0, 1 and of 2, 3 → k 0, 1 of all four columns, and 64 bytes on k 2, 3. */
// @ts-ignore: decorator
@inline function storePairs(dst: usize, low: v128, high: v128): void {
  v128.store(dst, v128.shuffle<i32>(low, high, 0, 2, 4, 6));
  v128.store(dst, v128.shuffle<i32>(low, high, 1, 3, 5, 7), 64);
}

// @ts-ignore: decorator
@inline function multiplyTile(tile: usize, rows: usize, panel: usize, blocks: i32, height: i32, encoding: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (encoding == op.ENCODING_Q8) {
      if (height == 1) tileQ8Relaxed1x16(tile, rows, panel, blocks);
      else if (height == 2) tileQ8Relaxed2x16(tile, rows, panel, blocks);
      else if (height == 4) tileQ8Relaxed4x8(tile, rows, panel, blocks);
      else tileQ8Relaxed6x8(tile, rows, panel, blocks);
    } else if (height == 1) tileQ4Relaxed1x16(tile, rows, panel, blocks);
    else if (height == 2) tileQ4Relaxed2x8(tile, rows, panel, blocks);
    else tileQ4Relaxed4x8(tile, rows, panel, blocks);
  } else if (encoding == op.ENCODING_Q8) {
    if (height == 1) tileQ8Simd1x8(tile, rows, panel, blocks);
    else tileQ8Simd2x8(tile, rows, panel, blocks);
  } else if (height == 1) tileQ4Simd1x8(tile, rows, panel, blocks);
  else tileQ4Simd2x8(tile, rows, panel, blocks);
}

/** Zeros in [at, end), whole lines; V8 calls a function of its own for each memory.fill. */
// @ts-ignore: decorator
@inline function clear(at: usize, end: usize): void {
  const zero = i32x4.splat(0);
  for (; at < end; at += 64) {
    v128.store(at, zero);
    v128.store(at, zero, 16);
    v128.store(at, zero, 32);
    v128.store(at, zero, 48);
  }
}

/** c[n] = from[n] + sums[n], n ≤ 16; without `from`, c[n] = sums[n]. */
// @ts-ignore: decorator
@inline function storeRow(c: usize, from: usize, sums: usize, n: i32): void {
  if (n == op.ENCODING_COLUMNS) {
    for (let at: usize = 0; at < 64; at += 16) {
      const sum = v128.load(sums + at);
      v128.store(c + at, from ? f32x4.add(v128.load(from + at), sum) : sum);
    }
  } else {
    for (let at: usize = 0, end = <usize>n << 2; at < end; at += 4) {
      const sum = load<f32>(sums + at);
      store<f32>(c + at, from ? load<f32>(from + at) + sum : sum);
    }
  }
}

/** Rows of floats → groups of quantized rows; what is missing at the last tile, and behind k, is 0. */
function quantizeRows(
  dst: usize, a: usize, lda: usize, m: i32, k: i32, blocks: i32, encoding: i32, floats: usize, wide: bool,
): void {
  for (let i = 0; i < m;) {
    const height = wide ? 4 : groupRows(m - i, encoding);
    for (let lane = 0; lane < height; lane++) {
      // A row that is not there becomes a copy of the last one: nobody reads its results.
      const row = a + <usize>min(i + lane, m - 1) * lda;
      for (let block = 0; block < blocks; block++) {
        let src = row + (<usize>block << 7);
        const rest = k - block * op.ENCODING_BLOCK;
        if (rest < op.ENCODING_BLOCK) {
          memory.fill(floats, 0, FLOATS_BYTES);
          memory.copy(floats, src, <usize>rest << 2);
          src = floats;
        }
        quantizeBlock(dst + <usize>(block * height * BLOCK_BYTES), src, lane, height, encoding);
      }
    }
    dst += <usize>(height * blocks * BLOCK_BYTES);
    i += height;
  }
}

/** 32 floats → row `lane` of a block of `height` rows. */
function quantizeBlock(dst: usize, src: usize, lane: i32, height: i32, encoding: i32): void {
  const offset = ASC_FEATURE_RELAXED_SIMD && encoding == op.ENCODING_Q8;
  const limit: f32 = ASC_FEATURE_RELAXED_SIMD ? (offset ? 63 : 127) : 2047;
  let most = f32x4.abs(v128.load(src));
  for (let at: usize = 16; at < 128; at += 16) most = f32x4.max(most, f32x4.abs(v128.load(src + at)));
  most = f32x4.max(most, v128.shuffle<f32>(most, most, 2, 3, 0, 1));
  const largest = max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1));
  const factor = f32x4.splat(largest > TINY ? limit / largest : 0);
  const values = dst + <usize>(height << 3), stride = <usize>(height * 4 * VALUE_BYTES);
  let to = values + <usize>(lane * 4 * VALUE_BYTES), sum = i32x4.splat(0);
  for (let at: usize = 0; at < 128; at += 16) {
    const q = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(src + at), factor)));
    sum = i32x4.add(sum, q);
    if (ASC_FEATURE_RELAXED_SIMD) {
      const halves = i16x8.narrow_i32x4_s(offset ? i32x4.add(q, i32x4.splat(64)) : q, q);
      v128.store_lane<u32>(to, i8x16.narrow_i16x8_s(halves, halves), 0);
    } else {
      v128.store_lane<u64>(to, i16x8.narrow_i32x4_s(q, q), 0);
    }
    to += stride;
  }
  store<f32>(dst + (<usize>lane << 2), largest / limit);
  const total = i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3);
  store<i32>(dst + (<usize>(height + lane) << 2), encoding == op.ENCODING_Q4 ? -8 * total : 0);
}

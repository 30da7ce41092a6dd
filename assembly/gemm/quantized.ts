/**
 * Products with weights in q8 or q4 (assembly/weights/) of rows that OP_QUANTIZE_ROWS made (quantize-rows.ts): every 16
 * columns of C are made by register tiles (tile-quantized.ts) from integer dots and both scales:
 *
 *   C[i, j] = from[i, j] + Σ_block float(Σ_k∈block qa[i, k] · qw[k, j]) · (sw[block, j] · sa[i, block])
 *
 * What the tiles multiply is:   relaxed q8: qw · (qa + 64); −64 · Σ qw is added from the sums that stand in the block.
 * relaxed q4 and simd q4: qa · (qw + 8); the correction −8 · Σ qa is added.
 * Integer sums are exact, so the order in which blocks are added is all that makes the bits; it is from the first to the
 * last, then the addend, whatever the number of rows or threads.
 */
import * as op from '../abi';
import { blockSteps, chunksOf, stepBytes } from '../weights/panel';
import { groupHeight, isWide, rowBytes, tallestGroup } from './quantize-rows';
import {
  tileQ4Relaxed1x16, tileQ4Relaxed2x8, tileQ4Relaxed4x8, tileQ4Simd1x8, tileQ4Simd2x8,
  tileQ8Relaxed1x16, tileQ8Relaxed2x16, tileQ8Relaxed4x8, tileQ8Relaxed6x8, tileQ8Simd1x8, tileQ8Simd2x8, tileWide4x8,
} from './tile-quantized';

/** The tallest tile, and what all heights of full groups divide: threads share rows in units of it. */
const MOST_ROWS: i32 = 6;
export const ROW_QUANTUM: i32 = 12;
/** Bytes of rows that go through the panels together: they stay in the second-level cache. */
const BATCH_BYTES: i32 = 1 << 19;
/** Rows of such a batch at most; their sums stay in cache too. */
const BATCH_ROWS: i32 = 516;
/** A chunk of a widened panel: 16 pairs of k, 16 columns of two i16. */
const WIDE_BYTES: i32 = 1024;
/** Chunks that are widened together: they and four rows stay in the first-level cache. */
const WIDE_CHUNKS: i32 = 16;
/** So many rows that stay in the first-level cache go through a panel in pieces of so many chunks. */
const FEW_ROWS: i32 = 24, FEW_BYTES: i32 = 1 << 15, FEW_CHUNKS: i32 = 4;
if ((WIDE_CHUNKS | FEW_CHUNKS) % (op.Q8_BLOCK / op.ENCODING_CHUNK)) ERROR('quantized: blocks would be parted');
if (BATCH_ROWS % ROW_QUANTUM) ERROR('quantized: groups of rows would be parted');
/** Scratch: a tile of sums for each group of rows, a widened piece of a panel. */
const SUMS_BYTES: i32 = (BATCH_ROWS + MOST_ROWS) * 64;
if (SUMS_BYTES + WIDE_CHUNKS * WIDE_BYTES > op.GEMM_SCRATCH_BYTES) ERROR('quantized: GEMM_SCRATCH_BYTES is too small');

/**
 * C = from + A · W. All rows go through a panel piece by piece: in pieces of four chunks when they are few, so that memory,
 * which sets their pace, is asked for the next piece all the time; without relaxed dots in pieces that are widened to i16
 * once for all; else the whole panel is one piece.
 *   c, from  rows `ldc` and `fromStride` bytes apart; `from` absent, a bias (stride 0) or C itself
 *   rows     `m` quantized rows, the first one of a group
 *   weights  the panel of column 0
 *   all      how many quantized rows there are, on all threads: what their groups were made for
 */
export function quantizedProduct(
  c: usize, ldc: usize, from: usize, fromStride: usize, rows: usize, weights: usize, encoding: i32,
  m: i32, n: i32, k: i32, all: i32, spare: usize,
): void {
  const chunks = chunksOf(k), bytes = rowBytes(encoding, chunks), steps = blockSteps(encoding), perBlock = steps / op.ENCODING_CHUNK;
  const panelBytes = stepBytes(encoding, k), blockBytes = stepBytes(encoding, steps);
  const sums = spare, widened = spare + SUMS_BYTES, wide = isWide(all);
  const few = m <= FEW_ROWS && bytes * m <= FEW_BYTES && m > tallestGroup(encoding, wide);
  const piece = wide ? WIDE_CHUNKS : few ? FEW_CHUNKS : chunks;
  const batch = max(ROW_QUANTUM, min(BATCH_BYTES / bytes, BATCH_ROWS) / ROW_QUANTUM * ROW_QUANTUM);
  const sumsStep: usize = piece < chunks ? 64 : 0; // one piece: each group is done before the next one begins
  for (; m > 0; m -= batch) {
    const count = min(batch, m);
    let panel = weights;
    for (let j = 0; j < n; j += op.ENCODING_COLUMNS) {
      const columns = min(op.ENCODING_COLUMNS, n - j);
      for (let first = 0; first < chunks; first += piece) {
        const taken = min(piece, chunks - first), last = first + taken == chunks;
        const part = panel + stepBytes(encoding, first * op.ENCODING_CHUNK), before = rowBytes(encoding, first);
        if (wide) widenPanel(widened, part, taken, encoding);
        let group = rows, outC = c + (<usize>j << 2), outFrom = from ? from + (<usize>j << 2) : 0;
        for (let i = 0; i < count;) {
          const height = groupHeight(count - i, encoding, wide);
          const tile = sums + <usize>i * sumsStep, at = group + <usize>(before * height);
          if (first == 0) clear(tile, height);
          if (wide) tileWide4x8(tile, at, widened, part, blockBytes, taken, perBlock);
          else multiplyTile(tile, at, part, taken, height, encoding);
          if (last) {
            for (let row = 0, present = min(height, count - i); row < present; row++) {
              storeRow(outC, outFrom, tile + (<usize>row << 6), columns);
              outC += ldc;
              if (from) outFrom += fromStride;
            }
          }
          group += <usize>(height * bytes);
          i += height;
        }
      }
      panel += panelBytes;
    }
    rows += <usize>(count * bytes);
    c += <usize>count * ldc;
    if (from) from += <usize>count * fromStride;
  }
}

/** A panel of integers → pairs of i16, for tileWide4x8: k and k + 1 of 16 columns side by side. */
function widenPanel(dst: usize, panel: usize, chunks: i32, encoding: i32): void {
  if (encoding == op.ENCODING_Q8) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (chunk % (op.Q8_BLOCK / op.ENCODING_CHUNK) == 0) panel += op.Q8_HEAD_BYTES;
      for (let line: usize = 0; line < <usize>op.Q8_CHUNK_BYTES; line += 64) {
        for (let at: usize = 0; at < 64; at += 16) {
          const low = v128.load8x8_s(panel + line + at), high = v128.load8x8_s(panel + line + at, 8);
          storePairs(dst + at, low, high);
        }
        dst += 128;
      }
      panel += op.Q8_CHUNK_BYTES;
    }
  } else {
    const unknown = chunks >> 31; // 0: V8 builds vector constants anew at each use
    const nibble = i32x4.splat(0x0f0f0f0f | unknown), offset = i32x4.splat(0x00080008 | unknown);
    for (; chunks > 0; chunks--) {
      panel += op.Q4_HEAD_BYTES;
      for (let line: usize = 0; line < <usize>op.Q4_CHUNK_BYTES; line += 64) {
        for (let at: usize = 0; at < 64; at += 16) {
          const bytes = v128.load(panel + line + at);
          const first = v128.and(bytes, nibble), second = v128.and(i16x8.shr_u(bytes, 4), nibble);
          storePairs(dst + at, i16x8.sub(i16x8.extend_low_i8x16_u(first), offset), i16x8.sub(i16x8.extend_high_i8x16_u(first), offset));
          storePairs(dst + at + 128, i16x8.sub(i16x8.extend_low_i8x16_u(second), offset), i16x8.sub(i16x8.extend_high_i8x16_u(second), offset));
        }
        dst += 256;
      }
      panel += op.Q4_CHUNK_BYTES;
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
@inline function multiplyTile(tile: usize, rows: usize, panel: usize, chunks: i32, height: i32, encoding: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (encoding == op.ENCODING_Q8) {
      if (height == 1) tileQ8Relaxed1x16(tile, rows, panel, chunks);
      else if (height == 2) tileQ8Relaxed2x16(tile, rows, panel, chunks);
      else if (height == 4) tileQ8Relaxed4x8(tile, rows, panel, chunks);
      else tileQ8Relaxed6x8(tile, rows, panel, chunks);
    } else if (height == 1) tileQ4Relaxed1x16(tile, rows, panel, chunks);
    else if (height == 2) tileQ4Relaxed2x8(tile, rows, panel, chunks);
    else tileQ4Relaxed4x8(tile, rows, panel, chunks);
  } else if (encoding == op.ENCODING_Q8) {
    if (height == 1) tileQ8Simd1x8(tile, rows, panel, chunks);
    else tileQ8Simd2x8(tile, rows, panel, chunks);
  } else if (height == 1) tileQ4Simd1x8(tile, rows, panel, chunks);
  else tileQ4Simd2x8(tile, rows, panel, chunks);
}

/** A tile of zeros: `rows` lines. V8 calls a function of its own for each memory.fill. */
// @ts-ignore: decorator
@inline function clear(tile: usize, rows: i32): void {
  const zero = i32x4.splat(0);
  for (const end = tile + (<usize>rows << 6); tile < end; tile += 64) {
    v128.store(tile, zero);
    v128.store(tile, zero, 16);
    v128.store(tile, zero, 32);
    v128.store(tile, zero, 48);
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

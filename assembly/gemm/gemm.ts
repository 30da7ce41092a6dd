/**
 * The matrix product of OP_GEMM:
 *
 *   C[m, n] (+)= op(A)[m, k] · op(B)[k, n] (+ bias[n])
 *
 * Five loops around a register tile, from the outside in:
 *
 *   5  NC columns of B and C      4  KC of k: B is packed        3  MC rows of A and C: A is packed
 *   2  NR columns: one panel of B, in the first-level cache      1  MR rows: one panel of A, from the second-level cache
 *
 *         n                         k                  n
 *     ┌───┬────┬┈            ┌──────┬──────┬┈      ┌───┬────┬┈
 *   m │   │ MR×NR     (+)=  m│  MC×KC      │     k │ KC×NC
 *     ├───┼────┤             ├──────┼──────┤       ├───┼────┤
 *
 * The sum of one element is S₀ + S₁ + …, one S for each KC of k, each summed in order of k from 0, and added to C
 * (or to the bias) in turn, whatever m, n, the layout of A or the path taken: a row decoded alone has the bits it has
 * in a batch.
 * The one exception: with B stored [n, k] and at most FEW_ROWS rows, dot products in the order of vector.ts.
 * Error: |c − exact| ≤ (min(k, KC) + k / 8 + 8) · 2⁻²³ · (|C or bias| + Σ_k |A[i, k]| · |B[k, j]|), to first order.
 * Threads share the longer of n and m, in whole tiles. Each packs for itself.
 * Source: K. Goto, R. van de Geijn (2008), see pack.ts; the names of the loops are those of BLIS (flame/blis).
 */
import * as op from '../../src/graph/opcodes';
import { ptr, scratch, shareStart, size, word } from '../descriptor';
import { pack } from './pack';
import { MR as STRIDED_MR, NR } from './tile';
import { tilePacked4x8, tilePacked6x8 } from './tile-packed';
import { FEW_ROWS, rowsTimesMatrix, rowsTimesTransposed } from './vector';

/** Rows of the packed tile: fused multiply-add needs no register for the product, so the tile can be taller. */
const MR: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : STRIDED_MR;
/**
 * Tried on Zen 4 with GPT-2's shapes: KC 256, 384, 512; MC 96, 192; NC 256, 512, 1,024: all within 2 %, but for
 * NC = 256 (−2 %). The smallest KC has the smallest error.
 */
const KC: i32 = 256;
const MC: i32 = 192;
const NC: i32 = 1024;
/** Columns of a few rows that are summed at a time. */
const FEW_ROWS_COLUMNS: i32 = 4096;
/** From one row of sums to the next: not near a multiple of 4,096, where stores delay the loads of other rows. */
const SUMS_BYTES: i32 = FEW_ROWS_COLUMNS * 4 + 832;
/**
 * Where the sums of one row begin, behind the weights and modulo a page. Where rows of B are a multiple of 4,096 bytes this
 * holds for every row: 1 × 3,072 read 20.9 GB/s with the sums anywhere, 19.9 … 23.4 with 64 … 3,264 (Node 26, relaxed, Zen 4).
 */
const SUMS_PLACE: usize = 3264;
/** Threads share columns in units of a cache line. */
const COLUMN_QUANTUM: u32 = 16;

// Scratch: packed B, packed A, a tile for the edges; or the sums of a few rows.
const PACKED_B_BYTES: i32 = KC * NC * 4;
const PACKED_A_BYTES: i32 = MC * KC * 4;
const EDGE_BYTES: i32 = 256;
if (PACKED_B_BYTES + PACKED_A_BYTES + EDGE_BYTES > op.GEMM_SCRATCH_BYTES) ERROR('gemm: GEMM_SCRATCH_BYTES is too small');
if (FEW_ROWS * SUMS_BYTES > op.GEMM_SCRATCH_BYTES) ERROR('gemm: GEMM_SCRATCH_BYTES is too small');

export function gemm(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const flags = word(d, op.GEMM_FLAGS);
  let m = size(d, ctx, op.GEMM_M), n = size(d, ctx, op.GEMM_N), k = size(d, ctx, op.GEMM_K);
  let c = ptr(d, op.GEMM_C), a = ptr(d, op.GEMM_A), b = ptr(d, op.GEMM_B), bias = ptr(d, op.GEMM_BIAS);
  const ldc = bytes(size(d, ctx, op.GEMM_LDC));
  const lda = bytes(size(d, ctx, op.GEMM_LDA)), ldb = bytes(size(d, ctx, op.GEMM_LDB));
  const aRow: usize = flags & op.FLAG_TRANSPOSE_A ? 4 : lda, aStep: usize = flags & op.FLAG_TRANSPOSE_A ? lda : 4;
  const bCol: usize = flags & op.FLAG_TRANSPOSE_B ? ldb : 4, bStep: usize = flags & op.FLAG_TRANSPOSE_B ? 4 : ldb;
  const fewRows = m <= FEW_ROWS;

  // This thread's share, as a product of its own.
  if (n >= m) {
    const first = shareStart(n, COLUMN_QUANTUM, thread, threads);
    n = shareStart(n, COLUMN_QUANTUM, thread + 1, threads) - first;
    b += bCol * first;
    c += first << 2;
    if (bias) bias += first << 2;
  } else {
    const first = shareStart(m, MR, thread, threads);
    m = shareStart(m, MR, thread + 1, threads) - first;
    a += aRow * first;
    c += ldc * first;
  }
  if (m == 0 || n == 0) return;

  let from = bias, fromStride: usize = 0;
  if (flags & op.FLAG_ACCUMULATE) {
    if (bias) addBias(c, ldc, bias, m, n);
    from = c;
    fromStride = ldc;
  }
  const spare = scratch(ctx, thread);
  if (k == 0) fill(c, ldc, from, fromStride, m, n);
  else if (fewRows && bCol == 4) multiplyFewRows(c, ldc, from, fromStride, a, aRow, aStep, b, bStep, m, n, k, spare);
  else if (fewRows && aStep == 4) rowsTimesTransposed(c, ldc, from, fromStride, a, aRow, b, bCol, m, n, k);
  else multiply(c, ldc, from, fromStride, a, aRow, aStep, b, bStep, bCol, m, n, k, spare);
}

/** C = from + A · B, the five loops. `from`: absent, a bias (stride 0) or C itself. */
function multiply(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, bCol: usize,
  m: i32, n: i32, k: i32, packedB: usize,
): void {
  const packedA = packedB + PACKED_B_BYTES;
  const edge = packedA + PACKED_A_BYTES;
  for (let jc = 0; jc < n; jc += NC) { // loop 5
    const nc = min(NC, n - jc);
    let addend = from ? from + bytes(jc) : 0, addendStride = fromStride;
    for (let pc = 0; pc < k; pc += KC) { // loop 4
      const kc = min(KC, k - pc);
      pack(packedB, b + <usize>pc * bStep + <usize>jc * bCol, bCol, bStep, nc, kc, NR);
      for (let ic = 0; ic < m; ic += MC) { // loop 3
        const mc = min(MC, m - ic);
        pack(packedA, a + <usize>ic * aRow + <usize>pc * aStep, aRow, aStep, mc, kc, MR);
        multiplyBlock(
          c + <usize>ic * ldc + bytes(jc), ldc, addend ? addend + <usize>ic * addendStride : 0, addendStride,
          packedA, packedB, mc, nc, kc, edge,
        );
      }
      addend = c + bytes(jc);
      addendStride = ldc;
    }
  }
}

/** Loops 2 and 1: the tiles of one packed block of A and one of B. */
function multiplyBlock(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  packedA: usize, packedB: usize, mc: i32, nc: i32, kc: i32, edge: usize,
): void {
  for (let jr = 0; jr < nc; jr += NR) { // loop 2
    let panelA = packedA, tileC = c + bytes(jr), tileFrom = from ? from + bytes(jr) : 0;
    for (let ir = 0; ir < mc; ir += MR) { // loop 1
      if (ir + MR <= mc && jr + NR <= nc) {
        tilePacked(tileC, ldc, tileFrom, fromStride, panelA, packedB, kc);
      } else {
        tilePacked(edge, NR << 2, 0, 0, panelA, packedB, kc);
        for (let i = 0, rows = min(MR, mc - ir); i < rows; i++) {
          const row = tileFrom ? tileFrom + <usize>i * fromStride : 0;
          addRow(tileC + <usize>i * ldc, row, edge + bytes(i * NR), min(NR, nc - jr));
        }
      }
      panelA += bytes(MR * kc);
      tileC += <usize>MR * ldc;
      if (tileFrom) tileFrom += <usize>MR * fromStride;
    }
    packedB += bytes(NR * kc);
  }
}

// @ts-ignore: decorator
@inline function tilePacked(c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, b: usize, k: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) tilePacked6x8(c, ldc, from, fromStride, a, b, k);
  else tilePacked4x8(c, ldc, from, fromStride, a, b, k);
}

/** A few rows and B stored [k, n]: loops 5 and 4 around vector.ts. */
function multiplyFewRows(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize,
  m: i32, n: i32, k: i32, sums: usize,
): void {
  for (let jc = 0; jc < n; jc += FEW_ROWS_COLUMNS) {
    const nc = min(FEW_ROWS_COLUMNS, n - jc);
    let addend = from ? from + bytes(jc) : 0, addendStride = fromStride;
    for (let pc = 0; pc < k; pc += KC) {
      const blockA = a + <usize>pc * aStep, blockB = b + <usize>pc * bStep + bytes(jc);
      // One row: its sums stand where a store does not look like the weights that are loaded next.
      const at = m == 1 ? sums + ((blockB - sums + SUMS_PLACE) & 4032) : sums;
      rowsTimesMatrix(at, SUMS_BYTES, blockA, aRow, aStep, blockB, bStep, m, nc, min(KC, k - pc));
      for (let i = 0; i < m; i++) {
        const row = addend ? addend + <usize>i * addendStride : 0;
        addRow(c + <usize>i * ldc + bytes(jc), row, at + <usize>(i * SUMS_BYTES), nc);
      }
      addend = c + bytes(jc);
      addendStride = ldc;
    }
  }
}

/** c[n] = from[n] + sums[n]; without `from`, c[n] = sums[n]. */
function addRow(c: usize, from: usize, sums: usize, n: i32): void {
  for (; n >= 4; n -= 4) {
    v128.store(c, from ? f32x4.add(v128.load(from), v128.load(sums)) : v128.load(sums));
    c += 16;
    sums += 16;
    if (from) from += 16;
  }
  for (; n > 0; n--) {
    store<f32>(c, from ? load<f32>(from) + load<f32>(sums) : load<f32>(sums));
    c += 4;
    sums += 4;
    if (from) from += 4;
  }
}

/** C += bias, row by row. */
function addBias(c: usize, ldc: usize, bias: usize, m: i32, n: i32): void {
  for (; m > 0; m--) {
    addRow(c, c, bias, n);
    c += ldc;
  }
}

/** k = 0: C = from, or 0 without it. */
function fill(c: usize, ldc: usize, from: usize, fromStride: usize, m: i32, n: i32): void {
  for (; m > 0; m--) {
    if (from) memory.copy(c, from, bytes(n));
    else memory.fill(c, 0, bytes(n));
    c += ldc;
    if (from) from += fromStride;
  }
}

/** The bytes of `count` floats. */
// @ts-ignore: decorator
@inline function bytes(count: i32): usize {
  return <usize>count << 2;
}

/**
 * The matrix product of OP_GEMM, and of OP_GEMM_PANELS, which is all of it that binaries for inference have:
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
 * (or to the bias) in turn, whatever m, n, the layouts of A and B or the path taken: a row decoded alone has the bits it
 * has in a batch, and packed weights give the bits of weights that are packed on the way.
 * Error: |c − exact| ≤ (min(k, KC) + k / 8 + 8) · 2⁻²³ · (|C or bias| + Σ_k |A[i, k]| · |B[k, j]|), to first order.
 * Threads share the longer of n and m, in whole tiles. Each share packs for itself.
 * Source: K. Goto, R. van de Geijn (2008), see pack.ts; the names of the loops are those of BLIS (flame/blis).
 */
import * as op from '../abi';
import { IS_FULL } from '../build';
import { ptr, scratch, shareStart, size, word } from '../interpreter/descriptor';
import { blockSteps, chunksOf, decodePanel, stepBytes } from '../weights/panel';
import { pack, packSteps } from './pack';
import { rowBytes } from './quantize-rows';
import { quantizedProduct, ROW_QUANTUM } from './quantized';
import { holdF16, tileBf161x16, tileF161x16, tilePacked1x16, tilePacked2x16, tilePacked4x8, tilePacked6x8 } from './tile-packed';

/** Rows of the tallest tile: fused multiply-add needs no register for the product, so the tile can be taller. */
const MR: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4;
/** Columns of a panel of B: a cache line for each k. Tiles of more than two rows take it in halves. */
const NR: i32 = 16;
/**
 * Tried on Zen 4 with GPT-2's shapes: KC 256, 384, 512; MC 96, 192; NC 256, 512, 1,024: all within 2 %, but for
 * NC = 256 (−2 %). The smallest KC has the smallest error.
 */
const KC: i32 = 256;
const MC: i32 = 192;
const NC: i32 = 1024;
/** Up to so many rows, all of A is packed first, so that weights in panels are read from front to back. */
const FEW_ROWS: i32 = 8;
/** Threads share columns in units of a panel, which is a cache line. */
const COLUMN_QUANTUM: u32 = 16;

// Scratch: packed B, packed A, a tile for the edges, constants of 16-bit tiles. Few rows of any k are packed where B would be.
const PACKED_B_BYTES: i32 = KC * NC * 4;
const PACKED_A_BYTES: i32 = MC * KC * 4;
const EDGE_BYTES: i32 = 6 * NR * 4;
const HELD_BYTES: i32 = 32;
if (PACKED_B_BYTES + PACKED_A_BYTES + EDGE_BYTES + HELD_BYTES > op.GEMM_SCRATCH_BYTES) ERROR('gemm: GEMM_SCRATCH_BYTES is too small');

/** Columns or rows that a share has at least, where there are more shares than threads: with floats, each share packs A anew. */
const SHARE_OF_FLOATS: u32 = 384, SHARE_OF_INTEGERS: u32 = 96;
/** Shares for each thread at most. */
const MOST_SHARES: u32 = 8;

/** How many shares of the product each of several threads has. */
export function gemmShares(d: usize, ctx: usize, threads: u32): u32 {
  const longest = <u32>max(size(d, ctx, op.GEMM_M), size(d, ctx, op.GEMM_N));
  const least = word(d, op.GEMM_ENCODING) >= op.ENCODING_Q8 ? SHARE_OF_INTEGERS : SHARE_OF_FLOATS;
  return min(max(longest / (least * threads), 1), MOST_SHARES);
}

export function gemm(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const flags = word(d, op.GEMM_FLAGS);
  let m = size(d, ctx, op.GEMM_M), n = size(d, ctx, op.GEMM_N), k = size(d, ctx, op.GEMM_K);
  let c = ptr(d, op.GEMM_C), a = ptr(d, op.GEMM_A), b = ptr(d, op.GEMM_B), bias = ptr(d, op.GEMM_BIAS);
  const ldc = bytes(size(d, ctx, op.GEMM_LDC));
  const lda = bytes(size(d, ctx, op.GEMM_LDA)), ldb = bytes(size(d, ctx, op.GEMM_LDB));
  const transposedA = IS_FULL && (flags & op.FLAG_TRANSPOSE_A) != 0, transposed = IS_FULL && (flags & op.FLAG_TRANSPOSE_B) != 0;
  const aRow: usize = transposedA ? 4 : lda, aStep: usize = transposedA ? lda : 4;
  const bCol: usize = transposed ? ldb : 4, bStep: usize = transposed ? 4 : ldb;
  const encoding = word(d, op.GEMM_ENCODING), encoded = !IS_FULL || encoding != op.ENCODING_F32;
  const panelBytes = encoded ? stepBytes(encoding, transposed ? n : k) : 0;
  const quantized = encoding >= op.ENCODING_Q8 && !transposed, all = m;

  // This thread's share, as a product of its own.
  if (n >= m) {
    const quantum: u32 = encoded && transposed ? blockSteps(encoding) : COLUMN_QUANTUM; // no block is parted
    const first = shareStart(n, quantum, thread, threads);
    n = shareStart(n, quantum, thread + 1, threads) - first;
    if (!encoded) b += bCol * first;
    else b += transposed ? stepBytes(encoding, first) : <usize>(first / op.ENCODING_COLUMNS) * panelBytes;
    c += first << 2;
    if (bias) bias += first << 2;
  } else {
    const quantum: u32 = quantized ? ROW_QUANTUM : MR; // no group of quantized rows is parted
    const first = shareStart(m, quantum, thread, threads);
    m = shareStart(m, quantum, thread + 1, threads) - first;
    a += (quantized ? <usize>rowBytes(encoding, chunksOf(k)) : aRow) * first;
    c += ldc * first;
  }
  if (m == 0 || n == 0) return;

  let from = bias, fromStride: usize = 0;
  if (flags & op.FLAG_ACCUMULATE) {
    if (bias) addBias(c, ldc, bias, m, n);
    from = c;
    fromStride = ldc;
  }
  const spare = scratch(ctx);
  if (k == 0) fill(c, ldc, from, fromStride, m, n);
  else if (quantized) quantizedProduct(c, ldc, from, fromStride, a, b, encoding, m, n, k, all, spare);
  else if (!encoded || transposed)
    multiply(c, ldc, from, fromStride, a, aRow, aStep, b, bStep, bCol, encoding, panelBytes, m, n, k, spare);
  else if (m <= FEW_ROWS && fewRowsBytes(m, k) <= <usize>PACKED_B_BYTES)
    multiplyFewRows(c, ldc, from, fromStride, a, aRow, aStep, b, encoding, panelBytes, m, n, k, spare);
  else multiplyPanels(c, ldc, from, fromStride, a, aRow, aStep, b, encoding, panelBytes, m, n, k, spare);
}

/**
 * C = from + A · B, the five loops. `from`: absent, a bias (stride 0) or C itself. With an encoding, B is the transpose of
 * what its panels hold: n steps of k columns.
 */
function multiply(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize, bCol: usize, encoding: i32, panelBytes: usize,
  m: i32, n: i32, k: i32, packedB: usize,
): void {
  const packedA = packedB + PACKED_B_BYTES;
  const edge = packedA + PACKED_A_BYTES;
  for (let jc = 0; jc < n; jc += NC) { // loop 5
    const nc = min(NC, n - jc);
    let addend = from ? from + bytes(jc) : 0, addendStride = fromStride;
    for (let pc = 0; pc < k; pc += KC) { // loop 4
      const kc = min(KC, k - pc);
      if (encoding) packTransposedPanels(packedB, b, encoding, panelBytes, pc, kc, jc, nc, packedA);
      else pack(packedB, b + <usize>pc * bStep + <usize>jc * bCol, bCol, bStep, nc, kc, NR);
      for (let ic = 0; ic < m; ic += MC) { // loop 3
        const mc = min(MC, m - ic);
        packRows(packedA, a + <usize>ic * aRow + <usize>pc * aStep, aRow, aStep, mc, kc);
        let panel = packedB;
        for (let jr = 0; jr < nc; jr += NR) { // loop 2
          multiplyPanel(
            c + <usize>ic * ldc + bytes(jc + jr), ldc, addend ? addend + <usize>ic * addendStride + bytes(jr) : 0, addendStride,
            packedA, panel, mc, min(NR, nc - jr), kc, edge,
          );
          panel += bytes(NR * kc);
        }
      }
      addend = c + bytes(jc);
      addendStride = ldc;
    }
  }
}

/** Steps [pc, pc + kc) of Wᵀ, which are columns of W, for its columns [jc, jc + nc), which are steps of W. */
function packTransposedPanels(
  packedB: usize, b: usize, encoding: i32, panelBytes: usize, pc: i32, kc: i32, jc: i32, nc: i32, floats: usize,
): void {
  for (let step = 0; step < kc; step += NR) {
    decodePanel(floats, b + <usize>((pc + step) / NR) * panelBytes, encoding, jc, nc);
    packSteps(packedB, floats, 64, nc, step, min(NR, kc - step), kc, NR);
  }
}

/** C = from + A · W, W in panels of floats: nothing of W is copied, but 16-bit floats become f32 on the way. */
function multiplyPanels(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  a: usize, aRow: usize, aStep: usize, weights: usize, encoding: i32, panelBytes: usize,
  m: i32, n: i32, k: i32, floats: usize,
): void {
  const packedA = floats + PACKED_B_BYTES;
  const edge = packedA + PACKED_A_BYTES;
  for (let pc = 0; pc < k; pc += KC) {
    const kc = min(KC, k - pc);
    for (let ic = 0; ic < m; ic += MC) {
      const mc = min(MC, m - ic);
      packRows(packedA, a + <usize>ic * aRow + <usize>pc * aStep, aRow, aStep, mc, kc);
      let panel = weights + stepBytes(encoding, pc), at = c + <usize>ic * ldc, addend = from ? from + <usize>ic * fromStride : 0;
      for (let j = 0; j < n; j += NR) {
        const b = asFloats(panel, encoding, kc, floats);
        multiplyPanel(at, ldc, addend, fromStride, packedA, b, mc, min(NR, n - j), kc, edge);
        panel += panelBytes;
        at += bytes(NR);
        if (addend) addend += bytes(NR);
      }
    }
    from = c;
    fromStride = ldc;
  }
}

/** The same for at most FEW_ROWS rows: decoding. Each panel is read once, from front to back. */
function multiplyFewRows(
  c: usize, ldc: usize, from: usize, fromStride: usize,
  a: usize, aRow: usize, aStep: usize, weights: usize, encoding: i32, panelBytes: usize,
  m: i32, n: i32, k: i32, packedA: usize,
): void {
  const floats = packedA + PACKED_B_BYTES, edge = floats + PACKED_A_BYTES, held = edge + EDGE_BYTES;
  holdF16(held);
  for (let pc = 0; pc < k; pc += KC) {
    packRows(packedA + fewRowsBytes(m, pc), a + <usize>pc * aStep, aRow, aStep, m, min(KC, k - pc));
  }
  for (let j = 0; j < n; j += NR) {
    let addend = from, addendStride = fromStride;
    for (let pc = 0; pc < k; pc += KC) {
      const kc = min(KC, k - pc), panel = weights + stepBytes(encoding, pc), rows = packedA + fewRowsBytes(m, pc);
      if (m == 1 && n - j >= NR && encoding == op.ENCODING_F16) tileF161x16(c, addend, rows, panel, kc, held);
      else if (m == 1 && n - j >= NR && encoding == op.ENCODING_BF16) tileBf161x16(c, addend, rows, panel, kc);
      else multiplyPanel(c, ldc, addend, addendStride, rows, asFloats(panel, encoding, kc, floats), m, min(NR, n - j), kc, edge);
      addend = c;
      addendStride = ldc;
    }
    weights += panelBytes;
    c += bytes(NR);
    if (from) from += bytes(NR);
  }
}

/** Bytes of k steps of m packed rows. */
// @ts-ignore: decorator
@inline function fewRowsBytes(m: i32, k: i32): usize {
  const rest = m % MR;
  return bytes((m - rest + groupRows(rest)) * k);
}

/** kc steps of a panel as f32: in place, or decoded into `floats`. */
// @ts-ignore: decorator
@inline function asFloats(panel: usize, encoding: i32, kc: i32, floats: usize): usize {
  if (encoding == op.ENCODING_PACKED) return panel;
  decodePanel(floats, panel, encoding, 0, kc);
  return floats;
}

/** The rows of the tile that takes the last `rest` rows. */
// @ts-ignore: decorator
@inline function groupRows(rest: i32): i32 {
  if (rest < 3) return rest;
  return rest < 5 ? 4 : 6;
}

/** Rows of A in groups of MR; the last group is as tall as the tile that takes it. */
function packRows(dst: usize, a: usize, aRow: usize, aStep: usize, m: i32, k: i32): void {
  const rest = m % MR, whole = m - rest;
  pack(dst, a, aRow, aStep, whole, k, MR);
  dst += bytes(whole * k);
  a += <usize>whole * aRow;
  const height = groupRows(rest);
  if (height == 1) pack(dst, a, aRow, aStep, rest, k, 1);
  else if (height == 2) pack(dst, a, aRow, aStep, rest, k, 2);
  else if (height == 4) pack(dst, a, aRow, aStep, rest, k, 4);
  else if (height == 6) pack(dst, a, aRow, aStep, rest, k, 6);
}

/** Loop 1: all rows of packed A against one panel of B, `columns` of whose columns count. */
function multiplyPanel(
  c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, b: usize, m: i32, columns: i32, k: i32, edge: usize,
): void {
  for (let rows = m; rows > 0; rows -= MR) {
    const height = rows >= MR ? MR : groupRows(rows);
    if (rows >= height && columns == NR) {
      tilePacked(c, ldc, from, fromStride, a, b, k, height);
    } else {
      tilePacked(edge, NR << 2, 0, 0, a, b, k, height);
      for (let i = 0, count = min(height, rows); i < count; i++) {
        addRow(c + <usize>i * ldc, from ? from + <usize>i * fromStride : 0, edge + bytes(i * NR), columns);
      }
    }
    a += bytes(MR * k);
    c += <usize>MR * ldc;
    if (from) from += <usize>MR * fromStride;
  }
}

/** The tile of `height` rows and NR columns. */
// @ts-ignore: decorator
@inline function tilePacked(
  c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, b: usize, k: i32, height: i32,
): void {
  if (ASC_FEATURE_RELAXED_SIMD && height == 6) {
    tilePacked6x8(c, ldc, from, fromStride, a, b, k);
    tilePacked6x8(c + 32, ldc, from ? from + 32 : 0, fromStride, a, b + 32, k);
  } else if (height == 4) {
    tilePacked4x8(c, ldc, from, fromStride, a, b, k);
    tilePacked4x8(c + 32, ldc, from ? from + 32 : 0, fromStride, a, b + 32, k);
  } else if (height == 2) {
    tilePacked2x16(c, ldc, from, fromStride, a, b, k);
  } else {
    tilePacked1x16(c, ldc, from, fromStride, a, b, k);
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

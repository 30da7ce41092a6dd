/**
 * The register tile every product is made of:
 *
 *   C[MR, NR] = Σ_k A[:, k] ⊗ B[k, :]      summed strictly in order of k, from 0, by `madd`
 *
 *            b + k·ldb ──►  B[k, 0..NR)       two vectors, loaded once for each k
 *                         ┌───────┬───────┐
 *   a + i·aRow + k·aStep  │ c i0  │ c i1  │   MR × 2 accumulators in named locals, so that they stay in registers
 *   (one float, splatted) └───────┴───────┘
 *
 * Strides are in bytes and may be anything: A may lie in rows, in columns or packed; nothing needs alignment.
 * What is elsewhere: packing in pack.ts, the loops around the tile and products of few rows in gemm.ts, tiles over packed panels
 * in tile-packed.ts.
 */
import { madd } from '../math/simd';

/** Rows of the tile. */
export const MR = 4;
/** Columns of the tile. */
export const NR = 8;

/**
 * C[MR, NR] = Σ_k A[i, k] · B[k, j], or C += that sum with `accumulate`; k = 0 gives an empty sum, 0.
 *   c  MR rows of NR floats, `ldc` bytes apart
 *   a  element (i, k) at a + i·aRowStride + k·aStepStride bytes
 *   b  row k at b + k·ldb bytes, NR contiguous floats
 * The whole tile is read and written: the caller sees to it that the memory is there (zero padded, or a temporary).
 * Error: |c − exact| ≤ (k + 1) · 2⁻²³ · Σ_k |A[i, k]| · |B[k, j]|, to first order.
 */
export function tileStrided(
  c: usize, ldc: usize,
  a: usize, aRowStride: usize, aStepStride: usize,
  b: usize, ldb: usize,
  k: i32, accumulate: bool,
): void {
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let a1 = a + aRowStride, a2 = a1 + aRowStride, a3 = a2 + aRowStride;
  for (; k > 0; k--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const x0 = v128.load32_splat(a);
    c00 = madd(x0, b0, c00);
    c01 = madd(x0, b1, c01);
    const x1 = v128.load32_splat(a1);
    c10 = madd(x1, b0, c10);
    c11 = madd(x1, b1, c11);
    const x2 = v128.load32_splat(a2);
    c20 = madd(x2, b0, c20);
    c21 = madd(x2, b1, c21);
    const x3 = v128.load32_splat(a3);
    c30 = madd(x3, b0, c30);
    c31 = madd(x3, b1, c31);
    a += aStepStride;
    a1 += aStepStride;
    a2 += aStepStride;
    a3 += aStepStride;
    b += ldb;
  }
  storeRow(c, c00, c01, accumulate);
  storeRow(c + ldc, c10, c11, accumulate);
  storeRow(c + 2 * ldc, c20, c21, accumulate);
  storeRow(c + 3 * ldc, c30, c31, accumulate);
}

/** One row of a tile: stored, or added to what is there. */
// @ts-ignore: decorator
@inline function storeRow(c: usize, left: v128, right: v128, accumulate: bool): void {
  if (accumulate) {
    left = f32x4.add(v128.load(c), left);
    right = f32x4.add(v128.load(c, 16), right);
  }
  v128.store(c, left);
  v128.store(c, right, 16);
}

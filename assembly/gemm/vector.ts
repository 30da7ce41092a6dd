/**
 * One row times a matrix, for decoding: every weight is read once, so memory sets the pace.
 *
 *   c[n] = from[n] + Σ_k a[k] · B[k, n]       (k one block of at most KC, summed in order from 0, as in the tile)
 *
 * `vectorRows`:    B stored [k, n]. Eight rows of B at a time are read from left to right and added to sums that stay
 *                  in the first-level cache.
 * `vectorColumns`: B stored [n, k]. Eight rows of B (columns of the product) at a time, transposed 4 × 4 in registers
 *                  so that each column's sum is still in order of k: the bits are those of a larger product.
 * What is elsewhere: the loop over blocks of k, bias and accumulation in gemm.ts.
 */
import { madd } from '../simd';

/** sums[0..n) = Σ_k a[k] · B[k, 0..n): overwrites. `aStep`, `bStep`: bytes from one k to the next. */
export function vectorRows(sums: usize, a: usize, aStep: usize, b: usize, bStep: usize, n: i32, k: i32): void {
  memory.fill(sums, 0, <usize>n << 2);
  for (; k >= 8; k -= 8) {
    addEightRows(sums, a, aStep, b, bStep, n);
    a += 8 * aStep;
    b += 8 * bStep;
  }
  for (; k > 0; k--) {
    addRow(sums, load<f32>(a), b, n);
    a += aStep;
    b += bStep;
  }
}

function addEightRows(sums: usize, a: usize, aStep: usize, b: usize, bStep: usize, n: i32): void {
  const x0 = v128.load32_splat(a), x1 = v128.load32_splat(a + aStep);
  const x2 = v128.load32_splat(a + 2 * aStep), x3 = v128.load32_splat(a + 3 * aStep);
  const x4 = v128.load32_splat(a + 4 * aStep), x5 = v128.load32_splat(a + 5 * aStep);
  const x6 = v128.load32_splat(a + 6 * aStep), x7 = v128.load32_splat(a + 7 * aStep);
  let b1 = b + bStep, b2 = b1 + bStep, b3 = b2 + bStep, b4 = b3 + bStep, b5 = b4 + bStep, b6 = b5 + bStep, b7 = b6 + bStep;
  for (; n >= 8; n -= 8) {
    let left = madd(x0, v128.load(b), v128.load(sums)), right = madd(x0, v128.load(b, 16), v128.load(sums, 16));
    left = madd(x1, v128.load(b1), left);
    right = madd(x1, v128.load(b1, 16), right);
    left = madd(x2, v128.load(b2), left);
    right = madd(x2, v128.load(b2, 16), right);
    left = madd(x3, v128.load(b3), left);
    right = madd(x3, v128.load(b3, 16), right);
    left = madd(x4, v128.load(b4), left);
    right = madd(x4, v128.load(b4, 16), right);
    left = madd(x5, v128.load(b5), left);
    right = madd(x5, v128.load(b5, 16), right);
    left = madd(x6, v128.load(b6), left);
    right = madd(x6, v128.load(b6, 16), right);
    v128.store(sums, madd(x7, v128.load(b7), left));
    v128.store(sums, madd(x7, v128.load(b7, 16), right), 16);
    sums += 32;
    b += 32;
    b1 += 32;
    b2 += 32;
    b3 += 32;
    b4 += 32;
    b5 += 32;
    b6 += 32;
    b7 += 32;
  }
  for (; n > 0; n--) {
    let sum = madd(x0, v128.load32_zero(b), v128.load32_zero(sums));
    sum = madd(x1, v128.load32_zero(b1), sum);
    sum = madd(x2, v128.load32_zero(b2), sum);
    sum = madd(x3, v128.load32_zero(b3), sum);
    sum = madd(x4, v128.load32_zero(b4), sum);
    sum = madd(x5, v128.load32_zero(b5), sum);
    sum = madd(x6, v128.load32_zero(b6), sum);
    sum = madd(x7, v128.load32_zero(b7), sum);
    v128.store_lane<f32>(sums, sum, 0);
    sums += 4;
    b += 4;
    b1 += 4;
    b2 += 4;
    b3 += 4;
    b4 += 4;
    b5 += 4;
    b6 += 4;
    b7 += 4;
  }
}

function addRow(sums: usize, x: f32, b: usize, n: i32): void {
  const x0 = f32x4.splat(x);
  for (; n >= 4; n -= 4) {
    v128.store(sums, madd(x0, v128.load(b), v128.load(sums)));
    sums += 16;
    b += 16;
  }
  for (; n > 0; n--) {
    v128.store_lane<f32>(sums, madd(x0, v128.load32_zero(b), v128.load32_zero(sums)), 0);
    sums += 4;
    b += 4;
  }
}

/** sums[0..n) = Σ_k a[k] · B[0..n, k]: overwrites. `bCol`: bytes from one row of the stored B to the next. */
export function vectorColumns(sums: usize, a: usize, aStep: usize, b: usize, bCol: usize, n: i32, k: i32): void {
  for (; n >= 8; n -= 8) {
    eightColumns(sums, a, aStep, b, bCol, k);
    sums += 32;
    b += 8 * bCol;
  }
  for (; n > 0; n--) {
    oneColumn(sums, a, aStep, b, k);
    sums += 4;
    b += bCol;
  }
}

function eightColumns(sums: usize, a: usize, aStep: usize, b: usize, bCol: usize, k: i32): void {
  let left = f32x4.splat(0), right = f32x4.splat(0);
  let b1 = b + bCol, b2 = b1 + bCol, b3 = b2 + bCol, b4 = b3 + bCol, b5 = b4 + bCol, b6 = b5 + bCol, b7 = b6 + bCol;
  for (; k >= 4; k -= 4) {
    const x0 = v128.load32_splat(a), x1 = v128.load32_splat(a + aStep);
    const x2 = v128.load32_splat(a + 2 * aStep), x3 = v128.load32_splat(a + 3 * aStep);
    left = fourColumns(left, x0, x1, x2, x3, v128.load(b), v128.load(b1), v128.load(b2), v128.load(b3));
    right = fourColumns(right, x0, x1, x2, x3, v128.load(b4), v128.load(b5), v128.load(b6), v128.load(b7));
    a += 4 * aStep;
    b += 16;
    b1 += 16;
    b2 += 16;
    b3 += 16;
    b4 += 16;
    b5 += 16;
    b6 += 16;
    b7 += 16;
  }
  for (; k > 0; k--) {
    const x0 = v128.load32_splat(a);
    left = madd(x0, gather(b, b1, b2, b3), left);
    right = madd(x0, gather(b4, b5, b6, b7), right);
    a += aStep;
    b += 4;
    b1 += 4;
    b2 += 4;
    b3 += 4;
    b4 += 4;
    b5 += 4;
    b6 += 4;
    b7 += 4;
  }
  v128.store(sums, left);
  v128.store(sums, right, 16);
}

/** Four steps of k of four columns: the columns come as rows r0 … r3 and are transposed. */
// @ts-ignore: decorator
@inline function fourColumns(
  sum: v128, x0: v128, x1: v128, x2: v128, x3: v128,
  r0: v128, r1: v128, r2: v128, r3: v128,
): v128 {
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  sum = madd(x0, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5), sum);
  sum = madd(x1, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7), sum);
  sum = madd(x2, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5), sum);
  return madd(x3, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7), sum);
}

/** One float of each of four rows. */
// @ts-ignore: decorator
@inline function gather(b0: usize, b1: usize, b2: usize, b3: usize): v128 {
  return v128.load_lane<f32>(b3, v128.load_lane<f32>(b2, v128.load_lane<f32>(b1, v128.load32_zero(b0), 1), 2), 3);
}

function oneColumn(sums: usize, a: usize, aStep: usize, b: usize, k: i32): void {
  let sum = f32x4.splat(0);
  for (; k > 0; k--) {
    sum = madd(v128.load32_zero(a), v128.load32_zero(b), sum);
    a += aStep;
    b += 4;
  }
  v128.store_lane<f32>(sums, sum, 0);
}

/**
 * The products of row.ts with a right operand of bf16, widened on the way: the bits of row.ts on what is widened. Both read memory
 * strictly from front to back, a line in each step: with four heads in runs of their own, or every other line of values first, 8
 * sequences of 84 positions were read at 15 GB/s, so at 24 (Zen 5; f32 23, a plain read 28).
 */
import { held } from '../math/lanes';
import { madd } from '../math/simd';

/** Columns of values side by side. */
export const COLUMNS_TOGETHER: i32 = 32;

/** bf16 0 … 3 of eight as floats. `zero` is held (lanes.ts). */
// @ts-ignore: decorator
@inline export function lowerFloats(x: v128, zero: v128): v128 {
  return v128.shuffle<i16>(zero, x, 0, 8, 1, 9, 2, 10, 3, 11);
}

/** bf16 4 … 7. */
// @ts-ignore: decorator
@inline export function upperFloats(x: v128, zero: v128): v128 {
  return v128.shuffle<i16>(zero, x, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** Scores of four heads: c_h [8] = a_h [k] · B_h [k][8], where B is [k][4][8]; c_h are `cStride` bytes, a_h k floats apart. */
export function fourRowsTimesPanels(c: usize, cStride: usize, a: usize, b: usize, k: i32): void {
  const zero = held(0, k >> 31), aStride = <usize>k << 2, a1 = a + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
  for (let at: usize = 0; at < aStride; at += 4) {
    const x0 = v128.load32_splat(a + at), y0 = v128.load(b);
    c0 = madd(x0, lowerFloats(y0, zero), c0);
    c1 = madd(x0, upperFloats(y0, zero), c1);
    const x1 = v128.load32_splat(a1 + at), y1 = v128.load(b, 16);
    c2 = madd(x1, lowerFloats(y1, zero), c2);
    c3 = madd(x1, upperFloats(y1, zero), c3);
    const x2 = v128.load32_splat(a2 + at), y2 = v128.load(b, 32);
    c4 = madd(x2, lowerFloats(y2, zero), c4);
    c5 = madd(x2, upperFloats(y2, zero), c5);
    const x3 = v128.load32_splat(a3 + at), y3 = v128.load(b, 48);
    c6 = madd(x3, lowerFloats(y3, zero), c6);
    c7 = madd(x3, upperFloats(y3, zero), c7);
    b += 64;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  c += cStride;
  v128.store(c, c2);
  v128.store(c, c3, 16);
  c += cStride;
  v128.store(c, c4);
  v128.store(c, c5, 16);
  c += cStride;
  v128.store(c, c6);
  v128.store(c, c7, 16);
}

/** c [parts · 32] = Σ_k a[k] · row k of each part [8][32], k up to 8; overwrites c, or continues it with `resume`. */
export function rowTimesParts(c: usize, a: usize, b: usize, parts: i32, k: i32, resume: bool): void {
  const zero = held(0, k >> 31);
  for (; parts > 0; parts--) {
    rowProduct4(c, a, b, 2 * COLUMNS_TOGETHER, k, resume, zero);
    c += 4 * COLUMNS_TOGETHER;
    b += 16 * COLUMNS_TOGETHER;
  }
}

/** c [groups · 8] = Σ_k a[k] · row k, or continues c with `resume`; rows are `step` bytes apart. */
export function rowTimesColumns(c: usize, a: usize, b: usize, step: usize, groups: i32, k: i32, resume: bool): void {
  const zero = held(0, k >> 31);
  for (; groups >= 4; groups -= 4) {
    rowProduct4(c, a, b, step, k, resume, zero);
    c += 128;
    b += 64;
  }
  for (; groups > 0; groups--) {
    rowProduct1(c, a, b, step, k, resume, zero);
    c += 32;
    b += 16;
  }
}

function rowProduct4(c: usize, a: usize, b: usize, step: usize, k: i32, resume: bool, zero: v128): void {
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), c2 = f32x4.splat(0), c3 = f32x4.splat(0);
  let c4 = f32x4.splat(0), c5 = f32x4.splat(0), c6 = f32x4.splat(0), c7 = f32x4.splat(0);
  if (resume) {
    c0 = v128.load(c);
    c1 = v128.load(c, 16);
    c2 = v128.load(c, 32);
    c3 = v128.load(c, 48);
    c4 = v128.load(c, 64);
    c5 = v128.load(c, 80);
    c6 = v128.load(c, 96);
    c7 = v128.load(c, 112);
  }
  for (; k > 0; k--) {
    const x = v128.load32_splat(a);
    const y0 = v128.load(b), y1 = v128.load(b, 16), y2 = v128.load(b, 32), y3 = v128.load(b, 48);
    c0 = madd(x, lowerFloats(y0, zero), c0);
    c1 = madd(x, upperFloats(y0, zero), c1);
    c2 = madd(x, lowerFloats(y1, zero), c2);
    c3 = madd(x, upperFloats(y1, zero), c3);
    c4 = madd(x, lowerFloats(y2, zero), c4);
    c5 = madd(x, upperFloats(y2, zero), c5);
    c6 = madd(x, lowerFloats(y3, zero), c6);
    c7 = madd(x, upperFloats(y3, zero), c7);
    a += 4;
    b += step;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
  v128.store(c, c4, 64);
  v128.store(c, c5, 80);
  v128.store(c, c6, 96);
  v128.store(c, c7, 112);
}

function rowProduct1(c: usize, a: usize, b: usize, step: usize, k: i32, resume: bool, zero: v128): void {
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0);
  if (resume) {
    c0 = v128.load(c);
    c1 = v128.load(c, 16);
  }
  for (; k > 0; k--) {
    const x = v128.load32_splat(a), y = v128.load(b);
    c0 = madd(x, lowerFloats(y, zero), c0);
    c1 = madd(x, upperFloats(y, zero), c1);
    a += 4;
    b += step;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
}

/**
 * What q8 and q4 share: blocks of floats [steps][16 columns], a scale for each column, and integers of the scale as it is stored, so
 * that rounding scales to bf16 costs no accuracy. All arithmetic is f32, in an order that test/kernels/weights-twin.ts repeats.
 */

// @ts-ignore: decorator
@inline export function row(tile: usize, k: i32): v128 {
  return v128.load(tile + (<usize>k << 6));
}

/** |x| < ∞ in all lanes. */
// @ts-ignore: decorator
@inline export function allFinite(magnitude: v128): bool {
  return i32x4.all_true(f32x4.lt(magnitude, f32x4.splat(Infinity)));
}

/** max |w| of four columns; NaN where a value is NaN. */
export function largest(tile: usize, steps: i32): v128 {
  let max = f32x4.splat(0);
  for (let k = 0; k < steps; k++) max = f32x4.max(max, f32x4.abs(row(tile, k)));
  return max;
}

/** x rounded away from 0 to bf16, as f32. */
// @ts-ignore: decorator
@inline export function upToBf16(x: v128): v128 {
  return v128.and(i32x4.add(x, i32x4.splat(0xffff)), i32x4.splat(0xffff0000));
}

/** The upper halves of four words. */
// @ts-ignore: decorator
@inline export function storeUpperHalves(at: usize, x: v128): void {
  v128.store_lane<u64>(at, i8x16.shuffle(x, x, 2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15), 0);
}

/** nearest(x / scale) as integers; 0 where the scale is 0. */
// @ts-ignore: decorator
@inline export function quotient(x: v128, scale: v128, nonzero: v128): v128 {
  return v128.and(i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(x, scale))), nonzero);
}

/** Four bf16 scales as floats. */
// @ts-ignore: decorator
@inline export function scales(at: usize): v128 {
  return i32x4.shl(v128.load16x4_u(at), 16);
}

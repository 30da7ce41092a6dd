/**
 * The exponential of softmax: that of math.ts, of numbers up to 0, with its constants in scratch memory.
 *
 * V8 (Node 26, x86) rebuilds a vector constant at each use by three instructions, which took longer than the rest of
 * exp; loading it is one. Attention forward over 1,024 keys of 64 went from 28 to 31 GFLOP/s (simd128), prefill with
 * relaxed from 35 to 41. Below LOWEST the result is 0: beside the largest p, which is 1, such numbers vanish, and as
 * factors they would make subnormal products, which are slow.
 */
import { EXP_Q0, EXP_Q1, EXP_Q2, EXP_Q3, EXP_Q4, LN2_HIGH, LN2_LOW, LOG2_E, ROUNDER, expWith } from '../math/math';

/** Bytes of the constants. */
export const EXP_BYTES: usize = 192;
const LOWEST: f32 = -64;

/** Writes the constants to EXP_BYTES bytes at `at`. */
export function writeExp(at: usize): void {
  v128.store(at, f32x4.splat(LOG2_E));
  v128.store(at, f32x4.splat(ROUNDER), 16);
  v128.store(at, f32x4.splat(-LN2_HIGH), 32);
  v128.store(at, f32x4.splat(-LN2_LOW), 48);
  v128.store(at, f32x4.splat(EXP_Q4), 64);
  v128.store(at, f32x4.splat(EXP_Q3), 80);
  v128.store(at, f32x4.splat(EXP_Q2), 96);
  v128.store(at, f32x4.splat(EXP_Q1), 112);
  v128.store(at, f32x4.splat(EXP_Q0), 128);
  v128.store(at, f32x4.splat(1), 144);
  v128.store(at, f32x4.splat(LOWEST), 160);
}

/**
 * eˣ for x ≤ 0, with the constants that writeExp wrote to `at`; x above 0, which rounding alone makes, counts as 0.
 * Error ≤ 1 ULP; 0 below −64 (also at −∞), NaN for NaN.
 */
// @ts-ignore: decorator
@inline export function softmaxExp(x: v128, at: usize): v128 {
  return expWith(
    f32x4.pmin(x, f32x4.splat(0)), v128.load(at), v128.load(at, 16), v128.load(at, 32), v128.load(at, 48),
    v128.load(at, 64), v128.load(at, 80), v128.load(at, 96), v128.load(at, 112), v128.load(at, 128),
    v128.load(at, 144), v128.load(at, 160),
  );
}

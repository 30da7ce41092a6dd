/**
 * Sums of f32 in f64 lanes. Order: eight partial sums, element i in number i mod 8; leftovers below 8 one by one into a
 * ninth; then pairwise.
 */

/** The third and fourth of four floats as f64. */
// @ts-ignore: decorator
@inline export function promoteHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(i64x2.shuffle(v, v, 1, 1));
}

// @ts-ignore: decorator
@inline export function promoteLow(v: v128): v128 {
  return f64x2.promote_low_f32x4(v);
}

/** Lane 0 + lane 1. */
// @ts-ignore: decorator
@inline export function horizontalSum64(v: v128): f64 {
  return f64x2.extract_lane(v, 0) + f64x2.extract_lane(v, 1);
}

/** Σ of the floats in `bytes` bytes at `inp`. */
export function sum64(inp: usize, bytes: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const a = v128.load(inp + i), b = v128.load(inp + i, 16);
    s0 = f64x2.add(s0, promoteLow(a));
    s1 = f64x2.add(s1, promoteHigh(a));
    s2 = f64x2.add(s2, promoteLow(b));
    s3 = f64x2.add(s3, promoteHigh(b));
  }
  let rest: f64 = 0;
  for (; i < bytes; i += 4) rest += <f64>load<f32>(inp + i);
  return horizontalSum64(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))) + rest;
}

/** Σ of their squares, which are exact in f64. */
export function squares64(inp: usize, bytes: usize): f64 {
  let s0 = f64x2.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const a = v128.load(inp + i), b = v128.load(inp + i, 16);
    const a0 = promoteLow(a), a1 = promoteHigh(a), b0 = promoteLow(b), b1 = promoteHigh(b);
    s0 = f64x2.add(s0, f64x2.mul(a0, a0));
    s1 = f64x2.add(s1, f64x2.mul(a1, a1));
    s2 = f64x2.add(s2, f64x2.mul(b0, b0));
    s3 = f64x2.add(s3, f64x2.mul(b1, b1));
  }
  let rest: f64 = 0;
  for (; i < bytes; i += 4) rest += <f64>load<f32>(inp + i) * <f64>load<f32>(inp + i);
  return horizontalSum64(f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3))) + rest;
}

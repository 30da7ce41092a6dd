/**
 * Sums along a row, for norms. Order: 16 partial sums, element i in number i mod 16, leftovers four at a time in the first
 * four, below 4 in the first.
 */
import { horizontalSum, madd } from './simd';

/** Σ inp. */
export function rowSum(inp: usize, rowBytes: usize): f32 {
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 64 <= rowBytes; i += 64) {
    s0 = f32x4.add(s0, v128.load(inp + i));
    s1 = f32x4.add(s1, v128.load(inp + i, 16));
    s2 = f32x4.add(s2, v128.load(inp + i, 32));
    s3 = f32x4.add(s3, v128.load(inp + i, 48));
  }
  for (; i + 16 <= rowBytes; i += 16) s0 = f32x4.add(s0, v128.load(inp + i));
  for (; i < rowBytes; i += 4) s0 = f32x4.add(s0, v128.load32_zero(inp + i));
  return horizontalSum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/** Σ (inp − mean)². */
export function rowSquares(inp: usize, rowBytes: usize, mean: f32): f32 {
  const means = f32x4.splat(mean);
  let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  let i: usize = 0;
  for (; i + 64 <= rowBytes; i += 64) {
    const x0 = f32x4.sub(v128.load(inp + i), means), x1 = f32x4.sub(v128.load(inp + i, 16), means);
    const x2 = f32x4.sub(v128.load(inp + i, 32), means), x3 = f32x4.sub(v128.load(inp + i, 48), means);
    s0 = madd(x0, x0, s0);
    s1 = madd(x1, x1, s1);
    s2 = madd(x2, x2, s2);
    s3 = madd(x3, x3, s3);
  }
  for (; i + 16 <= rowBytes; i += 16) {
    const x = f32x4.sub(v128.load(inp + i), means);
    s0 = madd(x, x, s0);
  }
  const mean0 = f32x4.replace_lane(f32x4.splat(0), 0, mean);
  for (; i < rowBytes; i += 4) {
    const x = f32x4.sub(v128.load32_zero(inp + i), mean0);
    s0 = madd(x, x, s0);
  }
  return horizontalSum(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
}

/**
 * Sine and cosine of angles in radians, two lanes of f64: the same bits on every host, which Math.sin does not promise.
 *
 * Range reduction as in W. J. Cody and W. Waite, "Software Manual for the Elementary Functions", 1980: n = θ · 2/π rounded,
 * r = θ − n · π/2 with π/2 in two parts. The first has 33 bits, so that its product with |n| ≤ 2²⁰ is exact, and so is the
 * difference with a θ that came from f32. Then |r| ≤ π/4, where Taylor's series to r¹¹ and r¹² are off by less than 1e-11.
 */

const TWO_BY_PI: f64 = 0.6366197723675814;
/** π/2 rounded to 33 bits, and what is left of it. */
const HALF_PI_HIGH: f64 = 1.5707963267341256;
const HALF_PI_LOW: f64 = 6.077100506506192e-11;
/** 1.5 · 2⁵²: adding it rounds |x| < 2⁵¹ to an integer, which then stands in the low bits. */
const ROUNDER_64: f64 = 6755399441055744;

/** sin θ in lanes 0 and 1, cos θ in lanes 2 and 3, rounded to f32 from an error ≤ 1e-11; |θ| ≤ 1.6e6. NaN for NaN and ±∞. */
// @ts-ignore: decorator
@inline export function sinCos64(angle: v128): v128 {
  const shifted = f64x2.add(f64x2.mul(angle, f64x2.splat(TWO_BY_PI)), f64x2.splat(ROUNDER_64));
  const n = f64x2.sub(shifted, f64x2.splat(ROUNDER_64));
  let r = f64x2.sub(angle, f64x2.mul(n, f64x2.splat(HALF_PI_HIGH)));
  r = f64x2.sub(r, f64x2.mul(n, f64x2.splat(HALF_PI_LOW)));
  const r2 = f64x2.mul(r, r);

  let s = f64x2.splat(-1.0 / 39916800.0);
  s = f64x2.add(f64x2.mul(s, r2), f64x2.splat(1.0 / 362880.0));
  s = f64x2.add(f64x2.mul(s, r2), f64x2.splat(-1.0 / 5040.0));
  s = f64x2.add(f64x2.mul(s, r2), f64x2.splat(1.0 / 120.0));
  s = f64x2.add(f64x2.mul(s, r2), f64x2.splat(-1.0 / 6.0));
  const sine = f64x2.add(r, f64x2.mul(f64x2.mul(s, r2), r));

  let c = f64x2.splat(1.0 / 479001600.0);
  c = f64x2.add(f64x2.mul(c, r2), f64x2.splat(-1.0 / 3628800.0));
  c = f64x2.add(f64x2.mul(c, r2), f64x2.splat(1.0 / 40320.0));
  c = f64x2.add(f64x2.mul(c, r2), f64x2.splat(-1.0 / 720.0));
  c = f64x2.add(f64x2.mul(c, r2), f64x2.splat(1.0 / 24.0));
  c = f64x2.add(f64x2.mul(c, r2), f64x2.splat(-0.5));
  const cosine = f64x2.add(f64x2.splat(1), f64x2.mul(c, r2));

  // A quarter turn makes a cosine of a sine, and a negative sine of a cosine; n says how many.
  const odd = i64x2.neg(v128.and(shifted, i64x2.splat(1)));
  const sineSign = i64x2.shl(v128.and(shifted, i64x2.splat(2)), 62);
  const cosineSign = i64x2.shl(v128.and(i64x2.add(shifted, i64x2.splat(1)), i64x2.splat(2)), 62);
  const sin = v128.xor(v128.bitselect(cosine, sine, odd), sineSign);
  const cos = v128.xor(v128.bitselect(sine, cosine, odd), cosineSign);
  return i64x2.shuffle(f32x4.demote_f64x2_zero(sin), f32x4.demote_f64x2_zero(cos), 0, 2);
}

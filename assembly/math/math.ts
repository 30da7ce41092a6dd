/**
 * Elementary functions on four f32 lanes, written as polynomials: the same bits on every host, which Math.* does not
 * promise. A lane's result does not depend on the other lanes, so the scalar twins are a splat and an extract.
 *
 * Polynomial coefficients: minimax in relative error (Lawson's iteratively reweighted least squares, 1961), rounded to
 * f32 one after the other, lowest degree first, the rest refitted each time. Ranges are reduced as in W. J. Cody and
 * W. Waite, "Software Manual for the Elementary Functions", 1980.
 *
 * Error bounds are the largest found by test/kernels/math.test.ts. Results that would be subnormal are 0.
 */
import { madd } from './simd';

// ── exp ───────────────────────────────────────────────────────────────────────────────────────────────────────
export const LOG2_E: f32 = 1.44269504088896;
/** 1.5 · 2²³: adding it rounds |x| < 2²² to an integer, which then stands in the low bits. */
export const ROUNDER: f32 = 12582912;
/** ln 2 in two parts; the first has 9 bits, so that its product with an exponent is exact. */
export const LN2_HIGH: f32 = 0.693359375;
export const LN2_LOW: f32 = -0.000212194440054714;
/** ln of the smallest normal number, 2⁻¹²⁶. */
export const EXP_MIN: f32 = -87.3365447505531;
export const EXP_Q0: f32 = 0.49999994;
export const EXP_Q1: f32 = 0.166665211;
export const EXP_Q2: f32 = 0.0416682884;
export const EXP_Q3: f32 = 0.00836870354;
export const EXP_Q4: f32 = 0.00138189388;

/**
 * eˣ = 2ⁿ · (1 + r + r² q(r)), n = x / ln 2 rounded, r = x − n ln 2, for x ≤ 88.7, with the constants as arguments.
 * Error ≤ 1 ULP (simd128 and relaxed). 0 below ln 2⁻¹²⁶ (also at −∞), NaN for NaN.
 */
// @ts-ignore: decorator
@inline export function expWith(
  x: v128, log2E: v128, rounder: v128, ln2High: v128, ln2Low: v128,
  q4: v128, q3: v128, q2: v128, q1: v128, q0: v128, one: v128, lowest: v128,
): v128 {
  const shifted = madd(x, log2E, rounder);
  const n = f32x4.sub(shifted, rounder);
  const r = madd(n, ln2Low, madd(n, ln2High, x));
  const q = madd(r, madd(r, madd(r, madd(r, q4, q3), q2), q1), q0);
  const mantissa = f32x4.add(one, madd(f32x4.mul(r, r), q, r));
  // Times 2ⁿ by adding n to the exponent bits, which is right also for n = 128, where the mantissa is below 1.
  const flushed = v128.andnot(i32x4.add(mantissa, i32x4.shl(shifted, 23)), f32x4.lt(x, lowest));
  return v128.or(flushed, f32x4.ne(x, x)); // all ones is a NaN
}

/** eˣ, as expWith, for every x: ∞ where f32 overflows. */
// @ts-ignore: decorator
@inline export function expVector(x: v128): v128 {
  const e = expWith(
    f32x4.pmin(x, f32x4.splat(89)), // lets a NaN pass
    f32x4.splat(LOG2_E), f32x4.splat(ROUNDER), f32x4.splat(-LN2_HIGH), f32x4.splat(-LN2_LOW),
    f32x4.splat(EXP_Q4), f32x4.splat(EXP_Q3), f32x4.splat(EXP_Q2), f32x4.splat(EXP_Q1), f32x4.splat(EXP_Q0),
    f32x4.splat(1), f32x4.splat(EXP_MIN),
  );
  return i32x4.min_s(e, i32x4.splat(0x7f800000)); // up to 89 too large bits, not yet negative; NaN is negative
}

// ── log ───────────────────────────────────────────────────────────────────────────────────────────────────────
const MIN_NORMAL: f32 = 1.1754943508222875e-38;
/** Bits of √½ rounded down. */
const SQRT_HALF_BITS: i32 = 0x3f3504f3;
const LOG_P0: f32 = 0.333333313;
const LOG_P1: f32 = -0.250008196;
const LOG_P2: f32 = 0.200012416;
const LOG_P3: f32 = -0.166234091;
const LOG_P4: f32 = 0.1420158;
const LOG_P5: f32 = -0.131596103;
const LOG_P6: f32 = 0.127622172;
const LOG_P7: f32 = -0.0763643906;

/**
 * ln x = n ln 2 + ln(1 + f), 1 + f in [√½, √2), ln(1 + f) = f − f²/2 + f³ P(f). Error ≤ 1 ULP, subnormal x included.
 * −∞ at 0, NaN below, ∞ at ∞, NaN for NaN.
 */
// @ts-ignore: decorator
@inline export function logVector(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(MIN_NORMAL));
  const normal = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, tiny); // 2²³
  const exponent = i32x4.shr_s(i32x4.sub(normal, i32x4.splat(SQRT_HALF_BITS)), 23);
  const f = f32x4.sub(i32x4.sub(normal, i32x4.shl(exponent, 23)), f32x4.splat(1));
  const n = f32x4.convert_i32x4_s(i32x4.sub(exponent, v128.and(tiny, i32x4.splat(23))));
  let p = madd(f, f32x4.splat(LOG_P7), f32x4.splat(LOG_P6));
  p = madd(f, p, f32x4.splat(LOG_P5));
  p = madd(f, p, f32x4.splat(LOG_P4));
  p = madd(f, p, f32x4.splat(LOG_P3));
  p = madd(f, p, f32x4.splat(LOG_P2));
  p = madd(f, p, f32x4.splat(LOG_P1));
  p = madd(f, p, f32x4.splat(LOG_P0));
  const f2 = f32x4.mul(f, f);
  let y = madd(n, f32x4.splat(LN2_LOW), f32x4.mul(f32x4.mul(f2, f), p));
  y = madd(f2, f32x4.splat(-0.5), y);
  y = madd(n, f32x4.splat(LN2_HIGH), f32x4.add(f, y));
  y = v128.or(y, f32x4.lt(x, f32x4.splat(0)));
  y = v128.bitselect(y, x, f32x4.lt(x, f32x4.splat(Infinity)));
  return v128.bitselect(f32x4.splat(-Infinity), y, f32x4.eq(x, f32x4.splat(0)));
}

/** ln x, the same bits as a lane of logVector. */
// @ts-ignore: decorator
@inline export function logScalar(x: f32): f32 {
  return f32x4.extract_lane(logVector(f32x4.splat(x)), 0);
}

/**
 * ln x in f64, for normal x > 0: n ln 2 + 2 artanh(s), s = f / (2 + f), its odd series to s²¹. Relative error ≤ 1e-14,
 * near 1 too. NaN and ∞ come back as they are.
 */
export function log64(x: f64): f64 {
  if (!(x < Infinity)) return x;
  const bits = reinterpret<i64>(x);
  const n = (bits - 0x3fe6a09e667f3bcd) >> 52; // bits of √½
  const f = reinterpret<f64>(bits - (n << 52)) - 1;
  const s = f / (2 + f), s2 = s * s;
  let sum: f64 = 0;
  for (let k: f64 = 21; k > 1; k -= 2) sum = s2 * (sum + 1 / k);
  return <f64>n * 0.6931471805599453 + 2 * s * (1 + sum);
}

// ── tanh ──────────────────────────────────────────────────────────────────────────────────────────────────────
const TANH_SMALL: f32 = 0.625;
const TANH_T0: f32 = -0.333332807;
const TANH_T1: f32 = 0.133314058;
const TANH_T2: f32 = -0.0537365153;
const TANH_T3: f32 = 0.0206281673;
const TANH_T4: f32 = -0.00569229666;

/** tanh x: x + x³ T(x²) for |x| < 0.625, ±(1 − 2 / (e^2|x| + 1)) elsewhere. Error ≤ 2 ULP. */
// @ts-ignore: decorator
@inline export function tanhVector(x: v128): v128 {
  const z = f32x4.abs(x);
  const x2 = f32x4.mul(x, x);
  let t = madd(x2, f32x4.splat(TANH_T4), f32x4.splat(TANH_T3));
  t = madd(x2, t, f32x4.splat(TANH_T2));
  t = madd(x2, t, f32x4.splat(TANH_T1));
  t = madd(x2, t, f32x4.splat(TANH_T0));
  const small = madd(f32x4.mul(x2, x), t, x);
  const e = expVector(f32x4.add(z, z));
  const large = f32x4.sub(f32x4.splat(1), f32x4.div(f32x4.splat(2), f32x4.add(e, f32x4.splat(1))));
  const y = v128.bitselect(large, small, f32x4.ge(z, f32x4.splat(TANH_SMALL))); // NaN takes the polynomial
  return v128.bitselect(x, y, i32x4.splat(0x80000000));
}

// ── Normal distribution and erf ───────────────────────────────────────────────────────────────────────────────
const SQRT2: f32 = 1.4142135623731;
/** t = 1 / (1 + p z): the form of C. Hastings (1955; Abramowitz & Stegun 7.1.26) with more terms. */
const TAIL_P: f32 = 0.35;
const TAIL_1: f32 = 0.139621407;
const TAIL_2: f32 = 0.139861763;
const TAIL_3: f32 = 0.11983379;
const TAIL_4: f32 = 0.105503641;
const TAIL_5: f32 = -0.0230977144;
const TAIL_6: f32 = 0.159153804;
const TAIL_7: f32 = -0.255693942;
const TAIL_8: f32 = 0.14396064;
const TAIL_9: f32 = -0.0291434024;

/**
 * Φ(−z), the chance that a standard normal number exceeds z, given e = exp(−z²/2); 0 ≤ z ≤ 14.
 * Error ≤ 2e-7 absolute (at small z); relative to Φ(−z), the error of e plus 4e-7.
 */
// @ts-ignore: decorator
@inline export function normalTail(z: v128, e: v128): v128 {
  const t = f32x4.div(f32x4.splat(1), madd(z, f32x4.splat(TAIL_P), f32x4.splat(1)));
  let p = madd(t, f32x4.splat(TAIL_9), f32x4.splat(TAIL_8));
  p = madd(t, p, f32x4.splat(TAIL_7));
  p = madd(t, p, f32x4.splat(TAIL_6));
  p = madd(t, p, f32x4.splat(TAIL_5));
  p = madd(t, p, f32x4.splat(TAIL_4));
  p = madd(t, p, f32x4.splat(TAIL_3));
  p = madd(t, p, f32x4.splat(TAIL_2));
  p = madd(t, p, f32x4.splat(TAIL_1));
  return f32x4.mul(e, f32x4.mul(t, p));
}

const ERF_0: f32 = 0.128379166;
const ERF_1: f32 = -0.37612626;
const ERF_2: f32 = 0.112835787;
const ERF_3: f32 = -0.0268533472;
const ERF_4: f32 = 0.0051871622;
const ERF_5: f32 = -0.00079978531;
const ERF_6: f32 = 7.80690389e-5;

/** erf x: x + x E(x²) for |x| < 1, ±(1 − 2 Φ(−√2 |x|)) elsewhere. Error ≤ 2 ULP. */
// @ts-ignore: decorator
@inline export function erfVector(x: v128): v128 {
  const x2 = f32x4.mul(x, x);
  let p = madd(x2, f32x4.splat(ERF_6), f32x4.splat(ERF_5));
  p = madd(x2, p, f32x4.splat(ERF_4));
  p = madd(x2, p, f32x4.splat(ERF_3));
  p = madd(x2, p, f32x4.splat(ERF_2));
  p = madd(x2, p, f32x4.splat(ERF_1));
  p = madd(x2, p, f32x4.splat(ERF_0));
  const small = madd(x, p, x);
  const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(9));
  const tail = normalTail(f32x4.mul(z, f32x4.splat(SQRT2)), expVector(f32x4.neg(f32x4.mul(z, z))));
  const large = f32x4.sub(f32x4.splat(1), f32x4.add(tail, tail));
  const signed = v128.bitselect(x, large, i32x4.splat(0x80000000));
  return v128.bitselect(signed, small, f32x4.ge(z, f32x4.splat(1))); // NaN takes the polynomial
}

// ── Sine ──────────────────────────────────────────────────────────────────────────────────────────────────────
/** 2π / 2³². */
const TURN: f32 = 1.46291807926716e-9;
const SIN_0: f32 = -0.166666552;
const SIN_1: f32 = 0.00833218917;
const SIN_2: f32 = -0.00019518286;
const COS_0: f32 = 0.0416666456;
const COS_1: f32 = -0.00138873095;
const COS_2: f32 = 2.44323273e-5;

/**
 * sin(2π a / 2³²) for the integer lanes a: the quarter turn is taken off exactly. The cosine is the sine of a + 2³⁰.
 * Error ≤ 2 ULP.
 */
// @ts-ignore: decorator
@inline export function sineOfTurn(a: v128): v128 {
  const quarter = i32x4.shr_u(i32x4.add(a, i32x4.splat(0x20000000)), 30);
  const x = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(a, i32x4.shl(quarter, 30))), f32x4.splat(TURN)); // |x| ≤ π/4
  const x2 = f32x4.mul(x, x);
  const s = madd(x2, madd(x2, f32x4.splat(SIN_2), f32x4.splat(SIN_1)), f32x4.splat(SIN_0));
  const sine = madd(f32x4.mul(x2, x), s, x);
  const c = madd(x2, madd(x2, f32x4.splat(COS_2), f32x4.splat(COS_1)), f32x4.splat(COS_0));
  const cosine = madd(f32x4.mul(x2, x2), c, madd(x2, f32x4.splat(-0.5), f32x4.splat(1)));
  const odd = i32x4.eq(v128.and(quarter, i32x4.splat(1)), i32x4.splat(1));
  const negative = i32x4.shl(v128.and(quarter, i32x4.splat(2)), 30);
  return v128.xor(v128.bitselect(cosine, sine, odd), negative);
}

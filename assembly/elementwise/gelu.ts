/**
 * GELU (Hendrycks & Gimpel 2016) and its derivative, x · Φ(x) with Φ the normal distribution function, or
 *
 *   tanh form   ½ x (1 + tanh u) = x · s,   u = √(2/π) (x + 0.044715 x³),   s = 1 / (1 + e⁻²ᵘ)
 *   derivative  s + x · s (1 − s) · 2u′ = s (1 + x · (e⁻²ᵘ s) · 2u′)
 *   erf form    ½ x (1 + erf(x / √2)) = max(x, 0) − |x| Φ(−|x|)
 *   derivative  Φ(x) + x φ(x),   φ(x) = e^(−x²/2) / √(2π)
 *
 * Written so that nothing cancels: the left tail keeps its relative precision. Bounds: test/kernels/activation.test.ts.
 *
 * out = f(inp), `bytes` bytes; out may be inp. Error ≤ 3e-7 · max(1, |x|). 0 to 1e-36 at −∞, ∞ at ∞, NaN for NaN.
 * dinp (+)= dout · f′(inp); dinp may be dout or inp. Error of f′ ≤ 1e-6. f′ is 0 at −∞, 1 at ∞.
 */
import { held, loadLanes, storeLanes, storeProduct } from '../math/lanes';
import {
  EXP_MIN, EXP_Q0, EXP_Q1, EXP_Q2, EXP_Q3, EXP_Q4, expWith, LN2_HIGH, LN2_LOW, LOG2_E, normalTail, ROUNDER,
} from '../math/math';
import { madd } from '../math/simd';

/** 2 √(2/π), then times 0.044715, then times 3 · 0.044715. */
const TWO_U_1: f32 = 1.59576912160573;
const TWO_U_3: f32 = 0.0713548162726002;
const TWO_U_SLOPE_3: f32 = 0.214064448817801;
/** Below −10 the tanh form is 0 to 1e-36; e⁻²ᵘ is still finite there. */
const TANH_MIN: f32 = -10;
/** Where the derivative of the tanh form is 0 or 1 to 1e-30. */
const TANH_SLOPE_LIMIT: f32 = 9.5;
/** Where e^(−x²/2) is 0. */
const NORMAL_LIMIT: f32 = 14;
/** 1 / √(2π). */
const NORMAL_DENSITY_0: f32 = 0.398942280401433;

export function geluErfForward(out: usize, inp: usize, bytes: usize, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = loadLanes(inp + i, whole);
    const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(NORMAL_LIMIT));
    const exponent = f32x4.mul(f32x4.mul(z, z), f32x4.splat(-0.5));
    const e = expWith(exponent, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    storeLanes(out + i, f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.mul(z, normalTail(z, e))), whole);
    i += whole ? 16 : 4;
  }
}

export function geluTanhForward(out: usize, inp: usize, bytes: usize, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown);
  const u1 = held(-TWO_U_1, unknown), u3 = held(-TWO_U_3, unknown), least = held(TANH_MIN, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = f32x4.pmax(loadLanes(inp + i, whole), least);
    const u = f32x4.mul(x, madd(f32x4.mul(x, x), u3, u1)); // −2u
    const e = expWith(u, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    storeLanes(out + i, f32x4.div(x, f32x4.add(one, e)), whole);
    i += whole ? 16 : 4;
  }
}

export function geluErfBackward(dinp: usize, dout: usize, inp: usize, bytes: usize, accumulate: bool, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = loadLanes(inp + i, whole);
    const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(NORMAL_LIMIT));
    const exponent = f32x4.mul(f32x4.mul(z, z), f32x4.splat(-0.5));
    const e = expWith(exponent, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    // At −|x| the derivative is Φ(−|x|) − |x| φ; at |x| it is one minus that.
    const left = f32x4.sub(normalTail(z, e), f32x4.mul(f32x4.mul(z, e), f32x4.splat(NORMAL_DENSITY_0)));
    const slope = v128.bitselect(left, f32x4.sub(one, left), f32x4.lt(x, f32x4.splat(0)));
    storeProduct(dinp + i, loadLanes(dout + i, whole), slope, accumulate, whole);
    i += whole ? 16 : 4;
  }
}

export function geluTanhBackward(dinp: usize, dout: usize, inp: usize, bytes: usize, accumulate: bool, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown);
  const u1 = held(-TWO_U_1, unknown), u3 = held(-TWO_U_3, unknown), slope3 = held(-TWO_U_SLOPE_3, unknown);
  const least = held(-TANH_SLOPE_LIMIT, unknown), most = held(TANH_SLOPE_LIMIT, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = f32x4.pmin(f32x4.pmax(loadLanes(inp + i, whole), least), most);
    const x2 = f32x4.mul(x, x);
    const u = f32x4.mul(x, madd(x2, u3, u1)); // −2u
    const e = expWith(u, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    const s = f32x4.div(one, f32x4.add(one, e));
    const bend = f32x4.mul(f32x4.mul(x, madd(x2, slope3, u1)), f32x4.mul(e, s)); // −x · 2u′ · (1 − s)
    storeProduct(dinp + i, loadLanes(dout + i, whole), f32x4.mul(s, f32x4.sub(one, bend)), accumulate, whole);
    i += whole ? 16 : 4;
  }
}

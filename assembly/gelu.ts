/**
 * GELU (Hendrycks & Gimpel 2016) and its derivative, x · Φ(x) with Φ the normal distribution function, or
 *
 *   tanh form   ½ x (1 + tanh u) = x · s,   u = √(2/π) (x + 0.044715 x³),   s = 1 / (1 + e⁻²ᵘ)
 *   derivative  s + x · s (1 − s) · 2u′ = s (1 + x · (e⁻²ᵘ s) · 2u′)
 *   erf form    ½ x (1 + erf(x / √2)) = max(x, 0) − |x| Φ(−|x|)
 *   derivative  Φ(x) + x φ(x),   φ(x) = e^(−x²/2) / √(2π)
 *
 * Written so that nothing cancels: the left tail keeps its relative precision. Bounds: test/kernels/gelu.test.ts.
 * Threads share the elements, a cache line at a time.
 */
import * as op from '../src/graph/opcodes';
import { ptr, shareStart, size, word } from './descriptor';
import { LINE_ELEMENTS, loadLanes, storeLanes } from './lanes';
import { expVector, normalTail } from './math';
import { madd } from './simd';

/** 2 √(2/π), then times 0.044715, then times 3 · 0.044715. */
const TWO_U_1: f32 = 1.59576912160573;
const TWO_U_3: f32 = 0.0713548162726002;
const TWO_U_SLOPE_3: f32 = 0.214064448817801;
/** Below −30, x · s is −0. */
const TANH_MIN: f32 = -30;
/** Where the derivative of the tanh form is 0 or 1 to 1e-30, and e⁻²ᵘ still finite. */
const TANH_SLOPE_LIMIT: f32 = 9.5;
/** Where e^(−x²/2) is 0. */
const NORMAL_LIMIT: f32 = 14;
/** 1 / √(2π). */
const NORMAL_DENSITY_0: f32 = 0.398942280401433;

// @ts-ignore: decorator
@inline function geluTanh(x: v128): v128 {
  const x2 = f32x4.mul(x, x);
  const e = expVector(f32x4.mul(f32x4.neg(x), madd(x2, f32x4.splat(TWO_U_3), f32x4.splat(TWO_U_1))));
  return f32x4.div(f32x4.pmax(x, f32x4.splat(TANH_MIN)), f32x4.add(f32x4.splat(1), e));
}

// @ts-ignore: decorator
@inline function geluTanhSlope(x: v128): v128 {
  const c = f32x4.pmin(f32x4.pmax(x, f32x4.splat(-TANH_SLOPE_LIMIT)), f32x4.splat(TANH_SLOPE_LIMIT));
  const c2 = f32x4.mul(c, c);
  const e = expVector(f32x4.mul(f32x4.neg(c), madd(c2, f32x4.splat(TWO_U_3), f32x4.splat(TWO_U_1))));
  const s = f32x4.div(f32x4.splat(1), f32x4.add(f32x4.splat(1), e));
  const slope = madd(c2, f32x4.splat(TWO_U_SLOPE_3), f32x4.splat(TWO_U_1));
  return f32x4.mul(s, madd(f32x4.mul(c, slope), f32x4.mul(e, s), f32x4.splat(1)));
}

// @ts-ignore: decorator
@inline function geluErf(x: v128): v128 {
  const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(NORMAL_LIMIT));
  const tail = normalTail(z, expVector(f32x4.mul(f32x4.mul(z, z), f32x4.splat(-0.5))));
  return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.mul(z, tail));
}

// @ts-ignore: decorator
@inline function geluErfSlope(x: v128): v128 {
  const z = f32x4.pmin(f32x4.abs(x), f32x4.splat(NORMAL_LIMIT));
  const e = expVector(f32x4.mul(f32x4.mul(z, z), f32x4.splat(-0.5)));
  // At −|x| the derivative is Φ(−|x|) − |x| φ; at |x| it is one minus that.
  const left = f32x4.sub(normalTail(z, e), f32x4.mul(f32x4.mul(z, e), f32x4.splat(NORMAL_DENSITY_0)));
  return v128.bitselect(left, f32x4.sub(f32x4.splat(1), left), f32x4.lt(x, f32x4.splat(0)));
}

/**
 * out = gelu(inp), [rows, cols]. Overwrites; out may be inp. Error ≤ 3e-7 · max(1, |x|).
 * −∞ gives 0, ∞ gives ∞, NaN gives NaN.
 */
export function gelu(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.GELU_ROWS) * size(d, ctx, op.GELU_COLS);
  const out = ptr(d, op.GELU_OUT), inp = ptr(d, op.GELU_INP);
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (word(d, op.GELU_FLAGS) & op.FLAG_ERF) {
    for (; i + 16 <= end; i += 16) storeLanes(out + i, geluErf(loadLanes(inp + i, true)), true);
    for (; i < end; i += 4) storeLanes(out + i, geluErf(loadLanes(inp + i, false)), false);
  } else {
    for (; i + 16 <= end; i += 16) storeLanes(out + i, geluTanh(loadLanes(inp + i, true)), true);
    for (; i < end; i += 4) storeLanes(out + i, geluTanh(loadLanes(inp + i, false)), false);
  }
}

/**
 * dinp = dout · gelu′(inp), or dinp += … with ACCUMULATE; [rows, cols]. dinp may be dout or inp.
 * Error of gelu′ ≤ 1e-6. gelu′ is 0 at −∞, 1 at ∞.
 */
export function geluBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.GELU_BACKWARD_ROWS) * size(d, ctx, op.GELU_BACKWARD_COLS);
  const dinp = ptr(d, op.GELU_BACKWARD_DINP), dout = ptr(d, op.GELU_BACKWARD_DOUT), inp = ptr(d, op.GELU_BACKWARD_INP);
  const flags = word(d, op.GELU_BACKWARD_FLAGS);
  const accumulate = (flags & op.FLAG_ACCUMULATE) != 0;
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (flags & op.FLAG_ERF) {
    for (; i + 16 <= end; i += 16) backwardStep(dinp + i, dout + i, geluErfSlope(loadLanes(inp + i, true)), accumulate, true);
    for (; i < end; i += 4) backwardStep(dinp + i, dout + i, geluErfSlope(loadLanes(inp + i, false)), accumulate, false);
  } else {
    for (; i + 16 <= end; i += 16) backwardStep(dinp + i, dout + i, geluTanhSlope(loadLanes(inp + i, true)), accumulate, true);
    for (; i < end; i += 4) backwardStep(dinp + i, dout + i, geluTanhSlope(loadLanes(inp + i, false)), accumulate, false);
  }
}

// @ts-ignore: decorator
@inline function backwardStep(dinp: usize, dout: usize, slope: v128, accumulate: bool, whole: bool): void {
  const product = f32x4.mul(loadLanes(dout, whole), slope);
  storeLanes(dinp, accumulate ? f32x4.add(loadLanes(dinp, whole), product) : product, whole);
}

/**
 * Activation functions and their derivatives, one element at a time:
 *
 *   relu      max(x, 0)            derivative  1 where x > 0, else 0
 *   sigmoid   s = 1 / (1 + e⁻ˣ)    derivative  s (1 − s) = s · e⁻ˣ s
 *   silu      x s                  derivative  s (1 + x (1 − s)) = s (1 + x · e⁻ˣ s)
 *   tanh      math.ts              derivative  1 − tanh² = 4 e⁻²ˣ / (1 + e⁻²ˣ)², of |x|
 *
 * and both forms of GELU (gelu.ts). Written so that nothing cancels where a function is small.
 * Threads share the elements, a cache line at a time. Bounds: test/kernels/activation.test.ts.
 */
import * as op from '../abi';
import { ptr, shareStart, size, word } from '../interpreter/descriptor';
import { geluErfBackward, geluErfForward, geluTanhBackward, geluTanhForward } from './gelu';
import { held, LINE_ELEMENTS, loadLanes, storeLanes, storeProduct } from '../math/lanes';
import {
  EXP_MIN, EXP_Q0, EXP_Q1, EXP_Q2, EXP_Q3, EXP_Q4, expWith, LN2_HIGH, LN2_LOW, LOG2_E, ROUNDER, tanhVector,
} from '../math/math';

/** Beyond it sigmoid is 0 or 1 to 1e-37; e⁻ˣ is still finite there, so that no ∞ meets another. */
const SIGMOID_LIMIT: f32 = 87;

/**
 * out = f(inp), [rows, cols]. Overwrites; out may be inp. NaN for NaN, denormals are kept.
 * relu: exact. sigmoid: ≤ 2e-7 relative above −87, 2e-38 below. silu: ≤ 3e-7 relative above −87, 2e-36 absolute below.
 * tanh: ≤ 2 ULP. gelu: ≤ 3e-7 · max(1, |x|).
 */
export function activation(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.ACTIVATION_ROWS) * size(d, ctx, op.ACTIVATION_COLS);
  const first = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const bytes = (<usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2) - first;
  const out = ptr(d, op.ACTIVATION_OUT) + first, inp = ptr(d, op.ACTIVATION_INP) + first;
  switch (word(d, op.ACTIVATION_FUNCTION)) {
    case op.FUNCTION_GELU_TANH: geluTanhForward(out, inp, bytes, count >> 31); break;
    case op.FUNCTION_GELU_ERF: geluErfForward(out, inp, bytes, count >> 31); break;
    case op.FUNCTION_RELU: reluForward(out, inp, bytes); break;
    case op.FUNCTION_SILU: sigmoidForward(out, inp, bytes, true, count >> 31); break;
    case op.FUNCTION_TANH: tanhForward(out, inp, bytes); break;
    case op.FUNCTION_SIGMOID: sigmoidForward(out, inp, bytes, false, count >> 31); break;
    default: unreachable();
  }
}

/**
 * dinp = dout · f′(inp), or dinp += … with ACCUMULATE; [rows, cols]. dinp may be dout or inp.
 * Error of f′ ≤ 1e-6, for sigmoid and tanh also 1e-6 relative where f′ > 1e-36. f′ is 0 at ±∞, 1 at ∞ for relu, silu, gelu.
 */
export function activationBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.ACTIVATION_BACKWARD_ROWS) * size(d, ctx, op.ACTIVATION_BACKWARD_COLS);
  const first = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const bytes = (<usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2) - first;
  const dinp = ptr(d, op.ACTIVATION_BACKWARD_DINP) + first, dout = ptr(d, op.ACTIVATION_BACKWARD_DOUT) + first;
  const inp = ptr(d, op.ACTIVATION_BACKWARD_INP) + first;
  const accumulate = (word(d, op.ACTIVATION_BACKWARD_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  switch (word(d, op.ACTIVATION_BACKWARD_FUNCTION)) {
    case op.FUNCTION_GELU_TANH: geluTanhBackward(dinp, dout, inp, bytes, accumulate, count >> 31); break;
    case op.FUNCTION_GELU_ERF: geluErfBackward(dinp, dout, inp, bytes, accumulate, count >> 31); break;
    case op.FUNCTION_RELU: reluBackward(dinp, dout, inp, bytes, accumulate); break;
    case op.FUNCTION_SILU: sigmoidBackward(dinp, dout, inp, bytes, accumulate, true, count >> 31); break;
    case op.FUNCTION_TANH: tanhBackward(dinp, dout, inp, bytes, accumulate, count >> 31); break;
    case op.FUNCTION_SIGMOID: sigmoidBackward(dinp, dout, inp, bytes, accumulate, false, count >> 31); break;
    default: unreachable();
  }
}

function reluForward(out: usize, inp: usize, bytes: usize): void {
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    storeLanes(out + i, f32x4.pmax(loadLanes(inp + i, whole), zero), whole); // lets a NaN pass
    i += whole ? 16 : 4;
  }
}

function reluBackward(dinp: usize, dout: usize, inp: usize, bytes: usize, accumulate: bool): void {
  const zero = f32x4.splat(0), one = f32x4.splat(1);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = loadLanes(inp + i, whole);
    const slope = v128.or(v128.and(one, f32x4.gt(x, zero)), f32x4.ne(x, x)); // all ones is a NaN
    storeProduct(dinp + i, loadLanes(dout + i, whole), slope, accumulate, whole);
    i += whole ? 16 : 4;
  }
}

function tanhForward(out: usize, inp: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    storeLanes(out + i, tanhVector(loadLanes(inp + i, whole)), whole);
    i += whole ? 16 : 4;
  }
}

function tanhBackward(dinp: usize, dout: usize, inp: usize, bytes: usize, accumulate: bool, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown), minus2 = held(-2, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = f32x4.mul(f32x4.abs(loadLanes(inp + i, whole)), minus2);
    const e = expWith(x, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    const s = f32x4.div(minus2, f32x4.add(one, e));
    storeProduct(dinp + i, loadLanes(dout + i, whole), f32x4.mul(f32x4.mul(s, s), e), accumulate, whole);
    i += whole ? 16 : 4;
  }
}

/** sigmoid, or silu. */
function sigmoidForward(out: usize, inp: usize, bytes: usize, isSilu: bool, unknown: i32): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown), least = held(-SIGMOID_LIMIT, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = f32x4.pmax(loadLanes(inp + i, whole), least);
    const e = expWith(f32x4.neg(x), log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    storeLanes(out + i, f32x4.div(isSilu ? x : one, f32x4.add(one, e)), whole);
    i += whole ? 16 : 4;
  }
}

function sigmoidBackward(
  dinp: usize, dout: usize, inp: usize, bytes: usize, accumulate: bool, isSilu: bool, unknown: i32,
): void {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown);
  const least = held(-SIGMOID_LIMIT, unknown), most = held(SIGMOID_LIMIT, unknown);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 16 <= bytes;
    const x = f32x4.pmin(f32x4.pmax(loadLanes(inp + i, whole), least), most);
    const e = expWith(f32x4.neg(x), log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    const s = f32x4.div(one, f32x4.add(one, e));
    const rest = f32x4.mul(e, s); // 1 − s
    const slope = f32x4.mul(s, isSilu ? f32x4.add(one, f32x4.mul(x, rest)) : rest);
    storeProduct(dinp + i, loadLanes(dout + i, whole), slope, accumulate, whole);
    i += whole ? 16 : 4;
  }
}

/**
 * Softmax cross-entropy, a row of logits against the index of the right column:
 *
 *   loss = ln Σ_c e^(logit_c − max) + max − logit_target
 *   dlogit_c = (e^(logit_c − max) / Σ − [c = target]) · scale
 *
 * Two passes over a row, three with the gradient: the largest logit; the exponentials and their sum, in f64; the
 * gradient. Threads share rows. A row's logits stay in the second-level cache between passes (GPT-2: 201 KB).
 */
import * as op from './abi';
import { ptr, shareStart, size, word } from './interpreter/descriptor';
import { held, loadLanes, storeLanes } from './math/lanes';
import {
  EXP_MIN, EXP_Q0, EXP_Q1, EXP_Q2, EXP_Q3, EXP_Q4, expWith, LN2_HIGH, LN2_LOW, log64, LOG2_E, ROUNDER,
} from './math/math';
import { horizontalMax } from './math/simd';
import { horizontalSum64, promoteHigh, promoteLow } from './math/sum64';

/**
 * losses[row], correct[row] of logits [rows, cols] and targets i32[rows]; with GRADIENT logits become their gradient.
 * A row whose target is negative is ignored: loss, correct and gradient 0. Loss: error ≤ 1e-6 relative or 1e-15.
 * Gradient: ≤ 4 ULP, and at the target 2⁻²⁴ · scale. A NaN among the logits makes the loss NaN, correct 0. Where the
 * loss is NaN or ∞ the gradient is NaN, so that a training step with such a loss changes nothing.
 */
export function crossEntropy(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.CROSS_ENTROPY_ROWS), rowBytes = <usize>size(d, ctx, op.CROSS_ENTROPY_COLS) << 2;
  const targets = ptr(d, op.CROSS_ENTROPY_TARGETS);
  const losses = ptr(d, op.CROSS_ENTROPY_LOSSES), correct = ptr(d, op.CROSS_ENTROPY_CORRECT);
  const gradient = (word(d, op.CROSS_ENTROPY_FLAGS) & op.FLAG_GRADIENT) != 0;
  const scale: f32 = gradient ? load<f32>(ptr(d, op.CROSS_ENTROPY_SCALE)) : 0;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const logits = ptr(d, op.CROSS_ENTROPY_LOGITS) + rowBytes * row;
    const at = <usize>row << 2;
    const target = load<i32>(targets + at);
    if (target < 0) {
      store<f32>(losses + at, 0);
      store<f32>(correct + at, 0);
      if (gradient) memory.fill(logits, 0, rowBytes);
      continue;
    }
    const targetBytes = <usize>target << 2;
    const targetLogit = load<f32>(logits + targetBytes);
    const largest = rowMax(logits, rowBytes);
    const first = targetLogit == largest && !contains(logits, targetBytes, largest);
    const total = exponentials(logits, rowBytes, largest, gradient, rows >> 31);
    const loss = <f32>(log64(total) + (<f64>largest - <f64>targetLogit));
    store<f32>(losses + at, loss);
    store<f32>(correct + at, <f32>(first && loss == loss));
    if (gradient) {
      const share = <f64>load<f32>(logits + targetBytes) / total;
      const weight: f64 = isFinite(loss) ? <f64>scale : NaN;
      scaleRow(logits, rowBytes, <f32>(weight / total));
      store<f32>(logits + targetBytes, <f32>((share - 1) * weight));
    }
  }
}

/** The largest of a row, NaNs passed over. */
function rowMax(inp: usize, rowBytes: usize): f32 {
  let m0 = f32x4.splat(-Infinity), m1 = m0, m2 = m0, m3 = m0;
  let i: usize = 0;
  for (; i + 64 <= rowBytes; i += 64) {
    m0 = f32x4.pmax(m0, v128.load(inp + i));
    m1 = f32x4.pmax(m1, v128.load(inp + i, 16));
    m2 = f32x4.pmax(m2, v128.load(inp + i, 32));
    m3 = f32x4.pmax(m3, v128.load(inp + i, 48));
  }
  for (; i < rowBytes; i += 4) m0 = f32x4.pmax(m0, v128.load32_splat(inp + i));
  return horizontalMax(f32x4.pmax(f32x4.pmax(m0, m1), f32x4.pmax(m2, m3)));
}

/** Whether one of the first `bytes` bytes' floats equals `value`. */
function contains(inp: usize, bytes: usize, value: f32): bool {
  const values = f32x4.splat(value);
  let i: usize = 0;
  for (; i + 16 <= bytes; i += 16) if (v128.any_true(f32x4.eq(v128.load(inp + i), values))) return true;
  for (; i < bytes; i += 4) if (load<f32>(inp + i) == value) return true;
  return false;
}

/** Σ e^(x − largest) in f64, four partial sums; with `keep` each x is replaced by its exponential. */
function exponentials(row: usize, rowBytes: usize, largest: f32, keep: bool, unknown: i32): f64 {
  const log2E = held(LOG2_E, unknown), rounder = held(ROUNDER, unknown);
  const high = held(-LN2_HIGH, unknown), low = held(-LN2_LOW, unknown);
  const q4 = held(EXP_Q4, unknown), q3 = held(EXP_Q3, unknown), q2 = held(EXP_Q2, unknown);
  const q1 = held(EXP_Q1, unknown), q0 = held(EXP_Q0, unknown);
  const one = held(1, unknown), lowest = held(EXP_MIN, unknown), shift = f32x4.splat(largest);
  let s0 = f64x2.splat(0), s1 = s0, rest: f64 = 0;
  for (let i: usize = 0; i < rowBytes; ) {
    const whole = i + 16 <= rowBytes;
    const x = f32x4.sub(loadLanes(row + i, whole), shift);
    const e = expWith(x, log2E, rounder, high, low, q4, q3, q2, q1, q0, one, lowest);
    if (keep) storeLanes(row + i, e, whole);
    if (whole) {
      s0 = f64x2.add(s0, promoteLow(e));
      s1 = f64x2.add(s1, promoteHigh(e));
      i += 16;
    } else {
      rest += <f64>f32x4.extract_lane(e, 0);
      i += 4;
    }
  }
  return horizontalSum64(f64x2.add(s0, s1)) + rest;
}

/** row *= factor. */
function scaleRow(row: usize, rowBytes: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  let i: usize = 0;
  for (; i + 16 <= rowBytes; i += 16) storeLanes(row + i, f32x4.mul(loadLanes(row + i, true), factors), true);
  for (; i < rowBytes; i += 4) storeLanes(row + i, f32x4.mul(loadLanes(row + i, false), factors), false);
}

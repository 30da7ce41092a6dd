/**
 * AdamW: D. P. Kingma and J. Ba, "Adam" (2015); decoupled decay: I. Loshchilov and F. Hutter (2019), Algorithm 2,
 * in the order of operations of PyTorch's torch.optim.AdamW.
 */
import * as op from './abi';
import { float, ptr, shareStart, size } from './interpreter/descriptor';
import { LINE_ELEMENTS, loadLanes, storeLanes } from './math/lanes';
import { madd } from './math/simd';

/**
 * With g = gradient · gradientScale and c₁, c₂ the bias corrections, for each of count elements, in place:
 *
 *   m ← m + (1 − β₁)(g − m)     v ← β₂ v + (1 − β₂) g²     w ← (1 − lr·decay) w − (lr c₁) m / (√v √c₂ + ε)
 *
 * 1 − β is taken of the β in f32, so c₁ and c₂ should come from the same rounded β. Each of m and v is within 3 ULP.
 * A gradientScale of NaN, which `clip` gives for gradients that are not finite, leaves everything as it is.
 * Threads share the elements, a cache line at a time.
 */
export function adamw(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.ADAMW_COUNT), hyper = ptr(d, op.ADAMW_HYPER);
  const w = ptr(d, op.ADAMW_WEIGHT), dw = ptr(d, op.ADAMW_DWEIGHT), m = ptr(d, op.ADAMW_M), v = ptr(d, op.ADAMW_V);
  const rate = load<f32>(hyper, op.HYPER_LEARNING_RATE << 2);
  const beta1 = load<f32>(hyper, op.HYPER_BETA1 << 2), beta2 = load<f32>(hyper, op.HYPER_BETA2 << 2);
  const correction1 = load<f32>(hyper, op.HYPER_CORRECTION1 << 2);
  const correction2 = load<f32>(hyper, op.HYPER_CORRECTION2 << 2);
  const gradientScale = load<f32>(ptr(d, op.ADAMW_GRADIENT_SCALE));
  if (gradientScale != gradientScale) return;
  const scale = f32x4.splat(gradientScale);
  const keep = f32x4.splat(<f32>(1 - <f64>rate * <f64>float(d, op.ADAMW_WEIGHT_DECAY)));
  const fresh1 = f32x4.splat(1 - beta1), old2 = f32x4.splat(beta2), fresh2 = f32x4.splat(1 - beta2);
  const step = f32x4.splat(<f32>(-<f64>rate * <f64>correction1)), root2 = f32x4.splat(<f32>Math.sqrt(correction2));
  const epsilon = f32x4.splat(load<f32>(hyper, op.HYPER_EPSILON << 2));
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  while (i < end) {
    const whole = i + 16 <= end;
    update(w + i, dw + i, m + i, v + i, scale, keep, fresh1, old2, fresh2, step, root2, epsilon, whole);
    i += whole ? 16 : 4;
  }
}

// @ts-ignore: decorator
@inline function update(
  w: usize, dw: usize, m: usize, v: usize,
  scale: v128, keep: v128, fresh1: v128, old2: v128, fresh2: v128, step: v128, root2: v128, epsilon: v128,
  whole: bool,
): void {
  const g = f32x4.mul(loadLanes(dw, whole), scale);
  const m0 = loadLanes(m, whole);
  const m1 = madd(f32x4.sub(g, m0), fresh1, m0);
  const v1 = madd(f32x4.mul(g, g), fresh2, f32x4.mul(loadLanes(v, whole), old2));
  const ratio = f32x4.div(m1, madd(f32x4.sqrt(v1), root2, epsilon));
  storeLanes(m, m1, whole);
  storeLanes(v, v1, whole);
  storeLanes(w, madd(ratio, step, f32x4.mul(loadLanes(w, whole), keep)), whole);
}

/** AdamW against PyTorch’s formula in f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads } from './guarded.ts';

interface Hyper {
  rate: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  decay: number;
  gradientScale: number;
  step: number;
}
const usual: Hyper = { rate: 3e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay: 0.1, gradientScale: 1, step: 1 };

interface State {
  w: Float32Array;
  g: Float32Array;
  m: Float32Array;
  v: Float32Array;
}
function randomState(count: number): State {
  const [w, g, m] = [randomF32(count, 1), randomF32(count, 2), randomF32(count, 3).map((x) => x / 10)];
  return { w, g, m, v: randomF32(count, 4).map((x) => x * x) };
}

function run(binary: Binary, { w, g, m, v }: State, hyper: Hyper, threads = 1): Float32Array[] {
  const machine = new GuardedMachine(binary);
  const places = [w, m, v].map((values) => machine.inout(values)) as [number, number, number];
  const [beta1, beta2] = [Math.fround(hyper.beta1), Math.fround(hyper.beta2)];
  const table = new Float32Array(op.HYPER_COUNT);
  table[op.HYPER_LEARNING_RATE] = hyper.rate;
  table[op.HYPER_BETA1] = beta1;
  table[op.HYPER_BETA2] = beta2;
  table[op.HYPER_EPSILON] = hyper.epsilon;
  table[op.HYPER_CORRECTION1] = 1 / (1 - beta1 ** hyper.step);
  table[op.HYPER_CORRECTION2] = 1 / (1 - beta2 ** hyper.step);
  const fields = {
    [op.ADAMW_WEIGHT]: places[0],
    [op.ADAMW_DWEIGHT]: machine.input(g),
    [op.ADAMW_M]: places[1],
    [op.ADAMW_V]: places[2],
    [op.ADAMW_COUNT]: w.length,
    [op.ADAMW_HYPER]: machine.input(table),
    [op.ADAMW_GRADIENT_SCALE]: machine.input([hyper.gradientScale]),
    [op.ADAMW_WEIGHT_DECAY]: f32Bits(hyper.decay),
  };
  machine.run(op.OP_ADAMW, fields, threads);
  return places.map((at) => machine.f32(at, w.length));
}

/** torch.optim.AdamW of one element, in f64: decay first, then the step. */
function twin(w: number, gradient: number, m: number, v: number, hyper: Hyper): [number, number, number] {
  const { rate, beta1, beta2, epsilon, decay, gradientScale, step } = hyper;
  const g = gradient * gradientScale;
  const m1 = beta1 * m + (1 - beta1) * g;
  const v1 = beta2 * v + (1 - beta2) * g * g;
  const denominator = Math.sqrt(v1) / Math.sqrt(1 - beta2 ** step) + epsilon;
  return [w * (1 - rate * decay) - (rate / (1 - beta1 ** step)) * (m1 / denominator), m1, v1];
}

describe.each(binaries)('adamw, %s', (binary) => {
  it.each([0, 1, 3, 4, 5, 7, 8, 13, 16, 65, 1000, 4099])('%i elements: as PyTorch, any threads', (count) => {
    const state = randomState(count);
    for (const change of [{}, { step: 1000, gradientScale: 0.37, decay: 0 }, { beta2: 0.95, step: 7, epsilon: 1e-5 }]) {
      const changed = { ...usual, ...change };
      // The kernel's β are f32; over a run that is no difference (below), against moments from nowhere it is.
      const hyper = { ...changed, beta1: Math.fround(changed.beta1), beta2: Math.fround(changed.beta2) };
      const [w, m, v] = onAnyThreads((threads) => run(binary, state, hyper, threads));
      const expected = Array.from({ length: count }, (_, i) =>
        twin(state.w[i]!, state.g[i]!, state.m[i]!, state.v[i]!, hyper),
      );
      const column = (k: 0 | 1 | 2) => expected.map((row) => row[k]);
      // Half an ULP of w, and a few of the step, which is large where v is small.
      const steps = expected.map(([w1], i) => Math.abs(w1 - state.w[i]!));
      const errors = expected.map(
        ([w1], i) => Math.abs(w![i]! - w1) / (1.5e-7 * Math.abs(w1) + 5e-7 * steps[i]! + 1e-9),
      );
      expect(Math.max(0, ...errors)).toBeLessThanOrEqual(1);
      expect(excess(m!, column(1), { absolute: 1e-7 })).toBeLessThanOrEqual(1);
      expect(excess(v!, column(2), { relative: 2e-7, absolute: 2e-8 })).toBeLessThanOrEqual(1);
    }
  });

  it('fifty steps from zero moments stay with PyTorch’s', () => {
    const count = 37;
    let state: State = {
      w: randomF32(count, 5),
      g: new Float32Array(),
      m: new Float32Array(count),
      v: new Float32Array(count),
    };
    const expected = Array.from(state.w, (w) => [w, 0, 0] as [number, number, number]);
    for (let step = 1; step <= 50; step++) {
      const g = randomF32(count, 100 + step);
      const hyper = { ...usual, step };
      const [w, m, v] = run(binary, { ...state, g }, hyper) as [Float32Array, Float32Array, Float32Array];
      state = { w, g, m, v };
      for (let i = 0; i < count; i++)
        expected[i] = twin(expected[i]![0], g[i]!, expected[i]![1], expected[i]![2], hyper);
    }
    const weights = expected.map((row) => row[0]);
    // 50 · 2⁻²⁵ of rounding, and steps of up to 0.003 each within 1e-5.
    expect(excess(state.w, weights, { absolute: 1e-6 })).toBeLessThanOrEqual(1);
  });

  it('the first step is the learning rate against the sign of the gradient', () => {
    const state = { w: new Float32Array(5), g: new Float32Array([1, -1, 1e-3, -1e3, 0]), m: new Float32Array(5) };
    const [w] = run(binary, { ...state, v: new Float32Array(5) }, { ...usual, decay: 0 });
    expect(excess(w!, [-3e-3, 3e-3, -3e-3, 3e-3, 0], { relative: 2e-5 })).toBeLessThanOrEqual(1);
  });

  it('a NaN gradient shows in the weight; a NaN factor leaves everything as it is', () => {
    const state = randomState(9);
    state.g[3] = NaN;
    const [w] = run(binary, state, usual);
    expect([...w!.keys()].filter((i) => Number.isNaN(w![i]!))).toEqual([3]);
    for (const count of [1, 9, 100]) {
      const before = randomState(count);
      const after = onAnyThreads((threads) => run(binary, before, { ...usual, gradientScale: NaN }, threads));
      expect(after).toEqual([before.w, before.m, before.v]);
    }
  });
});

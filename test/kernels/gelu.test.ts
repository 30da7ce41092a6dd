/** Both forms of GELU and their derivatives against f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes, slope } from './guarded.ts';
import { normalTail } from './normal-twin.ts';

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/** The functions in f64, as the paper writes them. */
const forms = {
  tanh: (x: number) => 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x ** 3))),
  erf: (x: number) => x * (x < 0 ? normalTail(-x) : 1 - normalTail(x)),
};
const names = Object.keys(forms) as (keyof typeof forms)[];
/** Their derivatives, by central differences of fourth order. */
function derivative(f: (x: number) => number, x: number): number {
  const h = 1e-3;
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

function forward(binary: Binary, name: keyof typeof forms, x: Float32Array, rows: number, threads = 1): Float32Array {
  const machine = new GuardedMachine(binary, 8 << 20);
  const at = machine.output(x.length);
  const fields = { [op.GELU_OUT]: at, [op.GELU_INP]: machine.input(x), [op.GELU_ROWS]: rows };
  const flags = name === 'erf' ? op.FLAG_ERF : 0;
  machine.run(op.OP_GELU, { ...fields, [op.GELU_COLS]: x.length / (rows || 1), [op.GELU_FLAGS]: flags }, threads);
  return machine.f32(at, x.length);
}

interface Backward {
  x: Float32Array;
  dout: Float32Array;
  before?: Float32Array;
  threads?: number;
}
function backward(binary: Binary, name: keyof typeof forms, { x, dout, before, threads = 1 }: Backward): Float32Array {
  const machine = new GuardedMachine(binary, 8 << 20);
  const at = before ? machine.inout(before) : machine.output(x.length);
  const fields = {
    [op.GELU_BACKWARD_DINP]: at,
    [op.GELU_BACKWARD_DOUT]: machine.input(dout),
    [op.GELU_BACKWARD_INP]: machine.input(x),
    [op.GELU_BACKWARD_ROWS]: 1,
    [op.GELU_BACKWARD_COLS]: x.length,
    [op.GELU_BACKWARD_FLAGS]: (name === 'erf' ? op.FLAG_ERF : 0) | (before ? op.FLAG_ACCUMULATE : 0),
  };
  machine.run(op.OP_GELU_BACKWARD, fields, threads);
  return machine.f32(at, x.length);
}

const scaled = (count: number, seed: number) => randomF32(count, seed).map((x) => x * 6);
const dense = new Float32Array(200_001).map((_, i) => (i - 100_000) * 1.5e-4);
const ones = new Float32Array(dense.length).fill(1);

describe.each(binaries)('gelu, %s', (binary) => {
  describe.each(names)('%s form', (name) => {
    const f = forms[name];

    it.each(shapes)('%i×%i, any threads', (rows, cols) => {
      const x = scaled(rows * cols, 1);
      const [out] = onAnyThreads((threads) => [forward(binary, name, x, rows, threads)]);
      expect(excess(out!, Float64Array.from(x, f), { relative: 5e-7, absolute: 3e-7 })).toBeLessThanOrEqual(1);
    });

    it('error ≤ 3e-7 · max(1, |x|) on [−15, 15]', () => {
      const out = forward(binary, name, dense, 1);
      let worst = 0;
      dense.forEach((x, i) => {
        worst = Math.max(worst, Math.abs(out[i]! - f(x)) / Math.max(1, Math.abs(x)));
      });
      if (process.env.VERBOSE) console.log(`${binary} gelu ${name}: ${worst}`);
      expect(worst).toBeLessThan(3e-7);
    });

    it('the left tail keeps its relative precision', () => {
      const x = new Float32Array([-0.001, -0.5, -1, -2, -3, -4, -5]);
      // The textbook form of tanh cancels in f64 too; this one does not.
      const tail = (v: number) =>
        name === 'erf' ? v * normalTail(-v) : v / (1 + Math.exp(-2 * SQRT_2_OVER_PI * (v + 0.044715 * v ** 3)));
      expect(excess(forward(binary, name, x, 1), Float64Array.from(x, tail), { relative: 4e-6 })).toBeLessThanOrEqual(
        1,
      );
    });

    it('limits and NaN', () => {
      const x = new Float32Array([-Infinity, -1e30, -100, 100, 1e30, Infinity, NaN, 0]);
      const out = [...forward(binary, name, x, 1)];
      expect(out.slice(0, 3).every((v) => Math.abs(v) < 1e-36)).toBe(true);
      expect(out.slice(3)).toEqual([100, x[4], Infinity, NaN, 0]);
    });

    it('out may be inp', () => {
      const x = scaled(59, 2);
      const machine = new GuardedMachine(binary);
      const at = machine.inout(x);
      const flags = name === 'erf' ? op.FLAG_ERF : 0;
      const fields = { [op.GELU_OUT]: at, [op.GELU_INP]: at, [op.GELU_ROWS]: 1, [op.GELU_COLS]: 59 };
      machine.run(op.OP_GELU, { ...fields, [op.GELU_FLAGS]: flags }, 2);
      expect(machine.f32(at, 59)).toEqual(forward(binary, name, x, 1));
    });

    it('an element has the same bits wherever it stands', () => {
      const x = scaled(64, 3);
      const all = forward(binary, name, x, 1);
      for (let i = 0; i < 64; i++) expect(forward(binary, name, x.slice(i, i + 1), 1)[0]).toBe(all[i]);
    });

    it.each(shapes)('backward %i×%i: dout · gelu′, replacing or adding, any threads', (rows, cols) => {
      const [x, dout, before] = [scaled(rows * cols, 4), randomF32(rows * cols, 5), randomF32(rows * cols, 6)];
      const expected = Float64Array.from(x, (v, i) => dout[i]! * derivative(f, v));
      const [dinp] = onAnyThreads((threads) => [backward(binary, name, { x, dout, threads })]);
      expect(excess(dinp!, expected, { relative: 1e-6, absolute: 1e-6 })).toBeLessThanOrEqual(1);
      const [sum] = onAnyThreads((threads) => [backward(binary, name, { x, dout, before, threads })]);
      expect(sum).toEqual(dinp!.map((v, i) => before[i]! + v));
    });

    it('backward: error of gelu′ ≤ 1e-6 on [−15, 15]', () => {
      const out = backward(binary, name, { x: dense, dout: ones });
      let worst = 0;
      dense.forEach((x, i) => {
        worst = Math.max(worst, Math.abs(out[i]! - derivative(f, x)));
      });
      if (process.env.VERBOSE) console.log(`${binary} gelu′ ${name}: ${worst}`);
      expect(worst).toBeLessThan(1e-6);
    });

    it('backward: limits and NaN', () => {
      const x = new Float32Array([-Infinity, -1e30, -100, 100, 1e30, Infinity, NaN, 1]);
      const dout = new Float32Array([1, 1, 1, 1, 1, 1, 1, NaN]);
      const out = [...backward(binary, name, { x, dout })];
      expect(out.slice(0, 3).every((v) => Math.abs(v) < 1e-26)).toBe(true);
      expect(out.slice(3)).toEqual([1, 1, 1, NaN, NaN]);
    });

    it('backward: dinp may be dout, or inp', () => {
      const [x, dout] = [scaled(43, 7), randomF32(43, 8)];
      const expected = backward(binary, name, { x, dout });
      for (const word of [op.GELU_BACKWARD_DOUT, op.GELU_BACKWARD_INP]) {
        const machine = new GuardedMachine(binary);
        const at = machine.inout(word === op.GELU_BACKWARD_DOUT ? dout : x);
        const other = machine.input(word === op.GELU_BACKWARD_DOUT ? x : dout);
        const fields = { [op.GELU_BACKWARD_DINP]: at, [op.GELU_BACKWARD_DOUT]: other, [op.GELU_BACKWARD_INP]: other };
        const sizes = { [op.GELU_BACKWARD_ROWS]: 43, [op.GELU_BACKWARD_COLS]: 1 };
        const flags = { [op.GELU_BACKWARD_FLAGS]: name === 'erf' ? op.FLAG_ERF : 0 };
        machine.run(op.OP_GELU_BACKWARD, { ...fields, ...sizes, ...flags, [word]: at }, 3);
        expect(machine.f32(at, 43)).toEqual(expected);
      }
    });
  });

  it('the two forms differ by less than 5e-4', () => {
    const [a, b] = [forward(binary, 'tanh', dense, 1), forward(binary, 'erf', dense, 1)];
    expect(excess(a, b, { absolute: 5e-4 })).toBeLessThanOrEqual(1);
  });
});

it('the test’s derivative agrees with a plain central difference', () => {
  for (const x of [-3, -0.7, 0, 0.2, 2.5])
    expect(derivative(forms.tanh, x)).toBeCloseTo(
      slope((v) => forms.tanh(v[0]!), [x], 0),
      8,
    );
});

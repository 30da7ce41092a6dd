/** Activation functions and their derivatives against f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes, slope } from './guarded.ts';
import { normalTail } from './normal-twin.ts';

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);

/** By central differences of fourth order. */
function derivative(f: (x: number) => number, x: number): number {
  const h = 1e-3;
  return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h);
}

interface Case {
  readonly code: number;
  /** In f64, as the paper writes it. */
  f(x: number): number;
  slope(x: number): number;
  /** Bounds of f on [−15, 15], and of f′. */
  readonly error: (x: number, exact: number) => number;
  readonly slopeError: (exact: number) => number;
  /** Of [−∞, −1e30, −100], f and f′, and how far off they may be. */
  readonly left: number;
  readonly leftError: number;
  /** Of [100, 1e30, ∞]. */
  readonly right: readonly number[];
  readonly rightSlope: number;
}

const gelu = {
  error: (x: number) => 3e-7 * Math.max(1, Math.abs(x)),
  slopeError: () => 1e-6,
  left: 0,
  leftError: 1e-36,
  right: [100, Math.fround(1e30), Infinity],
  rightSlope: 1,
};
const geluTanh = (x: number) => 0.5 * x * (1 + Math.tanh(SQRT_2_OVER_PI * (x + 0.044715 * x ** 3)));
const geluErf = (x: number) => x * (x < 0 ? normalTail(-x) : 1 - normalTail(x));
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

const functions = {
  'gelu-tanh': { ...gelu, code: op.FUNCTION_GELU_TANH, f: geluTanh, slope: (x) => derivative(geluTanh, x) },
  'gelu-erf': { ...gelu, code: op.FUNCTION_GELU_ERF, f: geluErf, slope: (x) => derivative(geluErf, x) },
  relu: {
    ...gelu,
    code: op.FUNCTION_RELU,
    f: (x) => Math.max(x, 0),
    slope: (x) => (x > 0 ? 1 : 0),
    error: () => 0,
    slopeError: () => 0,
    leftError: 0,
  },
  silu: {
    ...gelu,
    code: op.FUNCTION_SILU,
    f: (x) => x * sigmoid(x),
    slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    error: (_, exact) => 3e-7 * Math.abs(exact),
    leftError: 2e-36,
  },
  tanh: {
    code: op.FUNCTION_TANH,
    f: Math.tanh,
    slope: (x) => 1 / Math.cosh(x) ** 2,
    error: (_, exact) => 2.4e-7 * Math.abs(exact),
    slopeError: (exact) => 1e-6 * exact,
    left: -1,
    leftError: 0,
    right: [1, 1, 1],
    rightSlope: 0,
  },
  sigmoid: {
    code: op.FUNCTION_SIGMOID,
    f: sigmoid,
    slope: (x) => sigmoid(x) * sigmoid(-x),
    error: (_, exact) => 2e-7 * exact,
    slopeError: (exact) => 1e-6 * exact,
    left: 0,
    leftError: 2e-38,
    right: [1, 1, 1],
    rightSlope: 0,
  },
} satisfies Record<string, Case>;
type Name = keyof typeof functions;
const names = Object.keys(functions) as Name[];
const caseOf = (name: Name): Case => functions[name];

function forward(binary: Binary, name: Name, x: Float32Array, rows: number, threads = 1): Float32Array {
  const machine = new GuardedMachine(binary, 8 << 20);
  const at = machine.output(x.length);
  const fields = {
    [op.ACTIVATION_OUT]: at,
    [op.ACTIVATION_INP]: machine.input(x),
    [op.ACTIVATION_ROWS]: rows,
    [op.ACTIVATION_COLS]: x.length / (rows || 1),
    [op.ACTIVATION_FUNCTION]: functions[name].code,
  };
  machine.run(op.OP_ACTIVATION, fields, threads);
  return machine.f32(at, x.length);
}

interface Backward {
  x: Float32Array;
  dout: Float32Array;
  before?: Float32Array;
  threads?: number;
}
function backward(binary: Binary, name: Name, { x, dout, before, threads = 1 }: Backward): Float32Array {
  const machine = new GuardedMachine(binary, 8 << 20);
  const at = before ? machine.inout(before) : machine.output(x.length);
  const fields = {
    [op.ACTIVATION_BACKWARD_DINP]: at,
    [op.ACTIVATION_BACKWARD_DOUT]: machine.input(dout),
    [op.ACTIVATION_BACKWARD_INP]: machine.input(x),
    [op.ACTIVATION_BACKWARD_ROWS]: 1,
    [op.ACTIVATION_BACKWARD_COLS]: x.length,
    [op.ACTIVATION_BACKWARD_FUNCTION]: functions[name].code,
    [op.ACTIVATION_BACKWARD_FLAGS]: before ? op.FLAG_ACCUMULATE : 0,
  };
  machine.run(op.OP_ACTIVATION_BACKWARD, fields, threads);
  return machine.f32(at, x.length);
}

const scaled = (count: number, seed: number) => randomF32(count, seed).map((x) => x * 6);
const dense = new Float32Array(200_001).map((_, i) => (i - 100_000) * 1.5e-4);
const ones = new Float32Array(dense.length).fill(1);
const far = new Float32Array([-Infinity, -1e30, -100]);
const high = new Float32Array([100, 1e30, Infinity]);

/** The largest error in units of the bound. */
function worst(actual: Float32Array, x: Float32Array, exact: (x: number) => number, bound: Case['error']): number {
  let largest = 0;
  x.forEach((v, i) => {
    const expected = exact(v);
    const error = Math.abs(actual[i]! - expected);
    if (error !== 0) largest = Math.max(largest, error / bound(v, expected));
    if (Number.isNaN(error)) largest = Infinity;
  });
  return largest;
}

describe.each(binaries)('activation, %s', (binary) => {
  describe.each(names)('%s', (name) => {
    const { f, error, slopeError, left, leftError, right, rightSlope } = caseOf(name);

    it.each(shapes)('%i×%i, any threads', (rows, cols) => {
      const x = scaled(rows * cols, 1);
      const [out] = onAnyThreads((threads) => [forward(binary, name, x, rows, threads)]);
      expect(excess(out!, Float64Array.from(x, f), { relative: 5e-7, absolute: 3e-7 })).toBeLessThanOrEqual(1);
    });

    it('error on [−15, 15]', () => {
      const ratio = worst(forward(binary, name, dense, 1), dense, f, error);
      if (process.env.VERBOSE) console.log(`${binary} ${name}: ${ratio} of the bound`);
      expect(ratio).toBeLessThanOrEqual(1);
    });

    it('limits, NaN and denormals', () => {
      for (const value of forward(binary, name, far, 1)) expect(Math.abs(value - left)).toBeLessThanOrEqual(leftError);
      expect([...forward(binary, name, high, 1)]).toEqual(right);
      const [nan, ...small] = forward(binary, name, new Float32Array([NaN, 0, 1e-40, -1e-40, 1e-45]), 1);
      expect(nan).toBeNaN();
      small.forEach((value, i) => {
        const exact = f(Math.fround([0, 1e-40, -1e-40, 1e-45][i]!));
        expect(Math.abs(value - exact)).toBeLessThanOrEqual(exact > 0.1 ? 3e-8 : 1.5e-45);
      });
    });

    it('out may be inp', () => {
      const x = scaled(59, 2);
      const machine = new GuardedMachine(binary);
      const at = machine.inout(x);
      const fields = {
        [op.ACTIVATION_OUT]: at,
        [op.ACTIVATION_INP]: at,
        [op.ACTIVATION_ROWS]: 1,
        [op.ACTIVATION_COLS]: 59,
        [op.ACTIVATION_FUNCTION]: functions[name].code,
      };
      machine.run(op.OP_ACTIVATION, fields, 2);
      expect(machine.f32(at, 59)).toEqual(forward(binary, name, x, 1));
    });

    it('an element has the same bits wherever it stands', () => {
      const x = scaled(64, 3);
      const all = forward(binary, name, x, 1);
      for (let i = 0; i < 64; i++) expect(forward(binary, name, x.slice(i, i + 1), 1)[0]).toBe(all[i]);
    });

    it.each(shapes)('backward %i×%i: dout · f′, replacing or adding, any threads', (rows, cols) => {
      const [x, dout, before] = [scaled(rows * cols, 4), randomF32(rows * cols, 5), randomF32(rows * cols, 6)];
      const expected = Float64Array.from(x, (v, i) => dout[i]! * caseOf(name).slope(v));
      const [dinp] = onAnyThreads((threads) => [backward(binary, name, { x, dout, threads })]);
      expect(excess(dinp!, expected, { relative: 1e-6, absolute: 1e-6 })).toBeLessThanOrEqual(1);
      const [sum] = onAnyThreads((threads) => [backward(binary, name, { x, dout, before, threads })]);
      expect(sum).toEqual(dinp!.map((v, i) => before[i]! + v));
    });

    it('backward: error of f′ on [−15, 15]', () => {
      const out = backward(binary, name, { x: dense, dout: ones });
      const ratio = worst(out, dense, caseOf(name).slope, (_, exact) => slopeError(exact));
      if (process.env.VERBOSE) console.log(`${binary} ${name}′: ${ratio} of the bound`);
      expect(ratio).toBeLessThanOrEqual(1);
    });

    it('backward: limits and NaN', () => {
      for (const value of backward(binary, name, { x: far, dout: ones.slice(0, 3) }))
        expect(Math.abs(value)).toBeLessThan(1e-26);
      for (const value of backward(binary, name, { x: high, dout: ones.slice(0, 3) }))
        expect(Math.abs(value - rightSlope)).toBeLessThan(1e-26);
      const [x, dout] = [new Float32Array([NaN, 1]), new Float32Array([1, NaN])];
      expect([...backward(binary, name, { x, dout })]).toEqual([NaN, NaN]);
    });

    it('backward: dinp may be dout, or inp', () => {
      const [x, dout] = [scaled(43, 7), randomF32(43, 8)];
      const expected = backward(binary, name, { x, dout });
      for (const word of [op.ACTIVATION_BACKWARD_DOUT, op.ACTIVATION_BACKWARD_INP]) {
        const machine = new GuardedMachine(binary);
        const at = machine.inout(word === op.ACTIVATION_BACKWARD_DOUT ? dout : x);
        const other = machine.input(word === op.ACTIVATION_BACKWARD_DOUT ? x : dout);
        const fields = {
          [op.ACTIVATION_BACKWARD_DINP]: at,
          [op.ACTIVATION_BACKWARD_DOUT]: other,
          [op.ACTIVATION_BACKWARD_INP]: other,
          [op.ACTIVATION_BACKWARD_ROWS]: 43,
          [op.ACTIVATION_BACKWARD_COLS]: 1,
          [op.ACTIVATION_BACKWARD_FUNCTION]: functions[name].code,
        };
        machine.run(op.OP_ACTIVATION_BACKWARD, { ...fields, [word]: at }, 3);
        expect(machine.f32(at, 43)).toEqual(expected);
      }
    });
  });

  it.each(['gelu-tanh', 'gelu-erf', 'silu', 'sigmoid'] as const)(
    '%s: the left tail keeps its relative precision',
    (name) => {
      const x = new Float32Array([-0.001, -0.5, -1, -2, -3, -4, -5]);
      // The textbook form of GELU with tanh cancels in f64 too; this one does not.
      const tails = {
        'gelu-tanh': (v: number) => v / (1 + Math.exp(-2 * SQRT_2_OVER_PI * (v + 0.044715 * v ** 3))),
        'gelu-erf': (v: number) => v * normalTail(-v),
        silu: functions.silu.f,
        sigmoid,
      };
      const expected = Float64Array.from(x, tails[name]);
      expect(excess(forward(binary, name, x, 1), expected, { relative: 4e-6 })).toBeLessThanOrEqual(1);
    },
  );

  it.each(['silu', 'sigmoid', 'tanh'] as const)('%s: relative precision as far as f32 goes', (name) => {
    const x = new Float32Array(20_000).map((_, i) => (i - 10_000) * 0.0086); // ±86
    const { f } = caseOf(name);
    expect(excess(forward(binary, name, x, 1), Float64Array.from(x, f), { relative: 3e-7 })).toBeLessThanOrEqual(1);
  });

  it('the two forms of GELU differ by less than 5e-4', () => {
    const [a, b] = [forward(binary, 'gelu-tanh', dense, 1), forward(binary, 'gelu-erf', dense, 1)];
    expect(excess(a, b, { absolute: 5e-4 })).toBeLessThanOrEqual(1);
  });
});

it('the test’s derivatives agree with a plain central difference', () => {
  for (const name of names)
    for (const x of [-3, -0.7, 0.2, 2.5])
      expect(caseOf(name).slope(x), name).toBeCloseTo(
        slope((v) => caseOf(name).f(v[0]!), [x], 0),
        8,
      );
});

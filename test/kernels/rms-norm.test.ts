/** RMS norm and its backward pass against f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes, slope } from './guarded.ts';

const EPSILON = Math.fround(1e-5);

interface Case {
  /** Of the twin; the kernel is told rows / groups rows of groups. */
  rows: number;
  groups?: number;
  cols: number;
  offset: 0 | 1;
  x: ArrayLike<number>;
  weight: ArrayLike<number>;
  dout: Float32Array;
}
function randomCase(rows: number, cols: number, offset: 0 | 1 = 0, size = 2): Case {
  const x = randomF32(rows * cols, 1).map((v) => size * v);
  const weight = randomF32(cols, 2).map((v) => v + 1 - offset);
  return { rows, cols, offset, x, weight, dout: randomF32(rows * cols, 4) };
}

/** The definition, in f64. */
function twin({ rows, cols, offset, x, weight }: Case) {
  const out = new Float64Array(rows * cols);
  const rstd = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    let square = 0;
    for (let c = 0; c < cols; c++) square += x[r * cols + c]! ** 2 / cols;
    rstd[r] = 1 / Math.sqrt(square + EPSILON);
    for (let c = 0; c < cols; c++) out[r * cols + c] = x[r * cols + c]! * rstd[r]! * (weight[c]! + offset);
  }
  return { out, rstd };
}

/** Its gradients, in f64. */
function twinBackward(problem: Case) {
  const { rows, cols, offset, x, weight, dout } = problem;
  const { rstd } = twin(problem);
  const dinp = new Float64Array(rows * cols);
  const dweight = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    const unit = (c: number) => x[r * cols + c]! * rstd[r]!;
    const g = (c: number) => dout[r * cols + c]! * (weight[c]! + offset);
    let mean = 0;
    for (let c = 0; c < cols; c++) {
      mean += (g(c) * unit(c)) / cols;
      dweight[c]! += dout[r * cols + c]! * unit(c);
    }
    for (let c = 0; c < cols; c++) dinp[r * cols + c] = rstd[r]! * (g(c) - unit(c) * mean);
  }
  return { dinp, dweight };
}

function forward(binary: Binary, problem: Case, threads = 1, inPlace = false): Float32Array[] {
  const { rows, groups = 1, cols, offset, x, weight } = problem;
  const machine = new GuardedMachine(binary);
  const out = inPlace ? machine.inout(x) : machine.output(rows * cols);
  const rstd = machine.output(rows);
  const fields = {
    [op.RMS_NORM_OUT]: out,
    [op.RMS_NORM_INP]: inPlace ? out : machine.input(x),
    [op.RMS_NORM_WEIGHT]: machine.input(weight),
    [op.RMS_NORM_RSTD]: rstd,
    [op.RMS_NORM_ROWS]: rows / groups,
    [op.RMS_NORM_COLS]: cols,
    [op.RMS_NORM_EPSILON]: f32Bits(EPSILON),
    [op.RMS_NORM_OFFSET]: f32Bits(offset),
    [op.RMS_NORM_GROUPS]: groups,
  };
  machine.run(op.OP_RMS_NORM, fields, threads);
  return [machine.f32(out, rows * cols), machine.f32(rstd, rows)];
}

interface Before {
  dinp?: Float32Array | 'absent';
  dweight: Float32Array;
  /** Whether the weight is frozen: its gradient is then absent. */
  frozen?: boolean;
}
function backward(binary: Binary, problem: Case, before: Before, threads = 1): Float32Array[] {
  const { rows, groups = 1, cols, offset, x, weight, dout } = problem;
  const machine = new GuardedMachine(binary);
  const accumulate = before.dinp instanceof Float32Array;
  const dinp = before.dinp instanceof Float32Array ? machine.inout(before.dinp) : machine.output(rows * cols);
  const dweight = machine.inout(before.dweight);
  const fields = {
    [op.RMS_NORM_BACKWARD_DINP]: before.dinp === 'absent' ? 0 : dinp,
    [op.RMS_NORM_BACKWARD_DWEIGHT]: before.frozen ? 0 : dweight,
    [op.RMS_NORM_BACKWARD_DOUT]: machine.input(dout),
    [op.RMS_NORM_BACKWARD_INP]: machine.input(x),
    [op.RMS_NORM_BACKWARD_WEIGHT]: machine.input(weight),
    [op.RMS_NORM_BACKWARD_RSTD]: machine.input(twin(problem).rstd),
    [op.RMS_NORM_BACKWARD_ROWS]: rows / groups,
    [op.RMS_NORM_BACKWARD_COLS]: cols,
    [op.RMS_NORM_BACKWARD_OFFSET]: f32Bits(offset),
    [op.RMS_NORM_BACKWARD_FLAGS]: accumulate ? op.FLAG_ACCUMULATE : 0,
    [op.RMS_NORM_BACKWARD_GROUPS]: groups,
  };
  machine.run(op.OP_RMS_NORM_BACKWARD, fields, threads);
  return [machine.f32(dinp, rows * cols), machine.f32(dweight, cols)];
}

const plus = (a: ArrayLike<number>, b: ArrayLike<number>) => Float64Array.from(a, (v, i) => v + b[i]!);

describe.each(binaries)('rmsNorm, %s', (binary) => {
  describe.each([0, 1] as const)('offset %i', (offset) => {
    it.each(shapes)('%i×%i: error ≤ 1e-6 relative, any threads', (rows, cols) => {
      const problem = randomCase(rows, cols, offset);
      const [out, rstd] = onAnyThreads((threads) => forward(binary, problem, threads));
      const expected = twin(problem);
      expect(excess(rstd!, expected.rstd, { relative: 1e-6 })).toBeLessThanOrEqual(1);
      // weight + 1 is rounded: absolute where a weight is near −1.
      expect(excess(out!, expected.out, { relative: 1e-6, absolute: offset * 2e-7 })).toBeLessThanOrEqual(1);
    });

    it.each(shapes)('backward %i×%i: against f64, any threads', (rows, cols) => {
      const problem = randomCase(rows, cols, offset);
      const before = { dweight: randomF32(cols, 5) };
      const expected = twinBackward(problem);
      const scale = Math.max(1, ...twin(problem).rstd);
      const tolerances = { relative: 2e-6, absolute: 3e-6 * scale };
      const [dinp, dweight] = onAnyThreads((threads) => backward(binary, problem, before, threads));
      expect(excess(dinp!, expected.dinp, tolerances)).toBeLessThanOrEqual(1);
      expect(excess(dweight!, plus(before.dweight, expected.dweight), tolerances)).toBeLessThanOrEqual(1);

      const old = randomF32(rows * cols, 7);
      const [sum] = onAnyThreads((threads) => backward(binary, problem, { ...before, dinp: old }, threads));
      expect(sum).toEqual(dinp!.map((v, i) => old[i]! + v));
    });
  });

  it('rows of many sizes: error ≤ 1e-6 relative while the sum of squares is finite', () => {
    for (const size of [1e-20, 1e-3, 1, 1e4, 1e15]) {
      const problem = randomCase(5, 768, 0, size);
      const expected = twin(problem);
      const [out, rstd] = forward(binary, problem);
      expect(excess(out!, expected.out, { relative: 1e-6 }), `${size}`).toBeLessThanOrEqual(1);
      expect(excess(rstd!, expected.rstd, { relative: 1e-6 }), `${size}`).toBeLessThanOrEqual(1);
    }
  });

  it('a row of zeros gives zeros; NaN stays in its row; an infinite row is NaN where it is infinite, else 0', () => {
    const x = randomF32(4 * 37, 1);
    x.fill(0, 0, 37);
    x[40] = NaN;
    x[2 * 37 + 5] = Infinity;
    const [out] = forward(binary, { ...randomCase(4, 37), x }, 2);
    expect(out!.slice(0, 37)).toEqual(new Float32Array(37));
    expect(out!.slice(37, 74).every(Number.isNaN)).toBe(true);
    out!.slice(74, 111).forEach((v, c) => {
      if (c === 5) expect(v).toBeNaN();
      else expect(Math.abs(v)).toBe(0);
    });
    expect(out!.slice(111).some(Number.isNaN)).toBe(false);
  });

  it.each([1, 3, 4])('rows of %i groups are as many rows more', (groups) => {
    const problem = randomCase(12, 13, 1);
    const before = { dweight: randomF32(13, 5) };
    const expected = [...forward(binary, problem), ...backward(binary, problem, before)];
    const grouped = { ...problem, groups };
    const actual = onAnyThreads((threads) => [
      ...forward(binary, grouped, threads),
      ...backward(binary, grouped, before, threads),
    ]);
    expect(actual).toEqual(expected);
  });

  it('out may be inp', () => {
    const problem = randomCase(7, 45);
    expect(forward(binary, problem, 3, true)).toEqual(forward(binary, problem));
  });

  it('backward: without dinp the gradient of the weight is the same, and the reverse', () => {
    const problem = randomCase(9, 21);
    const before = { dweight: randomF32(21, 5) };
    const [dinp, dweight] = backward(binary, problem, before);
    const [untouched, alone] = backward(binary, problem, { ...before, dinp: 'absent' });
    expect(alone).toEqual(dweight);
    expect(untouched!.every(Number.isNaN)).toBe(true);
    const [other, frozen] = backward(binary, problem, { ...before, frozen: true }, 3);
    expect(other).toEqual(dinp);
    expect(frozen).toEqual(before.dweight);
  });

  it('backward: a NaN in dout reaches its row of dinp and its column of the weight, no more', () => {
    const problem = randomCase(6, 33);
    problem.dout[2 * 33 + 32] = NaN;
    const [dinp, dweight] = backward(binary, problem, { dweight: new Float32Array(33) });
    expect([...dinp!.keys()].filter((i) => Number.isNaN(dinp![i]!))).toEqual([...Array(33).keys()].map((c) => 66 + c));
    expect([...dweight!.keys()].filter((c) => Number.isNaN(dweight![c]!))).toEqual([32]);
  });
});

it('the twin’s gradients agree with finite differences', () => {
  for (const offset of [0, 1] as const) {
    const problem = randomCase(3, 7, offset);
    const loss = (changed: Partial<Case>) =>
      twin({ ...problem, ...changed }).out.reduce((sum, v, i) => sum + v * problem.dout[i]!, 0);
    const { dinp, dweight } = twinBackward(problem);
    for (let i = 0; i < 21; i++) expect(slope((x) => loss({ x }), problem.x, i)).toBeCloseTo(dinp[i]!, 7);
    for (let c = 0; c < 7; c++)
      expect(slope((weight) => loss({ weight }), problem.weight, c)).toBeCloseTo(dweight[c]!, 7);
  }
});

/** Layer norm and its backward pass against f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes, slope } from './guarded.ts';

const EPSILON = 1e-5;

interface Case {
  rows: number;
  cols: number;
  x: Float32Array;
  weight: Float32Array;
  bias: Float32Array;
  dout: Float32Array;
}
function randomCase(rows: number, cols: number, offset = 0): Case {
  const x = randomF32(rows * cols, 1).map((v) => 2 * v + offset);
  const weight = randomF32(cols, 2).map((v) => v + 1);
  return { rows, cols, x, weight, bias: randomF32(cols, 3), dout: randomF32(rows * cols, 4) };
}

/** The definition, in f64. */
function twin({ rows, cols, x, weight, bias }: Omit<Case, 'dout' | 'x'> & { x: ArrayLike<number> }) {
  const out = new Float64Array(rows * cols);
  const [mean, rstd] = [new Float64Array(rows), new Float64Array(rows)];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) mean[r]! += x[r * cols + c]! / cols;
    let variance = 0;
    for (let c = 0; c < cols; c++) variance += (x[r * cols + c]! - mean[r]!) ** 2 / cols;
    rstd[r] = 1 / Math.sqrt(variance + EPSILON);
    for (let c = 0; c < cols; c++) out[r * cols + c] = (x[r * cols + c]! - mean[r]!) * rstd[r]! * weight[c]! + bias[c]!;
  }
  return { out, mean, rstd };
}

/** Its gradients, in f64. */
function twinBackward(problem: Case) {
  const { rows, cols, x, weight, dout } = problem;
  const { mean, rstd } = twin(problem);
  const dinp = new Float64Array(rows * cols);
  const [dweight, dbias] = [new Float64Array(cols), new Float64Array(cols)];
  for (let r = 0; r < rows; r++) {
    const unit = (c: number) => (x[r * cols + c]! - mean[r]!) * rstd[r]!;
    let gMean = 0;
    let gxMean = 0;
    for (let c = 0; c < cols; c++) {
      const g = dout[r * cols + c]! * weight[c]!;
      gMean += g / cols;
      gxMean += (g * unit(c)) / cols;
      dweight[c]! += dout[r * cols + c]! * unit(c);
      dbias[c]! += dout[r * cols + c]!;
    }
    for (let c = 0; c < cols; c++)
      dinp[r * cols + c] = rstd[r]! * (dout[r * cols + c]! * weight[c]! - gMean - unit(c) * gxMean);
  }
  return { dinp, dweight, dbias };
}

function forward(binary: Binary, { rows, cols, x, weight, bias }: Case, threads = 1, inPlace = false): Float32Array[] {
  const machine = new GuardedMachine(binary);
  const out = inPlace ? machine.inout(x) : machine.output(rows * cols);
  const [mean, rstd] = [machine.output(rows), machine.output(rows)];
  const fields = {
    [op.LAYER_NORM_OUT]: out,
    [op.LAYER_NORM_INP]: inPlace ? out : machine.input(x),
    [op.LAYER_NORM_WEIGHT]: machine.input(weight),
    [op.LAYER_NORM_BIAS]: machine.input(bias),
    [op.LAYER_NORM_MEAN]: mean,
    [op.LAYER_NORM_RSTD]: rstd,
    [op.LAYER_NORM_ROWS]: rows,
    [op.LAYER_NORM_COLS]: cols,
    [op.LAYER_NORM_EPSILON]: f32Bits(EPSILON),
  };
  machine.run(op.OP_LAYER_NORM, fields, threads);
  return [machine.f32(out, rows * cols), machine.f32(mean, rows), machine.f32(rstd, rows)];
}

interface Before {
  dinp?: Float32Array | 'absent';
  dweight: Float32Array;
  dbias: Float32Array;
  /** Whether weight and bias are frozen: their gradients are then absent. */
  frozen?: boolean;
}
function backward(binary: Binary, problem: Case, before: Before, threads = 1): Float32Array[] {
  const { rows, cols, x, weight, dout } = problem;
  const { mean, rstd } = twin(problem);
  const machine = new GuardedMachine(binary);
  const accumulate = before.dinp instanceof Float32Array;
  const dinp = before.dinp instanceof Float32Array ? machine.inout(before.dinp) : machine.output(rows * cols);
  const [dweight, dbias] = [machine.inout(before.dweight), machine.inout(before.dbias)];
  const fields = {
    [op.LAYER_NORM_BACKWARD_DINP]: before.dinp === 'absent' ? 0 : dinp,
    [op.LAYER_NORM_BACKWARD_DWEIGHT]: before.frozen ? 0 : dweight,
    [op.LAYER_NORM_BACKWARD_DBIAS]: before.frozen ? 0 : dbias,
    [op.LAYER_NORM_BACKWARD_DOUT]: machine.input(dout),
    [op.LAYER_NORM_BACKWARD_INP]: machine.input(x),
    [op.LAYER_NORM_BACKWARD_WEIGHT]: machine.input(weight),
    [op.LAYER_NORM_BACKWARD_MEAN]: machine.input(mean),
    [op.LAYER_NORM_BACKWARD_RSTD]: machine.input(rstd),
    [op.LAYER_NORM_BACKWARD_ROWS]: rows,
    [op.LAYER_NORM_BACKWARD_COLS]: cols,
    [op.LAYER_NORM_BACKWARD_FLAGS]: accumulate ? op.FLAG_ACCUMULATE : 0,
  };
  machine.run(op.OP_LAYER_NORM_BACKWARD, fields, threads);
  return [machine.f32(dinp, rows * cols), machine.f32(dweight, cols), machine.f32(dbias, cols)];
}

const plus = (a: ArrayLike<number>, b: ArrayLike<number>) => Float64Array.from(a, (v, i) => v + b[i]!);

describe.each(binaries)('layerNorm, %s', (binary) => {
  it.each(shapes)('%i×%i: against f64, any threads', (rows, cols) => {
    const problem = randomCase(rows, cols);
    const [out, mean, rstd] = onAnyThreads((threads) => forward(binary, problem, threads));
    const expected = twin(problem);
    expect(excess(out!, expected.out, { absolute: 4e-6 })).toBeLessThanOrEqual(1);
    expect(excess(mean!, expected.mean, { absolute: 1e-6 })).toBeLessThanOrEqual(1);
    // One element has variance 0 and two may be near: rstd then says little but 1 / √ε.
    expect(excess(rstd!, expected.rstd, { relative: 2e-6 })).toBeLessThanOrEqual(1);
  });

  it('rows of GPT-2 width: error ≤ 1e-6 · (1 + |mean| · rstd) · |weight|, also far from zero', () => {
    for (const offset of [0, 10, 1000]) {
      const problem = randomCase(5, 768, offset);
      const expected = twin(problem);
      const [out] = forward(binary, problem);
      let worst = 0;
      for (let i = 0; i < out!.length; i++) {
        const r = Math.floor(i / 768);
        const bound = (1 + Math.abs(expected.mean[r]! * expected.rstd[r]!)) * Math.max(1, problem.weight[i % 768]!);
        worst = Math.max(worst, Math.abs(out![i]! - expected.out[i]!) / bound);
      }
      expect(worst).toBeLessThan(1e-6);
    }
  });

  it('a constant row gives the bias; NaN stays in its row', () => {
    const problem = randomCase(3, 37);
    problem.x.fill(5, 0, 37);
    problem.x[40] = NaN;
    const [out] = forward(binary, problem, 2);
    expect(excess(out!.slice(0, 37), problem.bias, { absolute: 1e-3 })).toBeLessThanOrEqual(1);
    expect(out!.slice(37, 74).every(Number.isNaN)).toBe(true);
    expect(out!.slice(74).some(Number.isNaN)).toBe(false);
  });

  it('out may be inp', () => {
    const problem = randomCase(7, 45);
    expect(forward(binary, problem, 3, true)).toEqual(forward(binary, problem));
  });

  it.each(shapes)('backward %i×%i: against f64, any threads', (rows, cols) => {
    const problem = randomCase(rows, cols);
    const before = { dweight: randomF32(cols, 5), dbias: randomF32(cols, 6) };
    const expected = twinBackward(problem);
    const scale = Math.max(1, ...twin(problem).rstd); // a row of one element: rstd is 316
    const tolerances = { relative: 2e-6, absolute: 3e-6 * scale };
    const [dinp, dweight, dbias] = onAnyThreads((threads) => backward(binary, problem, before, threads));
    expect(excess(dinp!, expected.dinp, tolerances)).toBeLessThanOrEqual(1);
    expect(excess(dweight!, plus(before.dweight, expected.dweight), tolerances)).toBeLessThanOrEqual(1);
    expect(excess(dbias!, plus(before.dbias, expected.dbias), tolerances)).toBeLessThanOrEqual(1);

    const old = randomF32(rows * cols, 7);
    const [sum] = onAnyThreads((threads) => backward(binary, problem, { ...before, dinp: old }, threads));
    expect(sum).toEqual(dinp!.map((v, i) => old[i]! + v));
  });

  it('backward: without dinp the parameter gradients are the same', () => {
    const problem = randomCase(9, 21);
    const before = { dweight: randomF32(21, 5), dbias: randomF32(21, 6) };
    const [, ...expected] = backward(binary, problem, before);
    const [dinp, ...actual] = backward(binary, problem, { ...before, dinp: 'absent' });
    expect(actual).toEqual(expected);
    expect(dinp!.every(Number.isNaN)).toBe(true); // untouched
  });

  it('backward: without the gradients of weight and bias dinp is the same', () => {
    const problem = randomCase(9, 21);
    const before = { dweight: randomF32(21, 5), dbias: randomF32(21, 6) };
    const [expected] = backward(binary, problem, before);
    const [dinp, dweight, dbias] = backward(binary, problem, { ...before, frozen: true }, 3);
    expect(dinp).toEqual(expected);
    expect([dweight, dbias]).toEqual([before.dweight, before.dbias]); // untouched
  });

  it('backward: a NaN in dout reaches its row of dinp and its column of the parameters, no more', () => {
    const problem = randomCase(6, 33);
    problem.dout[2 * 33 + 32] = NaN;
    const zeros = new Float32Array(33);
    const [dinp, dweight, dbias] = backward(binary, problem, { dweight: zeros, dbias: zeros });
    expect([...dinp!.keys()].filter((i) => Number.isNaN(dinp![i]!))).toEqual([...Array(33).keys()].map((c) => 66 + c));
    for (const gradient of [dweight!, dbias!])
      expect([...gradient.keys()].filter((c) => Number.isNaN(gradient[c]!))).toEqual([32]);
  });
});

it('the twin’s gradients agree with finite differences', () => {
  const problem = randomCase(3, 7);
  const loss = (changed: Record<string, ArrayLike<number>>) =>
    twin({ ...problem, ...changed }).out.reduce((sum, v, i) => sum + v * problem.dout[i]!, 0);
  const { dinp, dweight, dbias } = twinBackward(problem);
  const f64 = (f: (x: Float64Array) => number) => f;
  for (let i = 0; i < 21; i++)
    expect(
      slope(
        f64((x) => loss({ x })),
        problem.x,
        i,
      ),
    ).toBeCloseTo(dinp[i]!, 7);
  for (let c = 0; c < 7; c++) {
    expect(
      slope(
        f64((weight) => loss({ weight })),
        problem.weight,
        c,
      ),
    ).toBeCloseTo(dweight[c]!, 7);
    expect(
      slope(
        f64((bias) => loss({ bias })),
        problem.bias,
        c,
      ),
    ).toBeCloseTo(dbias[c]!, 7);
  }
});

/** Softmax cross-entropy and its gradient against f64. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes, slope } from './guarded.ts';

const GPT2_VOCABULARY = 50257;

interface Case {
  rows: number;
  cols: number;
  logits: Float32Array;
  targets: Int32Array;
}
/** Every fifth row is ignored. */
function randomCase(rows: number, cols: number, spread = 8): Case {
  const logits = randomF32(rows * cols, 1).map((x) => x * spread);
  const targets = Int32Array.from(randomF32(rows, 2), (x, r) => (r % 5 === 4 ? -1 : Math.floor(((x + 1) / 2) * cols)));
  return { rows, cols, logits, targets };
}

/** −log p(target) of one row in f64, so that a small loss keeps its digits: ln(1 + Σ of the others). */
function rowLoss(row: ArrayLike<number>, target: number): number {
  const largest = Math.max(...Array.from(row));
  const at = Array.from(row).indexOf(largest);
  let others = 0;
  for (let c = 0; c < row.length; c++) if (c !== at) others += Math.exp(row[c]! - largest);
  return Math.log1p(others) + largest - row[target]!;
}

/** Gradient of the loss times scale, in f64. */
function rowGradient(row: ArrayLike<number>, target: number, scale: number): Float64Array {
  const largest = Math.max(...Array.from(row));
  let sum = 0;
  for (let c = 0; c < row.length; c++) sum += Math.exp(row[c]! - largest);
  return Float64Array.from(row, (x, c) => (Math.exp(x - largest) / sum - (c === target ? 1 : 0)) * scale);
}

function run(binary: Binary, { rows, cols, logits, targets }: Case, scale?: number, threads = 1): Float32Array[] {
  const machine = new GuardedMachine(binary, 4 << 20);
  const gradient = scale !== undefined;
  const logitsAt = gradient ? machine.inout(logits) : machine.input(logits);
  const [losses, correct] = [machine.output(rows), machine.output(rows)];
  const fields = {
    [op.CROSS_ENTROPY_LOGITS]: logitsAt,
    [op.CROSS_ENTROPY_TARGETS]: machine.integers(targets),
    [op.CROSS_ENTROPY_LOSSES]: losses,
    [op.CROSS_ENTROPY_CORRECT]: correct,
    [op.CROSS_ENTROPY_ROWS]: rows,
    [op.CROSS_ENTROPY_COLS]: cols,
    [op.CROSS_ENTROPY_SCALE]: gradient ? machine.input([scale]) : 0,
    [op.CROSS_ENTROPY_FLAGS]: gradient ? op.FLAG_GRADIENT : 0,
  };
  machine.run(op.OP_CROSS_ENTROPY, fields, threads);
  return [machine.f32(losses, rows), machine.f32(correct, rows), machine.f32(logitsAt, rows * cols)];
}

const one = (binary: Binary, logits: number[], target: number, scale?: number) =>
  run(
    binary,
    { rows: 1, cols: logits.length, logits: new Float32Array(logits), targets: new Int32Array([target]) },
    scale,
  );

describe.each(binaries)('crossEntropy, %s', (binary) => {
  it.each([...shapes, [2, GPT2_VOCABULARY] as const])(
    '%i×%i: loss, correct and gradient, any threads',
    (rows, cols) => {
      const problem = randomCase(rows, cols);
      const scale = 0.25;
      const row = (r: number) => problem.logits.subarray(r * cols, (r + 1) * cols);
      const [losses, correct] = onAnyThreads((threads) => run(binary, problem, undefined, threads));
      const [sameLosses, sameCorrect, gradient] = onAnyThreads((threads) => run(binary, problem, scale, threads));
      expect(sameLosses).toEqual(losses);
      expect(sameCorrect).toEqual(correct);
      for (let r = 0; r < rows; r++) {
        const target = problem.targets[r]!;
        const actual = gradient!.subarray(r * cols, (r + 1) * cols);
        if (target < 0) {
          expect([losses![r], correct![r]]).toEqual([0, 0]);
          expect(actual).toEqual(new Float32Array(cols));
          continue;
        }
        expect(excess([losses![r]!], [rowLoss(row(r), target)], { relative: 1e-6 })).toBeLessThanOrEqual(1);
        expect(correct![r]).toBe(row(r).indexOf(Math.max(...row(r))) === target ? 1 : 0);
        const expected = rowGradient(row(r), target, scale);
        expect(excess(actual, expected, { relative: 4e-7, absolute: 1e-8 * scale })).toBeLessThanOrEqual(1);
      }
    },
  );

  it('loss: ≤ 1e-6 relative, from certain to hopeless', () => {
    for (const lead of [-50, -10, -1, 0, 1, 5, 10, 15, 20, 40, 60]) {
      const logits = [...randomF32(97, 3)];
      logits[13] = lead;
      const [loss] = one(binary, logits, 13);
      const expected = rowLoss(new Float32Array(logits), 13);
      expect(excess(loss!, [expected], { relative: 1e-6, absolute: 1e-15 })).toBeLessThanOrEqual(1); // the last ULP of 1 + Σ
    }
  });

  it('loss and gradient do not change when all logits move far', () => {
    const logits = [...randomF32(65, 4)].map((x) => Math.round(x * 64) / 64);
    for (const offset of [-1e4, 1e4]) {
      const moved = logits.map((x) => x + offset);
      expect(one(binary, moved, 3, 1)).toEqual(one(binary, logits, 3, 1));
    }
  });

  it('equal logits: ln V, and the first of several largest is the guess', () => {
    for (const cols of [1, 5, 16, 33, GPT2_VOCABULARY]) {
      const logits = Array.from({ length: cols }, () => 2.5);
      for (const target of new Set([0, cols >> 1, cols - 1])) {
        const [loss, correct] = one(binary, logits, target);
        expect(excess(loss!, [Math.log(cols)], { relative: 1e-6 })).toBeLessThanOrEqual(1);
        expect(correct![0]).toBe(target === 0 ? 1 : 0);
      }
    }
  });

  it('the guess is found wherever it stands', () => {
    for (const cols of [1, 4, 15, 16, 17, 37])
      for (let target = 0; target < cols; target++) {
        const logits = [...randomF32(cols, 5)];
        logits[target] = 1.5;
        expect(one(binary, logits, target)[1]![0]).toBe(1);
        if (target > 0) expect(one(binary, logits, target - 1)[1]![0]).toBe(0);
      }
  });

  it('NaN anywhere makes the loss NaN and correct 0, in its row alone', () => {
    for (const cols of [1, 5, 16, 37, 64])
      for (let at = 0; at < cols; at++) {
        const problem = randomCase(2, cols);
        problem.targets.fill(cols >> 1);
        problem.logits[at] = NaN;
        const [losses, correct, gradient] = run(binary, problem, 1);
        expect(losses![0]).toBe(NaN);
        expect(losses![1]).not.toBe(NaN);
        expect(correct![0]).toBe(0);
        expect(gradient!.subarray(0, cols).every(Number.isNaN)).toBe(true);
        expect(gradient!.subarray(cols).some(Number.isNaN)).toBe(false);
      }
  });

  it('masked logits (−∞) have no share; a masked target costs ∞', () => {
    const logits = [0, -Infinity, 1, -Infinity, -1];
    const [loss, , gradient] = one(binary, logits, 2, 1);
    expect(excess(loss!, [rowLoss([0, 1, -1], 1)], { relative: 1e-6 })).toBeLessThanOrEqual(1);
    expect([gradient![1], gradient![3]]).toEqual([0, 0]);
    const [infinite, , none] = one(binary, logits, 1, 1);
    expect(infinite![0]).toBe(Infinity);
    expect(none!.every(Number.isNaN)).toBe(true);
  });

  it('the gradient of a row sums to about zero', () => {
    const problem = randomCase(1, GPT2_VOCABULARY);
    const [, , gradient] = run(binary, problem, 1);
    expect(Math.abs(gradient!.reduce((sum, x) => sum + x, 0))).toBeLessThan(1e-6);
  });
});

it('the twin’s gradient agrees with finite differences', () => {
  const row = randomF32(9, 6);
  const gradient = rowGradient(row, 4, 0.5);
  for (let c = 0; c < 9; c++) expect(slope((x) => 0.5 * rowLoss(x, 4), row, c)).toBeCloseTo(gradient[c]!, 8);
});

/** Rotary position embedding against f64: angles rounded to f32 as transformers rounds them, everything else exact. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads } from './guarded.ts';

interface Case {
  rows: number;
  heads: number;
  headSize: number;
  rotaryDim: number;
  x: Float32Array;
  positions: Int32Array;
  frequencies: Float32Array;
  interleaved?: boolean;
  inverse?: boolean;
  factor?: number;
  /** Elements from row to row; default heads · headSize. */
  inpLd?: number;
  outLd?: number;
  /** What out holds before: the result is added. */
  before?: Float32Array;
}

/** [rows, heads, headSize, rotaryDim]: none, one pair, less than a vector, odd numbers of pairs, tails, partial, wide. */
const shapes = [
  [0, 2, 8, 8],
  [1, 1, 2, 2],
  [1, 3, 5, 2],
  [2, 1, 6, 6],
  [3, 2, 7, 6],
  [2, 2, 8, 4],
  [5, 3, 10, 10],
  [4, 1, 16, 14],
  [7, 2, 31, 30],
  [3, 4, 64, 64],
  [2, 3, 65, 22],
  [13, 1, 80, 32],
  [17, 2, 128, 128],
] as const;

const frequenciesOf = (rotaryDim: number, base = 10000) =>
  Float32Array.from({ length: rotaryDim / 2 }, (_, i) => base ** ((-2 * i) / rotaryDim));

function randomCase([rows, heads, headSize, rotaryDim]: readonly number[] | (typeof shapes)[number]): Case {
  const sizes = { rows: rows!, heads: heads!, headSize: headSize!, rotaryDim: rotaryDim! };
  return {
    ...sizes,
    x: randomF32(sizes.rows * sizes.heads * sizes.headSize, 1).map((v) => 3 * v),
    positions: Int32Array.from(randomF32(sizes.rows, 2), (v) => Math.floor(Math.abs(v) * 100_000)),
    frequencies: frequenciesOf(sizes.rotaryDim),
  };
}

/** The definition, in f64; [rows, heads · headSize]. */
function twin({ rows, heads, headSize, rotaryDim, x, positions, frequencies, ...options }: Case): Float64Array {
  const { interleaved = false, inverse = false, factor = 1, inpLd = heads * headSize } = options;
  const out = new Float64Array(rows * heads * headSize);
  const pairs = rotaryDim / 2;
  for (let row = 0; row < rows; row++)
    for (let head = 0; head < heads; head++) {
      const at = (j: number) => x[row * inpLd + head * headSize + j]!;
      const to = (row * heads + head) * headSize;
      for (let j = rotaryDim; j < headSize; j++) out[to + j] = at(j);
      for (let pair = 0; pair < pairs; pair++) {
        const angle = Math.fround(positions[row]! * frequencies[pair]!) * (inverse ? -1 : 1);
        const [first, second] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + pairs];
        out[to + first] = factor * (at(first) * Math.cos(angle) - at(second) * Math.sin(angle));
        out[to + second] = factor * (at(second) * Math.cos(angle) + at(first) * Math.sin(angle));
      }
    }
  return out;
}

/** `out` as it stands in memory: rows outLd apart. */
function run(binary: Binary, problem: Case, threads = 1, inPlace = false): Float32Array {
  const { rows, heads, headSize, rotaryDim, x, positions, frequencies, factor = 1 } = problem;
  const { inpLd = heads * headSize, outLd = heads * headSize, before } = problem;
  const machine = new GuardedMachine(binary, 4 << 20);
  const count = rows * outLd;
  const out = inPlace ? machine.inout(x) : before ? machine.inout(before) : machine.output(count);
  const fields = {
    [op.ROTARY_OUT]: out,
    [op.ROTARY_OUT_LD]: outLd,
    [op.ROTARY_INP]: inPlace ? out : machine.input(x),
    [op.ROTARY_INP_LD]: inpLd,
    [op.ROTARY_POSITIONS]: machine.integers(positions),
    [op.ROTARY_FREQUENCIES]: machine.input(frequencies),
    [op.ROTARY_ROWS]: rows,
    [op.ROTARY_HEADS]: heads,
    [op.ROTARY_HEAD_SIZE]: headSize,
    [op.ROTARY_DIM]: rotaryDim,
    [op.ROTARY_FACTOR]: f32Bits(factor),
    [op.ROTARY_FLAGS]:
      (problem.interleaved ? op.FLAG_INTERLEAVED : 0) |
      (problem.inverse ? op.FLAG_INVERSE : 0) |
      (before ? op.FLAG_ACCUMULATE : 0),
  };
  machine.run(op.OP_ROTARY, fields, threads);
  return machine.f32(out, count);
}

/** Four roundings (cosine, factor, product, sum) of what is at most factor · √(x² + y²), with x and y below 3. */
const toleranceOf = (factor: number) => ({ absolute: 4 * 2 ** -24 * factor * 3 * Math.SQRT2 });

describe.each(binaries)('rotary, %s', (binary) => {
  describe.each([false, true])('interleaved %s', (interleaved) => {
    it.each(shapes)('%i rows of %i heads of %i, %i of them turning: forward and back, any threads', (...shape) => {
      for (const inverse of [false, true])
        for (const factor of [1, 1.25]) {
          const problem = { ...randomCase(shape), interleaved, inverse, factor };
          const [out] = onAnyThreads((threads) => [run(binary, problem, threads)]);
          expect(excess(out!, twin(problem), toleranceOf(factor))).toBeLessThanOrEqual(1);
          expect(run(binary, problem, 3, true)).toEqual(out); // in place

          const before = randomF32(problem.x.length, 3);
          const [sum] = onAnyThreads((threads) => [run(binary, { ...problem, before }, threads)]);
          expect(sum).toEqual(out!.map((v, i) => before[i]! + v));
        }
    });

    it('columns of wider rows, into columns of wider rows', () => {
      const problem = { ...randomCase([6, 2, 12, 8]), interleaved };
      const [inpLd, outLd] = [24 * 3, 24 + 5];
      const spread = randomF32(6 * inpLd, 9);
      for (let row = 0; row < 6; row++) spread.set(problem.x.subarray(row * 24, row * 24 + 24), row * inpLd);
      const dense = run(binary, problem);
      const [out] = onAnyThreads((threads) => [run(binary, { ...problem, x: spread, inpLd, outLd }, threads)]);
      for (let row = 0; row < 6; row++) {
        expect(out!.slice(row * outLd, row * outLd + 24)).toEqual(dense.slice(row * 24, row * 24 + 24));
        expect(out!.slice(row * outLd + 24, (row + 1) * outLd).every(Number.isNaN)).toBe(true); // untouched
      }
    });

    it('position 0 changes nothing, and turning back gives back', () => {
      const problem = { ...randomCase([5, 2, 20, 18]), interleaved };
      expect(run(binary, { ...problem, positions: new Int32Array(5) })).toEqual(problem.x);
      const back = run(binary, { ...problem, x: run(binary, problem), inverse: true });
      expect(excess(back, problem.x, { absolute: 1e-6 })).toBeLessThanOrEqual(1);
    });

    it('a NaN stays in its pair', () => {
      const problem = { ...randomCase([3, 2, 12, 10]), interleaved };
      problem.x[24 + 12 + 2] = NaN;
      const partner = interleaved ? 3 : 7;
      const out = run(binary, problem, 2);
      expect([...out.keys()].filter((i) => Number.isNaN(out[i]!))).toEqual([24 + 12 + 2, 24 + 12 + partner]);
    });
  });

  it('both ways of pairing have the same bits', () => {
    for (const rotaryDim of [2, 6, 10, 32]) {
      const problem = randomCase([9, 1, rotaryDim, rotaryDim]);
      const pairs = rotaryDim / 2;
      const swap = (from: Float32Array) =>
        from.map((_, i) => {
          const [row, j] = [Math.floor(i / rotaryDim), i % rotaryDim];
          return from[row * rotaryDim + (j % 2 === 0 ? j / 2 : pairs + (j - 1) / 2)]!;
        });
      expect(run(binary, { ...problem, x: swap(problem.x), interleaved: true })).toEqual(swap(run(binary, problem)));
    }
  });

  // One pair of (1, 0) gives the cosine and the sine themselves.
  const sinCos = (positions: Int32Array, frequency: number) => {
    const rows = positions.length;
    const x = new Float32Array(2 * rows).map((_, i) => 1 - (i % 2));
    const frequencies = new Float32Array([frequency]);
    return run(binary, { rows, heads: 1, headSize: 2, rotaryDim: 2, x, positions, frequencies });
  };

  it('cosine and sine of angles up to 1.6e6: error ≤ 0.51 ULP', () => {
    const ulp = (x: number) => 2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(x))) - 23);
    let worst = 0;
    for (const [frequency, stride] of [
      [1, 61],
      [1, 1],
      [1.5707964, 50],
      [0.7853982, 100],
      [0.1539926, 64],
      [3.3e-5, 33],
      [1e-7, 1000],
      [1e-30, 1000],
    ] as const) {
      const positions = Int32Array.from({ length: 16_384 }, (_, i) => i * stride);
      const out = sinCos(positions, frequency);
      positions.forEach((position, i) => {
        const angle = Math.fround(position * Math.fround(frequency));
        for (const [actual, exact] of [
          [out[2 * i]!, Math.cos(angle)],
          [out[2 * i + 1]!, Math.sin(angle)],
        ] as const)
          if (actual !== exact) worst = Math.max(worst, Math.abs(actual - exact) / ulp(exact));
      });
    }
    if (process.env.VERBOSE) console.log(`${binary} rotary: ${worst} ULP`);
    expect(worst).toBeLessThan(0.51);
  });

  it('an angle that is not a number gives NaN', () => {
    for (const frequency of [NaN, Infinity]) {
      const out = sinCos(Int32Array.of(1, 2, 3), frequency);
      expect(out.every(Number.isNaN)).toBe(true);
    }
  });
});

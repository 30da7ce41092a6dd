/** Sums of columns, of everything and of squares, and the clipping factor. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads, shapes } from './guarded.ts';

function columnSum(binary: Binary, rows: number, cols: number, ld: number, before?: Float32Array, threads = 1) {
  const inp = randomF32(rows * ld, 1);
  const machine = new GuardedMachine(binary);
  const at = before ? machine.inout(before) : machine.output(cols);
  const fields = {
    [op.COLUMN_SUM_OUT]: at,
    [op.COLUMN_SUM_INP]: machine.input(inp),
    [op.COLUMN_SUM_LD]: ld,
    [op.COLUMN_SUM_ROWS]: rows,
    [op.COLUMN_SUM_COLS]: cols,
    [op.COLUMN_SUM_FLAGS]: before ? op.FLAG_ACCUMULATE : 0,
  };
  machine.run(op.OP_COLUMN_SUM, fields, threads);
  const expected = new Float64Array(cols);
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) expected[c]! += inp[r * ld + c]!;
  return { out: machine.f32(at, cols), expected };
}

function sum(binary: Binary, inp: Float32Array, threads = 1): Float32Array {
  const machine = new GuardedMachine(binary, 4 << 20);
  const at = machine.output(1);
  const fields = { [op.SUM_OUT]: at, [op.SUM_INP]: machine.input(inp), [op.SUM_ROWS]: 1, [op.SUM_COLS]: inp.length };
  machine.run(op.OP_SUM, fields, threads);
  return machine.f32(at, 1);
}

function squares(binary: Binary, inp: Float32Array, threads = 1): Float64Array {
  const chunks = Math.ceil(inp.length / op.NORM_CHUNK);
  const machine = new GuardedMachine(binary, 4 << 20);
  const at = machine.output(chunks * 2);
  const fields = { [op.SQUARES_PARTIALS]: at, [op.SQUARES_INP]: machine.input(inp), [op.SQUARES_COUNT]: inp.length };
  machine.run(op.OP_SQUARES, fields, threads);
  return machine.f64(at, chunks);
}

function clip(binary: Binary, partials: number[], limit: number): number[] {
  const machine = new GuardedMachine(binary);
  const at = machine.output(2);
  const bits = new Int32Array(Float64Array.from(partials).buffer);
  const fields = {
    [op.CLIP_OUT]: at,
    [op.CLIP_PARTIALS]: machine.integers(bits),
    [op.CLIP_COUNT]: partials.length,
    [op.CLIP_LIMIT]: f32Bits(limit),
  };
  machine.run(op.OP_CLIP, fields, 3);
  return [...machine.f32(at, 2)];
}

const counts = [0, 1, 3, 4, 5, 7, 8, 13, 65, 1000, 8191, 8192, 8193, 100_003];

describe.each(binaries)('reductions, %s', (binary) => {
  it.each(shapes)('columnSum %i×%i: replaces or adds, rows apart or not, any threads', (rows, cols) => {
    const before = randomF32(cols, 2);
    for (const ld of [cols, cols + 3]) {
      let expected = new Float64Array();
      const [out] = onAnyThreads((threads) => {
        const result = columnSum(binary, rows, cols, ld, undefined, threads);
        expected = result.expected;
        return [result.out];
      });
      const tolerance = { absolute: (rows / 8 + 8) * 2 ** -24 * Math.max(1, rows) };
      expect(excess(out!, expected, tolerance)).toBeLessThanOrEqual(1);
      const [added] = onAnyThreads((threads) => [columnSum(binary, rows, cols, ld, before, threads).out]);
      expect(
        excess(
          added!,
          expected.map((x, c) => x + before[c]!),
          tolerance,
        ),
      ).toBeLessThanOrEqual(1);
    }
  });

  it('columnSum: 4,099 rows stay within 1e-6 of Σ |inp|', () => {
    const { out, expected } = columnSum(binary, 4099, 5, 5);
    expect(excess(out, expected, { absolute: 1e-6 * 2050 })).toBeLessThanOrEqual(1);
  });

  it.each(counts)('sum of %i: rounded once, any threads', (count) => {
    const inp = randomF32(count, 3);
    const [out] = onAnyThreads((threads) => [sum(binary, inp, threads)]);
    expect(excess(out!, [inp.reduce((a, b) => a + b, 0)], { relative: 1.2e-7 })).toBeLessThanOrEqual(1);
  });

  it('sum: large terms that cancel leave the small one; NaN and ∞ come through', () => {
    expect(sum(binary, new Float32Array([1e10, 1.5, -1e10, 0, 0, 0, 0, 0, 0.25]))[0]).toBe(1.75);
    expect(sum(binary, new Float32Array([1, 2, NaN, 3, 4]))[0]).toBe(NaN);
    expect(sum(binary, new Float32Array([1, 2, Infinity, 3, 4]))[0]).toBe(Infinity);
  });

  it.each(counts)('squares of %i: one partial per chunk, any threads', (count) => {
    const inp = randomF32(count, 4);
    const [bits] = onAnyThreads((threads) => [new Float32Array(squares(binary, inp, threads).buffer)]);
    const partials = new Float64Array(bits!.buffer);
    const expected = Array.from({ length: Math.ceil(count / op.NORM_CHUNK) }, (_, i) =>
      inp.subarray(i * op.NORM_CHUNK, (i + 1) * op.NORM_CHUNK).reduce((total, x) => total + x * x, 0),
    );
    expect(partials.length).toBe(expected.length);
    expect(excess(partials, expected, { relative: 1e-12 })).toBeLessThanOrEqual(1);
  });

  it('squares: neither overflow nor underflow, NaN comes through', () => {
    expect(squares(binary, new Float32Array([1e30, 1e30]))[0]! / 2e60).toBeCloseTo(1, 6);
    expect(squares(binary, new Float32Array([1e-30]))[0]! / 1e-60).toBeCloseTo(1, 6);
    expect(squares(binary, new Float32Array([1, 2, 3, 4, 5, 6, NaN, 8]))[0]).toBe(NaN);
  });

  it('clip: norm and factor', () => {
    expect(clip(binary, [9, 16], 0)).toEqual([5, 1]);
    expect(clip(binary, [9, 16], 10)).toEqual([5, 1]);
    expect(clip(binary, [9, 16], 1)).toEqual([5, Math.fround(1 / (5 + 1e-6))]);
    expect(clip(binary, [], 1)).toEqual([0, 1]);
  });

  it('clip: a norm that is not a finite f32 gives the factor NaN, clipping or not', () => {
    for (const limit of [0, 1]) {
      expect(clip(binary, [4, NaN], limit)).toEqual([NaN, NaN]);
      expect(clip(binary, [Infinity, 4], limit)).toEqual([Infinity, NaN]);
      expect(clip(binary, [1e80], limit)).toEqual([Infinity, NaN]);
      expect(clip(binary, [1e76], limit)[1]).toBe(limit === 0 ? 1 : Math.fround(1e-38));
    }
  });
});

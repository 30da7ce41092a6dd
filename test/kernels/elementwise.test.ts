/** Sum, product, copy, fill and multiple. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { GuardedMachine, onAnyThreads, shapes } from './guarded.ts';

describe.each(binaries)('elementwise, %s', (binary) => {
  it.each(shapes)('add %i×%i: a + b rounded once', (rows, cols) => {
    const count = rows * cols;
    const [a, b] = [randomF32(count, 1), randomF32(count, 2)];
    const [out] = onAnyThreads((threads) => {
      const machine = new GuardedMachine(binary);
      const at = machine.output(count);
      const fields = { [op.ADD_OUT]: at, [op.ADD_A]: machine.input(a), [op.ADD_B]: machine.input(b) };
      machine.run(op.OP_ADD, { ...fields, [op.ADD_ROWS]: rows, [op.ADD_COLS]: cols }, threads);
      return [machine.f32(at, count)];
    });
    expect(out).toEqual(a.map((x, i) => x + b[i]!));
  });

  it('add: out may be a, or b', () => {
    const [a, b] = [randomF32(77, 3), randomF32(77, 4)];
    const expected = a.map((x, i) => x + b[i]!);
    for (const word of [op.ADD_A, op.ADD_B]) {
      const machine = new GuardedMachine(binary);
      const at = machine.inout(word === op.ADD_A ? a : b);
      const other = machine.input(word === op.ADD_A ? b : a);
      const fields = { [op.ADD_OUT]: at, [op.ADD_A]: other, [op.ADD_B]: other, [op.ADD_ROWS]: 7, [op.ADD_COLS]: 11 };
      machine.run(op.OP_ADD, { ...fields, [word]: at }, 3);
      expect(machine.f32(at, 77)).toEqual(expected);
    }
  });

  it.each(shapes)('multiply %i×%i: a · b rounded once, replacing or adding', (rows, cols) => {
    const count = rows * cols;
    const [a, b, before] = [randomF32(count, 1), randomF32(count, 2), randomF32(count, 3)];
    const product = a.map((x, i) => x * b[i]!);
    for (const flags of [0, op.FLAG_ACCUMULATE]) {
      const [out] = onAnyThreads((threads) => {
        const machine = new GuardedMachine(binary);
        const at = machine.inout(before);
        const fields = { [op.MULTIPLY_OUT]: at, [op.MULTIPLY_A]: machine.input(a), [op.MULTIPLY_B]: machine.input(b) };
        const sizes = { [op.MULTIPLY_ROWS]: rows, [op.MULTIPLY_COLS]: cols, [op.MULTIPLY_FLAGS]: flags };
        machine.run(op.OP_MULTIPLY, { ...fields, ...sizes }, threads);
        return [machine.f32(at, count)];
      });
      expect(out).toEqual(flags ? product.map((x, i) => before[i]! + x) : product);
    }
  });

  it('multiply: out may be a, or b, or both', () => {
    const [a, b] = [randomF32(77, 3), randomF32(77, 4)];
    for (const words of [[op.MULTIPLY_A], [op.MULTIPLY_B], [op.MULTIPLY_A, op.MULTIPLY_B]]) {
      const machine = new GuardedMachine(binary);
      const at = machine.inout(a);
      const other = machine.input(b);
      const fields: Record<number, number> = { [op.MULTIPLY_OUT]: at, [op.MULTIPLY_A]: other, [op.MULTIPLY_B]: other };
      for (const word of words) fields[word] = at;
      machine.run(op.OP_MULTIPLY, { ...fields, [op.MULTIPLY_ROWS]: 7, [op.MULTIPLY_COLS]: 11 }, 3);
      expect(machine.f32(at, 77)).toEqual(a.map((x, i) => x * (words.length === 2 ? x : b[i]!)));
    }
  });

  it('multiply: zeros, infinities, NaN, denormals', () => {
    const a = new Float32Array([0, -0, Infinity, Infinity, NaN, 1e-40, 1e-30, 1e30]);
    const b = new Float32Array([-1, 1, 0, -2, 0, 0.5, 1e-15, 1e30]);
    const machine = new GuardedMachine(binary);
    const at = machine.output(8);
    const fields = { [op.MULTIPLY_OUT]: at, [op.MULTIPLY_A]: machine.input(a), [op.MULTIPLY_B]: machine.input(b) };
    machine.run(op.OP_MULTIPLY, { ...fields, [op.MULTIPLY_ROWS]: 1, [op.MULTIPLY_COLS]: 8 });
    expect([...machine.f32(at, 8)]).toEqual([...a.map((x, i) => x * b[i]!)]);
  });

  it.each(shapes)('copy %i×%i: replaces, or adds', (rows, cols) => {
    const count = rows * cols;
    const [inp, before] = [randomF32(count, 5), randomF32(count, 6)];
    for (const flags of [0, op.FLAG_ACCUMULATE]) {
      const [out] = onAnyThreads((threads) => {
        const machine = new GuardedMachine(binary);
        const at = machine.inout(before);
        const fields = { [op.COPY_OUT]: at, [op.COPY_INP]: machine.input(inp), [op.COPY_FLAGS]: flags };
        machine.run(op.OP_COPY, { ...fields, [op.COPY_ROWS]: rows, [op.COPY_COLS]: cols }, threads);
        return [machine.f32(at, count)];
      });
      expect(out).toEqual(flags ? inp.map((x, i) => before[i]! + x) : inp);
    }
  });

  it('copy: onto itself, also adding', () => {
    const values = randomF32(37, 7);
    for (const flags of [0, op.FLAG_ACCUMULATE]) {
      const machine = new GuardedMachine(binary);
      const at = machine.inout(values);
      const fields = { [op.COPY_OUT]: at, [op.COPY_INP]: at, [op.COPY_FLAGS]: flags };
      machine.run(op.OP_COPY, { ...fields, [op.COPY_ROWS]: 1, [op.COPY_COLS]: 37 }, 2);
      expect(machine.f32(at, 37)).toEqual(flags ? values.map((x) => x + x) : values);
    }
  });

  it.each(shapes)('scale %i×%i: adding factor · inp', (rows, cols) => {
    const count = rows * cols;
    const [inp, before, factor] = [randomF32(count, 8), randomF32(count, 9), Math.fround(-1.7)];
    const [out] = onAnyThreads((threads) => {
      const machine = new GuardedMachine(binary);
      const at = machine.inout(before);
      const fields = { [op.SCALE_OUT]: at, [op.SCALE_INP]: machine.input(inp), [op.SCALE_FLAGS]: op.FLAG_ACCUMULATE };
      const sizes = { [op.SCALE_ROWS]: rows, [op.SCALE_COLS]: cols, [op.SCALE_FACTOR]: f32Bits(factor) };
      machine.run(op.OP_SCALE, { ...fields, ...sizes }, threads);
      return [machine.f32(at, count)];
    });
    expect(out).toEqual(before.map((x, i) => x + Math.fround(inp[i]! * factor)));
  });

  it.each(shapes)('scale %i×%i: factor · inp rounded once, also in place', (rows, cols) => {
    const count = rows * cols;
    const inp = randomF32(count, 8);
    const factor = Math.fround(0.3);
    const run = (threads: number, inPlace: boolean) => {
      const machine = new GuardedMachine(binary);
      const out = inPlace ? machine.inout(inp) : machine.output(count);
      const fields = { [op.SCALE_OUT]: out, [op.SCALE_INP]: inPlace ? out : machine.input(inp) };
      const sizes = { [op.SCALE_ROWS]: rows, [op.SCALE_COLS]: cols, [op.SCALE_FACTOR]: f32Bits(factor) };
      machine.run(op.OP_SCALE, { ...fields, ...sizes }, threads);
      return [machine.f32(out, count)];
    };
    for (const inPlace of [false, true]) {
      const [out] = onAnyThreads((threads) => run(threads, inPlace));
      expect(out).toEqual(inp.map((x) => x * factor));
    }
  });

  it.each(shapes)('fill %i×%i', (rows, cols) => {
    const count = rows * cols;
    for (const value of [0, -1.5, NaN]) {
      const [out] = onAnyThreads((threads) => {
        const machine = new GuardedMachine(binary);
        const at = machine.output(count);
        const fields = { [op.FILL_OUT]: at, [op.FILL_ROWS]: rows, [op.FILL_COLS]: cols };
        machine.run(op.OP_FILL, { ...fields, [op.FILL_VALUE]: f32Bits(value) }, threads);
        return [machine.f32(at, count)];
      });
      expect(out).toEqual(new Float32Array(count).fill(value));
    }
  });
});

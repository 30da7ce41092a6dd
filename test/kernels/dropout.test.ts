/** Dropout: the mask is the documented function of seed, run and stream. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { GuardedMachine, onAnyThreads, shapes } from './guarded.ts';
import { philox } from './philox-twin.ts';

const seed = [0x12345678, 0x9abcdef0 | 0, 42] as const;
const STREAM = 7;

/** Element i's random number: Philox at counter (i >> 2, 0, stream, run), lane i & 3. */
const draw = (i: number, words: readonly number[] = seed, stream = STREAM) =>
  philox([i >> 2, 0, stream, words[2]!], [words[0]!, words[1]!])[i & 3]!;

interface Options {
  p: number;
  rows?: number;
  before?: Float32Array;
  threads?: number;
  words?: readonly number[];
  stream?: number;
  inPlace?: boolean;
}
function run(binary: Binary, inp: Float32Array, options: Options): Float32Array {
  const { p, rows = 1, before, threads = 1, words = seed, stream = STREAM, inPlace = false } = options;
  const machine = new GuardedMachine(binary);
  const at = inPlace ? machine.inout(inp) : before ? machine.inout(before) : machine.output(inp.length);
  const fields = {
    [op.DROPOUT_OUT]: at,
    [op.DROPOUT_INP]: inPlace ? at : machine.input(inp),
    [op.DROPOUT_ROWS]: rows,
    [op.DROPOUT_COLS]: inp.length / (rows || 1),
    [op.DROPOUT_FLAGS]: before ? op.FLAG_ACCUMULATE : 0,
    [op.DROPOUT_THRESHOLD]: Math.floor(p * 2 ** 32) | 0,
    [op.DROPOUT_SCALE]: f32Bits(1 / (1 - p)),
    [op.DROPOUT_SEED]: machine.integers(words),
    [op.DROPOUT_STREAM]: stream,
  };
  machine.run(op.OP_DROPOUT, fields, threads);
  return machine.f32(at, inp.length);
}
const twin = (inp: Float32Array, p: number) =>
  inp.map((x, i) => x * (draw(i) >= Math.floor(p * 2 ** 32) ? Math.fround(1 / (1 - p)) : 0));

describe.each(binaries)('dropout, %s', (binary) => {
  it.each(shapes)('%i×%i: keeps what the documented counter says, any threads', (rows, cols) => {
    const [inp, before] = [randomF32(rows * cols, 1), randomF32(rows * cols, 2)];
    for (const p of [0.1, 0.5, 0.9]) {
      const [out] = onAnyThreads((threads) => [run(binary, inp, { p, rows, threads })]);
      expect(out).toEqual(twin(inp, p));
      const [sum] = onAnyThreads((threads) => [run(binary, inp, { p, rows, threads, before })]);
      expect(sum).toEqual(out!.map((x, i) => before[i]! + x));
    }
  });

  it('threshold 0 keeps everything', () => {
    const inp = randomF32(1001, 3);
    expect(run(binary, inp, { p: 0 })).toEqual(inp);
  });

  it('a high probability is compared unsigned, and drops about as many as it says', () => {
    const out = run(binary, new Float32Array(40_000).fill(1), { p: 0.75 });
    const kept = out.filter((x) => x !== 0).length / out.length;
    expect(Math.abs(kept - 0.25)).toBeLessThan(4 * Math.sqrt((0.25 * 0.75) / out.length));
  });

  it('seed, run counter and stream each change the mask', () => {
    const ones = new Float32Array(256).fill(1);
    const masks = [
      run(binary, ones, { p: 0.5 }),
      run(binary, ones, { p: 0.5, words: [1, seed[1], seed[2]] }),
      run(binary, ones, { p: 0.5, words: [seed[0], 1, seed[2]] }),
      run(binary, ones, { p: 0.5, words: [seed[0], seed[1], 43] }),
      run(binary, ones, { p: 0.5, stream: 8 }),
    ].map(String);
    expect(new Set(masks).size).toBe(masks.length);
  });

  it('out may be inp', () => {
    const inp = randomF32(117, 4);
    expect(run(binary, inp, { p: 0.3, inPlace: true, threads: 3 })).toEqual(run(binary, inp, { p: 0.3 }));
  });

  it('NaN stays NaN, dropped or not', () => {
    expect(run(binary, new Float32Array(9).fill(NaN), { p: 0.5 })).toEqual(new Float32Array(9).fill(NaN));
  });
});

/** Normal numbers: Box-Muller of Philox, and their distribution. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, f32Bits } from '../support/kernels.ts';
import { excess, GuardedMachine, onAnyThreads } from './guarded.ts';
import { philox } from './philox-twin.ts';

const seed = [0xdeadbeef | 0, 0x01234567, 3];
const STREAM = 11;

function run(binary: Binary, count: number, { mean = 0, std = 1, threads = 1 } = {}): Float32Array {
  const machine = new GuardedMachine(binary, 8 << 20);
  const at = machine.output(count);
  const fields = {
    [op.RANDOM_NORMAL_OUT]: at,
    [op.RANDOM_NORMAL_COUNT]: count,
    [op.RANDOM_NORMAL_MEAN]: f32Bits(mean),
    [op.RANDOM_NORMAL_STD]: f32Bits(std),
    [op.RANDOM_NORMAL_SEED]: machine.integers(seed),
    [op.RANDOM_NORMAL_STREAM]: STREAM,
  };
  machine.run(op.OP_RANDOM_NORMAL, fields, threads);
  return machine.f32(at, count);
}

/** Box-Muller in f64 on the documented counters: words 0, 1 give the cosine and the sine, so do words 2, 3. */
function twin(count: number): Float64Array {
  return Float64Array.from({ length: count }, (_, i) => {
    const words = philox([i >> 2, 0, STREAM, seed[2]!], seed.slice(0, 2));
    const pair = i & 2;
    const uniform = Math.fround(Math.fround(words[pair]!) * 2 ** -32 + 2 ** -33);
    const turn = (2 * Math.PI * words[pair + 1]!) / 2 ** 32;
    return Math.sqrt(-2 * Math.log(uniform)) * (i & 1 ? Math.sin(turn) : Math.cos(turn));
  });
}

describe.each(binaries)('randomNormal, %s', (binary) => {
  it.each([0, 1, 3, 4, 5, 7, 8, 13, 17, 65, 97, 1000, 4099])('%i elements: Box-Muller, any threads', (count) => {
    const [out] = onAnyThreads((threads) => [run(binary, count, { threads })]);
    expect(excess(out!, twin(count), { relative: 1e-6, absolute: 1e-7 })).toBeLessThanOrEqual(1);
    const options = { mean: 3, std: 0.02 };
    const [moved] = onAnyThreads((threads) => [run(binary, count, { threads, ...options })]);
    expect(
      excess(
        moved!,
        twin(count).map((x) => 3 + 0.02 * x),
        { relative: 3e-7 },
      ),
    ).toBeLessThanOrEqual(1);
  });

  it('has mean 0, variance 1, kurtosis 3, no correlation of neighbours', () => {
    const out = run(binary, 1 << 20);
    const moment = (k: number) => out.reduce((sum, x) => sum + x ** k, 0) / out.length;
    const deviation = 1 / Math.sqrt(out.length);
    expect(Math.abs(moment(1))).toBeLessThan(4 * deviation);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(4 * Math.sqrt(2) * deviation);
    expect(Math.abs(moment(3))).toBeLessThan(4 * Math.sqrt(15) * deviation);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(4 * Math.sqrt(96) * deviation);
    for (const lag of [1, 2, 3, 4]) {
      let sum = 0;
      for (let i = lag; i < out.length; i++) sum += out[i]! * out[i - lag]!;
      expect(Math.abs(sum / out.length)).toBeLessThan(4.5 * deviation);
    }
    expect(out.every((x) => Math.abs(x) < 6.8)).toBe(true);
  });
});

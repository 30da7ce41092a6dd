/** What the kernel tests share: arrays between guards, inputs that must not change, runs on several thread counts. */
import { expect } from 'vitest';
import { type Binary, KernelMachine } from '../support/kernels.ts';

/** [rows, cols] with none, one, less than a vector, a vector, primes, tails, many. */
export const shapes: readonly (readonly [number, number])[] = [
  [0, 5],
  [1, 1],
  [1, 3],
  [1, 4],
  [1, 5],
  [2, 7],
  [3, 8],
  [5, 13],
  [7, 31],
  [4, 64],
  [3, 65],
  [13, 97],
  [2, 1000],
  [65, 17],
  [131, 3],
];
export const threadCounts = [2, 3, 7];

/** Written around every array; as a float it is a NaN that no kernel produces. */
const GUARD = 0x7fa5a5a5;
const GUARD_WORDS = 16;

/** Fails unless two arrays are alike; says where they differ (`toEqual` takes seconds on long arrays). */
function expectSame(actual: Int32Array, expected: Int32Array, what: string): void {
  if (actual.length !== expected.length) expect.fail(`${what}: ${actual.length} words, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++)
    if (actual[i] !== expected[i]) expect.fail(`${what}: word ${i} is ${actual[i]}, expected ${expected[i]}`);
}

const guard = new Int32Array(GUARD_WORDS).fill(GUARD);

interface Placed {
  readonly at: number;
  readonly words: number;
  /** The bits an input must keep; absent for an output. */
  readonly kept?: Int32Array;
}

/** Linear memory in which every array stands between guards. */
export class GuardedMachine {
  readonly #machine: KernelMachine;
  readonly #placed: Placed[] = [];

  constructor(binary: Binary, bytes = 2 << 20) {
    this.#machine = new KernelMachine(binary, { bytes, scratchBytes: 64 });
  }

  #words(at: number, count: number): Int32Array {
    return new Int32Array(this.#machine.memory.buffer, at, count);
  }

  #place(words: Int32Array, written: boolean): number {
    const guarded = this.#machine.alloc((words.length + 2 * GUARD_WORDS) * 4);
    const at = guarded + GUARD_WORDS * 4;
    this.#words(guarded, words.length + 2 * GUARD_WORDS).fill(GUARD);
    this.#words(at, words.length).set(words);
    this.#placed.push(written ? { at, words: words.length } : { at, words: words.length, kept: words.slice() });
    return at;
  }

  /** f32 that the kernel reads. */
  input(values: ArrayLike<number>): number {
    return this.#place(new Int32Array(Float32Array.from(values).buffer), false);
  }

  /** i32 or u32 that the kernel reads. */
  integers(values: ArrayLike<number>): number {
    return this.#place(Int32Array.from(values), false);
  }

  /** f32 that the kernel writes, with the values it finds there. */
  inout(values: ArrayLike<number>): number {
    return this.#place(new Int32Array(Float32Array.from(values).buffer), true);
  }

  /** `count` f32 that the kernel writes; guard bits (NaN) until then. */
  output(count: number): number {
    return this.#place(new Int32Array(count).fill(GUARD), true);
  }

  /** Runs one operation; then every guard and every input is as it was. */
  run(opcode: number, fields: Record<number, number>, threads = 1): void {
    this.#machine.run(opcode, fields, threads);
    for (const { at, words, kept } of this.#placed) {
      expectSame(this.#words(at - GUARD_WORDS * 4, GUARD_WORDS), guard, 'guard before');
      expectSame(this.#words(at + words * 4, GUARD_WORDS), guard, 'guard behind');
      if (kept) expectSame(this.#words(at, words), kept, 'input');
    }
  }

  f32(at: number, count: number): Float32Array {
    return this.#machine.readF32(at, count);
  }

  f64(at: number, count: number): Float64Array {
    return this.#machine.readF64(at, count);
  }
}

/** The result of `run` with one thread, after checking that other thread counts give the same bits. */
export function onAnyThreads(run: (threads: number) => Float32Array[]): Float32Array[] {
  const alone = run(1);
  for (const threads of threadCounts)
    for (const [i, result] of run(threads).entries())
      expectSame(new Int32Array(result.buffer), new Int32Array(alone[i]!.buffer), `result ${i} on ${threads} threads`);
  return alone;
}

/** The largest |actual − expected| / (|expected| · relative + absolute): at most 1 when within tolerance. NaN must meet NaN. */
export function excess(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { relative = 0, absolute = 0 }: { relative?: number; absolute?: number },
): number {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    if (Object.is(actual[i], expected[i]) || actual[i] === expected[i]) continue;
    const ratio = Math.abs(actual[i]! - expected[i]!) / (Math.abs(expected[i]!) * relative + absolute);
    if (!(ratio <= worst)) worst = Number.isNaN(ratio) ? Infinity : ratio;
  }
  return worst;
}

/** ∂f/∂x[i] by central differences in f64. */
export function slope(f: (x: Float64Array) => number, x: ArrayLike<number>, i: number, step = 1e-5): number {
  const moved = Float64Array.from(x);
  moved[i] = x[i]! + step;
  const up = f(moved);
  moved[i] = x[i]! - step;
  return (up - f(moved)) / (2 * step);
}

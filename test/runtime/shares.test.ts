/** How threads deal the shares of a long operation: each is done once, whoever does it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { MAX_THREADS } from '../../src/runtime/backend.ts';

const THREADS = 3;
/** Shares of each thread of OP_COPY, a line of 16 floats each. */
const EACH = 4;
const LINES = THREADS * EACH;

const module = new WebAssembly.Module(readFileSync(new URL('../../wasm/simd128-threads.wasm', import.meta.url)));
interface Exports {
  run(context: number, first: number, count: number, thread: number, threads: number): void;
}

/** Thread `thread` alone runs out += 1 as the last one to reach the barrier, the shares in `claimed` being taken. How often each line was done. */
function run(thread: number, claimed: readonly number[]): { lines: number[]; claimed: number[]; next: number[] } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });
  const { run } = new WebAssembly.Instance(module, { env: { memory, abort: () => {} } }).exports as unknown as Exports;
  const words = new Int32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  const [control, context, ops, scratch, out, inp] = [64, 2048, 4096, 8192, 32768, 40960];
  words.set([ops, scratch, 2048, control], context / 4 + op.CONTEXT_OPS);
  const d = ops / 4;
  words[d] = op.OP_COPY;
  words[d + op.COPY_OUT] = out;
  words[d + op.COPY_INP] = inp;
  words[d + op.COPY_ROWS] = 1;
  words[d + op.COPY_COLS] = 16 * LINES;
  words[d + op.COPY_FLAGS] = op.FLAG_ACCUMULATE;
  floats.fill(1, inp / 4, inp / 4 + 16 * LINES);
  const claims = words.subarray(control / 4 + op.CONTROL_CLAIMED, control / 4 + op.CONTROL_CLAIMED + THREADS);
  claims.set(claimed);
  const step = () => {
    words[control / 4 + op.CONTROL_ARRIVED] = THREADS - 1;
    run(context, 0, 1, thread, THREADS);
    const done = floats.slice(out / 4, out / 4 + 16 * LINES);
    floats.fill(0, out / 4, out / 4 + 16 * LINES);
    const lines = Array.from({ length: LINES }, (_, line) => done[16 * line]!);
    expect(done.every((x, i) => x === lines[i >> 4])).toBe(true);
    return lines;
  };
  const lines = step();
  return { lines, claimed: [...claims], next: step() };
}

/** `front` shares taken from the first on, `back` from the last on. */
const taken = (front: number, back: number) => front | (back << 16);

describe('shares', () => {
  it('have a word in the control block for each thread that an engine may have', () => {
    expect(op.CONTROL_MESSAGE - op.CONTROL_CLAIMED).toBe(MAX_THREADS);
  });

  it.each([0, 1, 2])('thread %i alone does every one once, and the next operation begins anew', (thread) => {
    const { lines, claimed, next } = run(thread, [0, 0, 0]);
    expect(lines).toEqual(Array(LINES).fill(1));
    expect(claimed).toEqual([0, 0, 0]);
    expect(next).toEqual(lines);
  });

  it('does what nobody has taken: from its own first ones on, and of others', () => {
    //                                     thread 0    thread 1    thread 2
    const { lines } = run(1, [taken(1, 2), taken(0, 1), taken(3, 0)]);
    expect(lines).toEqual([0, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1]);
  });

  it('does nothing where all are taken, however often others asked', () => {
    expect(run(2, [taken(4, 0), taken(9, 3), taken(0, 4)]).lines).toEqual(Array(LINES).fill(0));
    expect(run(0, [taken(2, 2), taken(5, 0), taken(0, 7)]).lines).toEqual(Array(LINES).fill(0));
  });
});

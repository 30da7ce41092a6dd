/** Opcodes, and which binaries have which: inference binaries exactly those of INFERENCE_OPERATIONS, full ones all. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import * as opcodes from '../../src/abi/opcodes.ts';

const all = Object.values(opcodes);

function modulesOf(suffix: string): [string, WebAssembly.Module][] {
  return ['simd128', 'relaxed'].flatMap((flavor) => {
    const name = `${flavor}${suffix}`;
    const bytes = readFileSync(new URL(`../../wasm/${name}.wasm`, import.meta.url));
    return WebAssembly.validate(bytes) ? [[name, new WebAssembly.Module(bytes)]] : []; // Node 20 has no relaxed SIMD
  });
}

const HEADS = [op.ATTENTION_HEADS, op.ATTENTION_KEY_VALUE_HEADS, op.ATTENTION_HEAD_SIZE];
/** Words by which kernels divide. */
const DIVISORS: Readonly<Record<number, readonly number[]>> = {
  [op.OP_ATTENTION]: HEADS,
  [op.OP_ATTENTION_BACKWARD]: HEADS,
  [op.OP_CACHE_APPEND]: HEADS,
  [op.OP_ATTENTION_CACHED]: HEADS,
};

/** Whether a binary runs an operation, on no rows: then no kernel reads or writes more than what is at its pointers. */
function runs(module: WebAssembly.Module, opcode: number): boolean {
  const memory = new WebAssembly.Memory({ initial: 64 });
  const { runOne } = new WebAssembly.Instance(module, { env: { memory, abort: () => {} } }).exports as {
    runOne(d: number, ctx: number, thread: number, threads: number): void;
  };
  const [context, d, scratch] = [1024, 4096, 1 << 20];
  const words = new Int32Array(memory.buffer);
  words[context / 4 + op.CONTEXT_SCRATCH] = scratch;
  words[d / 4] = opcode;
  for (const field of DIVISORS[opcode] ?? []) words[d / 4 + field] = 1;
  try {
    runOne(d, context, 0, 1);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(WebAssembly.RuntimeError);
    expect((error as Error).message).toMatch(/unreachable/);
    return false;
  }
}

describe('opcodes', () => {
  it('are consecutive numbers from 0 on', () => {
    expect(all.toSorted((a, b) => a - b)).toEqual(all.map((_, index) => index));
  });

  it.each(modulesOf('-inference'))('%s has exactly the operations of the list', (_, module) => {
    expect(all.filter((opcode) => runs(module, opcode))).toEqual(
      [...op.INFERENCE_OPERATIONS].toSorted((a, b) => a - b),
    );
    expect(runs(module, all.length)).toBe(false);
  });

  it.each(modulesOf(''))('%s has all', (_, module) => {
    expect(all.filter((opcode) => !runs(module, opcode))).toEqual([]);
    for (const unknown of [-1, all.length, 1 << 20]) expect(runs(module, unknown)).toBe(false);
  });
});

/**
 * A bench for single kernels: places arrays in linear memory, runs one descriptor, reads results.
 * Threads are played one after the other by the single-threaded binary (kernels have no barrier inside),
 * so a thread-count test needs no workers. Real workers are tested in test/runtime.
 */
import { existsSync, readFileSync } from 'node:fs';
import { instantiateSync } from '@assemblyscript/loader';
import * as op from '../../src/abi/index.ts';

export type Binary = 'simd128' | 'relaxed';

interface KernelExports extends Record<string, unknown> {
  runOne(d: number, ctx: number, thread: number, threads: number): void;
}

function compile(binary: Binary): WebAssembly.Module | undefined {
  const url = new URL(`../../wasm/${binary}.wasm`, import.meta.url);
  if (!existsSync(url)) throw new Error(`${url.pathname} is missing; run "npm run build:wasm" first`);
  try {
    return new WebAssembly.Module(readFileSync(url));
  } catch (error) {
    if (binary === 'relaxed') return undefined; // a runtime without relaxed SIMD, such as Node 20
    throw error;
  }
}

const modules = new Map<Binary, WebAssembly.Module | undefined>();
function moduleOf(binary: Binary): WebAssembly.Module | undefined {
  if (!modules.has(binary)) modules.set(binary, compile(binary));
  return modules.get(binary);
}

/** The binaries this runtime can load; tests loop over them. */
export const binaries: readonly Binary[] = (['simd128', 'relaxed'] as const).filter((b) => moduleOf(b) !== undefined);

/** A float argument as the bits that stand in a descriptor. */
export function f32Bits(value: number): number {
  return new Int32Array(new Float32Array([value]).buffer)[0]!;
}

/** Linear memory with a bump allocator, and one-operation plans run in it. */
export class KernelMachine {
  readonly memory: WebAssembly.Memory;
  readonly #exports: KernelExports;
  readonly #context: number;
  #top = 64;

  constructor(binary: Binary = 'simd128', { bytes = 64 << 20, scratchBytes = 4 << 20, maxThreads = 7 } = {}) {
    const module = moduleOf(binary);
    if (!module) throw new Error(`this runtime cannot load the ${binary} binary`);
    this.memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    this.#exports = instantiateSync<KernelExports>(module, { env: { memory: this.memory } }).exports;
    this.#context = this.alloc(op.CONTEXT_BYTES);
    const scratch = this.alloc(scratchBytes * maxThreads);
    const context = new Int32Array(this.memory.buffer, this.#context);
    context[op.CONTEXT_SCRATCH] = scratch;
    context[op.CONTEXT_SCRATCH_BYTES] = scratchBytes;
  }

  /** `bytes` bytes at a multiple of 64 (or `offset` bytes past one, to test unaligned arguments), zeroed. */
  alloc(bytes: number, offset = 0): number {
    const at = Math.ceil(this.#top / 64) * 64 + offset;
    this.#top = at + bytes + 64;
    if (this.#top > this.memory.buffer.byteLength)
      throw new Error('KernelMachine: out of memory; pass a larger `bytes`');
    return at;
  }

  /** A copy of `values` in linear memory; returns its address. */
  f32(values: ArrayLike<number>): number {
    const at = this.alloc(values.length * 4);
    new Float32Array(this.memory.buffer, at, values.length).set(values);
    return at;
  }

  i32(values: ArrayLike<number>): number {
    const at = this.alloc(values.length * 4);
    new Int32Array(this.memory.buffer, at, values.length).set(values);
    return at;
  }

  readF32(at: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, at, count).slice();
  }

  readF64(at: number, count: number): Float64Array {
    return new Float64Array(this.memory.buffer, at, count).slice();
  }

  /** Sets dynamic size `index`; a descriptor names it as ~index. */
  setSize(index: number, value: number): void {
    new Int32Array(this.memory.buffer, this.#context)[op.CONTEXT_SIZES + index] = value;
  }

  /** Runs one operation: `fields` maps a word of the descriptor to its value. */
  run(opcode: number, fields: Record<number, number>, threads = 1): void {
    const d = this.alloc(op.DESCRIPTOR_BYTES);
    const words = new Int32Array(this.memory.buffer, d, op.DESCRIPTOR_WORDS);
    words[0] = opcode;
    for (const [field, value] of Object.entries(fields)) words[Number(field)] = value;
    for (let thread = 0; thread < threads; thread++) this.#exports.runOne(d, this.#context, thread, threads);
  }
}

/** Seeded uniform numbers in [-1, 1): mulberry32. */
export function randomF32(count: number, seed: number): Float32Array {
  const out = new Float32Array(count);
  let state = seed >>> 0;
  for (let i = 0; i < count; i++) {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    out[i] = ((t ^ (t >>> 14)) >>> 0) / 2147483648 - 1;
  }
  return out;
}

/** max |actual − expected| / max(1, max |expected|). */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let largest = 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) largest = Math.max(largest, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (!(difference <= worst)) worst = difference;
  }
  return worst / largest;
}

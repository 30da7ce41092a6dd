/**
 * f32 matrix product, one thread: GFLOP/s of training shapes, GB/s of decoding shapes, beside the limits of the core
 * measured in the same run: multiply-add in registers only, and a plain read of memory.
 *
 *   node bench/gemm.bench.ts [binary …] [--shapes <regular expression>] [--seconds <per shape and binary>] [--cpu]
 *                            [--encodings f32,packed,f16,bf16,q8,q4] [--rows 1,2,4,8,16]
 *
 * A binary is `simd128`, `relaxed` or the path of a .wasm file; several are measured in turns, sample by sample, so that
 * two builds can be compared while other programs come and go. With --cpu the clock is the CPU time of this thread, for
 * busy machines. --encodings also measures products with encoded weights: prefill (512 rows) in GFLOP/s, decoding in GB/s as
 * they lie in memory; --rows are the sequences decoded side by side. (The clock of --cpu, before Node 23.9, is of the process.) Needs Node 22.18 or later for the types in this file.
 */
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import asc from 'assemblyscript/asc';
import * as op from '../src/abi/index.ts';
import { chunksOf, encodedBytes } from '../src/graph/encoding.ts';
import {
  decode,
  type GemmShape,
  GPT2_HEAD,
  GPT2_PREFILL,
  GPT2_TRAINING,
  ODD_PREFILL,
  ODD_TRAINING,
  SMALL_TRAINING,
} from './shapes.ts';

/**
 * The limits: chains of multiply-add, and a read of 64 bytes at a time. A multiply and an add take 6 cycles, two of each
 * may start in a cycle: 12 chains just suffice, 13 leave room but spill in Node 20.
 */
const CHAINS = [12, 13];
function multiplyAddSource(chains: number): string {
  const each = [...Array(chains).keys()];
  return `
export function multiplyAdd${chains}(out: usize, rounds: i32): void {
  const x = f32x4.splat(load<f32>(out)), y = f32x4.splat(load<f32>(out, 4));
  ${each.map((i) => `let c${i} = f32x4.splat(${i});`).join(' ')}
  for (; rounds > 0; rounds--) { ${each.map((i) => `c${i} = madd(c${i}, x, y);`).join(' ')} }
  ${each.map((i) => `v128.store(out, c${i}, ${16 * i + 16});`).join(' ')}
}`;
}
const LIMITS_SOURCE = `
// @ts-ignore: decorator
@inline function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}
${CHAINS.map(multiplyAddSource).join('')}
export function read(at: usize, bytes: usize): i32 {
  let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
  for (const end = at + bytes; at < end; at += 64) {
    s0 = v128.xor(s0, v128.load(at));
    s1 = v128.xor(s1, v128.load(at, 16));
    s2 = v128.xor(s2, v128.load(at, 32));
    s3 = v128.xor(s3, v128.load(at, 48));
  }
  return i32x4.extract_lane(v128.xor(v128.xor(s0, s1), v128.xor(s2, s3)), 0);
}`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shapes: { type: 'string', default: '.' },
    seconds: { type: 'string', default: '0.4' },
    cpu: { type: 'boolean', default: false },
    encodings: { type: 'string', default: 'f32,packed,q8,q4' },
    rows: { type: 'string', default: '1,2,4,8,16' },
  },
});
/** Encodings of weights, and the bytes of n columns of k inputs. */
const ENCODINGS: Record<string, { encoding: number; bytes(n: number, k: number): number }> = {
  f32: { encoding: op.ENCODING_F32, bytes: (n, k) => n * k * 4 },
  packed: { encoding: op.ENCODING_PACKED, bytes: (n, k) => panels(n) * k * 64 },
  f16: { encoding: op.ENCODING_F16, bytes: (n, k) => panels(n) * k * 32 },
  bf16: { encoding: op.ENCODING_BF16, bytes: (n, k) => panels(n) * k * 32 },
  q8: { encoding: op.ENCODING_Q8, bytes: (n, k) => encodedBytes('q8', k, n) },
  q4: { encoding: op.ENCODING_Q4, bytes: (n, k) => encodedBytes('q4', k, n) },
};
function panels(n: number): number {
  return Math.ceil(n / op.ENCODING_COLUMNS);
}
const encodings = options.encodings.split(',').map((name) => {
  const found = ENCODINGS[name];
  if (!found) throw new Error(`--encodings: expected some of ${Object.keys(ENCODINGS).join(', ')}, got ${name}.`);
  return { name, ...found };
});
const wanted = new RegExp(options.shapes);
const seconds = Number(options.seconds);

/** Bytes of weights that decoding walks through: more than any cache holds. */
const COLD_BYTES = 256 << 20;
const memory = new WebAssembly.Memory({ initial: 16384 });
const imports = {
  env: {
    memory,
    abort: () => {
      throw new Error('abort');
    },
  },
};

interface Binary {
  name: string;
  runOne(d: number, ctx: number, thread: number, threads: number): void;
  multiplyAdd12(out: number, rounds: number): void;
  multiplyAdd13(out: number, rounds: number): void;
  read(at: number, bytes: number): number;
}

async function instantiate(name: string): Promise<Binary | undefined> {
  const builtIn = new URL(`../wasm/${name}.wasm`, import.meta.url);
  const code = readFileSync(existsSync(builtIn) ? builtIn : pathToFileURL(name));
  if (!WebAssembly.validate(code)) {
    console.log(`${name}: this runtime cannot load it`);
    return undefined;
  }
  const relaxed = name.includes('relaxed');
  const limits = await asc.compileString(LIMITS_SOURCE, {
    optimizeLevel: 3,
    noAssert: true,
    runtime: 'stub',
    importMemory: true,
    enable: relaxed ? ['simd', 'relaxed-simd'] : ['simd'],
  });
  if (!limits.binary) throw new Error(limits.stderr.toString());
  const load = (bytes: BufferSource) => new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports;
  return { name, ...load(code), ...load(limits.binary as Uint8Array<ArrayBuffer>) } as unknown as Binary;
}

// Memory: context, descriptors, scratch; then A, C and bias of the current shape, then B, again and again.
const CONTEXT = 1024;
const DESCRIPTORS = 4096;
const ENCODE = 124 << 10;
const SCRATCH = 128 << 10;
const OPERANDS = 8 << 20;
const words = new Int32Array(memory.buffer);
words[CONTEXT / 4 + op.CONTEXT_SCRATCH] = SCRATCH;
words[CONTEXT / 4 + op.CONTEXT_SCRATCH_BYTES] = op.GEMM_SCRATCH_BYTES;

/** Small seeded numbers everywhere: zeros and denormals would be measured differently. */
function randomize(): void {
  const floats = new Float32Array(memory.buffer);
  let state = 1;
  for (let i = OPERANDS / 4; i < floats.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    floats[i] = state / 2 ** 31;
  }
}

const align = (at: number) => Math.ceil(at / 64) * 64;

/** A product is two operations: quantizing rows of A (or nothing, but for q8 and q4), and the rest. */
const PRODUCT_BYTES = 2 * op.DESCRIPTOR_BYTES;

/** The product with copy `copy` of B. */
function multiply(binary: Binary, copy = 0): void {
  binary.runOne(DESCRIPTORS + copy * PRODUCT_BYTES, CONTEXT, 0, 1);
  binary.runOne(DESCRIPTORS + copy * PRODUCT_BYTES + op.DESCRIPTOR_BYTES, CONTEXT, 0, 1);
}

/** Writes descriptors for a shape, a product for each copy of B; returns how many. */
function describe(shape: GemmShape, copies: boolean, weights = ENCODINGS.f32!, encode?: Binary): number {
  const { m, n, k } = shape;
  const a = OPERANDS;
  const quantized = align(a + m * k * 4);
  const c = align(quantized + (m + op.QUANTIZED_SPARE_ROWS) * chunksOf(k) * op.QUANTIZED_ROW_CHUNK_BYTES);
  const bias = align(c + m * n * 4);
  const b = align(bias + n * 4);
  const bBytes = align(weights.bytes(n, k));
  const count = copies ? Math.max(1, Math.ceil(Math.min(COLD_BYTES, 400 * bBytes) / bBytes)) : 1;
  if (b + count * bBytes > memory.buffer.byteLength) throw new Error(`${shape.name}: too large for this bench`);
  for (let copy = 0; copy < count; copy++) {
    const rows = words.subarray((DESCRIPTORS + copy * PRODUCT_BYTES) / 4);
    const integers = weights.encoding >= op.ENCODING_Q8;
    rows[0] = integers ? op.OP_QUANTIZE_ROWS : op.OP_NONE;
    rows[op.QUANTIZE_ROWS_OUT] = quantized;
    rows[op.QUANTIZE_ROWS_INP] = a;
    rows[op.QUANTIZE_ROWS_LD] = k;
    rows[op.QUANTIZE_ROWS_ROWS] = m;
    rows[op.QUANTIZE_ROWS_COLS] = k;
    rows[op.QUANTIZE_ROWS_ENCODING] = weights.encoding;
    const d = rows.subarray(op.DESCRIPTOR_WORDS);
    d[0] = op.OP_GEMM;
    d[op.GEMM_C] = c;
    d[op.GEMM_LDC] = n;
    d[op.GEMM_A] = integers ? quantized : a;
    d[op.GEMM_LDA] = shape.transposeA ? m : k;
    d[op.GEMM_B] = b + copy * bBytes;
    d[op.GEMM_LDB] = shape.transposeB ? k : n;
    d[op.GEMM_BIAS] = shape.bias ? bias : 0;
    d[op.GEMM_M] = m;
    d[op.GEMM_N] = n;
    d[op.GEMM_K] = k;
    d[op.GEMM_ENCODING] = weights.encoding;
    d[op.GEMM_FLAGS] =
      (shape.transposeA ? op.FLAG_TRANSPOSE_A : 0) |
      (shape.transposeB && !weights.encoding ? op.FLAG_TRANSPOSE_B : 0) |
      (shape.accumulate ? op.FLAG_ACCUMULATE : 0);
    if (encode) encodeRandom(encode, b + copy * bBytes, n, k, weights.encoding);
  }
  return count;
}

/** Random floats → weights at `out`. The floats stand where a descriptor's operands do, behind the last copy of B. */
function encodeRandom(binary: Binary, out: number, n: number, k: number, encoding: number): void {
  const inp = memory.buffer.byteLength - align(n * k * 4) - 65536;
  const floats = new Float32Array(memory.buffer, inp, n * k);
  let state = 7;
  for (let i = 0; i < floats.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    floats[i] = state / 2 ** 31;
  }
  const d = words.subarray(ENCODE / 4);
  d[0] = op.OP_ENCODE;
  d[op.ENCODE_OUT] = out;
  d[op.ENCODE_INP] = inp;
  d[op.ENCODE_STEP_STRIDE] = n;
  d[op.ENCODE_COLUMN_STRIDE] = 1;
  d[op.ENCODE_STEPS] = k;
  d[op.ENCODE_COLUMNS] = n;
  d[op.ENCODE_K] = k;
  d[op.ENCODE_ENCODING] = encoding;
  d[op.ENCODE_FAULT] = ENCODE + op.DESCRIPTOR_BYTES;
  binary.runOne(ENCODE, CONTEXT, 0, 1);
}

/** Seconds since some moment. */
function now(): number {
  if (!options.cpu) return performance.now() / 1000;
  const host = process as NodeJS.Process & { threadCpuUsage?(): NodeJS.CpuUsage };
  const { user, system } = host.threadCpuUsage?.() ?? host.cpuUsage();
  return (user + system) / 1e6;
}

interface Sample {
  median: number;
  best: number;
}

/** Seconds of each task, measured in turns after a warm-up. */
function measure(tasks: (() => void)[]): Sample[] {
  const times: number[][] = tasks.map(() => []);
  let shortest = Number.POSITIVE_INFINITY; // milliseconds
  for (let i = 0; i < 5; i++)
    for (const task of tasks) {
      const before = performance.now();
      task();
      shortest = Math.min(shortest, performance.now() - before);
    }
  // The CPU clock may tick every few milliseconds, so a sample of it repeats a short task.
  const repeats = options.cpu ? Math.ceil(60 / shortest) : 1;
  const end = performance.now() + seconds * 1000 * tasks.length;
  while (performance.now() < end || times[0]!.length < 5)
    tasks.forEach((task, i) => {
      const start = now();
      for (let r = 0; r < repeats; r++) task();
      times[i]!.push((now() - start) / repeats);
    });
  return times.map((list) => {
    list.sort((x, y) => x - y);
    return { median: list[list.length >> 1]!, best: list[0]! };
  });
}

const row = (title: string, cells: string[]) =>
  console.log(title.padEnd(44) + cells.map((c) => c.padStart(22)).join(''));
const cell = ({ median, best }: Sample, work: number, unit: string) =>
  `${(work / median / 1e9).toFixed(1)} (${(work / best / 1e9).toFixed(1)}) ${unit}`;

const binariesFound = await Promise.all((positionals.length ? positionals : ['simd128', 'relaxed']).map(instantiate));
const binaries = binariesFound.filter((b) => b !== undefined);
randomize();
const bun = process.versions.bun ? `Bun ${process.versions.bun}` : `Node ${process.versions.node}`;
console.log(
  `${bun}, ${cpus()[0]?.model ?? 'unknown CPU'}, one thread${options.cpu ? ', CPU time' : ''}; median (best)`,
);
row(
  '',
  binaries.map((b) => b.name.split('/').slice(-1)[0]!),
);

// Warm up until the optimizing compiler has taken over.
const WARM_UP: GemmShape[] = [
  { name: 'warm-up', m: 64, n: 64, k: 300, bias: true },
  { name: 'warm-up', m: 61, n: 61, k: 300, transposeB: true },
  { name: 'warm-up', m: 61, n: 61, k: 300, transposeA: true, accumulate: true },
  { name: 'warm-up', m: 1, n: 128, k: 300, bias: true },
  { name: 'warm-up', m: 1, n: 128, k: 300, transposeB: true },
];
const warmUntil = performance.now() + 1500;
while (performance.now() < warmUntil)
  for (const shape of WARM_UP) {
    describe(shape, false);
    for (const binary of binaries) for (let i = 0; i < 20; i++) multiply(binary);
  }
await new Promise((resolve) => setTimeout(resolve, 200));

const floats = new Float32Array(memory.buffer);
const ROUNDS = 100_000;
const limit = () => {
  for (const chains of CHAINS) {
    const tasks = binaries.map((b) => () => {
      floats[OPERANDS / 4] = 0.999;
      floats[OPERANDS / 4 + 1] = 0.001;
      if (chains === 12) b.multiplyAdd12(OPERANDS, ROUNDS);
      else b.multiplyAdd13(OPERANDS, ROUNDS);
    });
    const samples = measure(tasks);
    row(
      `limit: multiply-add in registers, ${chains} chains`,
      samples.map((s) => cell(s, ROUNDS * chains * 8, 'GFLOP/s')),
    );
  }
};
limit();
for (const shape of [...GPT2_TRAINING, ...GPT2_HEAD, ...SMALL_TRAINING, ...ODD_TRAINING]) {
  if (!wanted.test(shape.name)) continue;
  describe(shape, false);
  const samples = measure(binaries.map((b) => () => multiply(b)));
  const { m, n, k } = shape;
  row(
    `${shape.name} ${m}×${n}×${k}`,
    samples.map((s) => cell(s, 2 * m * n * k, 'GFLOP/s')),
  );
}
limit();

for (const shape of [...GPT2_PREFILL, ...ODD_PREFILL]) {
  for (const weights of encodings) {
    const title = `${weights.name} ${shape.name} ${shape.m}×${shape.n}×${shape.k}`;
    if (!wanted.test(title)) continue;
    describe(shape, false, weights, weights.encoding ? binaries[0] : undefined);
    const samples = measure(binaries.map((b) => () => multiply(b)));
    row(
      title,
      samples.map((s) => cell(s, 2 * shape.m * shape.n * shape.k, 'GFLOP/s')),
    );
  }
}

const readBytes = COLD_BYTES / 16;
let part = 0;
const reads = binaries.map((b) => () => {
  b.read(OPERANDS + (part++ % 16) * readBytes, readBytes);
});
const readLimit = () =>
  row(
    'limit: plain read',
    measure(reads).map((s) => cell(s, readBytes, 'GB/s')),
  );
if (wanted.test('decode')) readLimit();
for (const sequences of options.rows.split(',').map(Number)) {
  for (const shape of decode(sequences)) {
    for (const weights of encodings) {
      const title = `${weights.name} ${shape.name} ${shape.m}×${shape.n}×${shape.k}`;
      if (!wanted.test(title)) continue;
      const count = describe(shape, true, weights, weights.encoding ? binaries[0] : undefined);
      let copy = 0;
      const samples = measure(binaries.map((b) => () => multiply(b, copy++ % count)));
      row(
        title,
        samples.map((s) => cell(s, weights.bytes(shape.n, shape.k), 'GB/s')),
      );
    }
  }
}
if (wanted.test('decode')) readLimit();

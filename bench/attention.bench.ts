/**
 * Attention, one thread: GFLOP/s forward and backward over training shapes, beside the matrix product of the same binary;
 * GB/s of decoding over a full cache; and how evenly two threads share one head.
 *
 *   node bench/attention.bench.ts [binary …] [--shapes <regular expression>] [--samples <per shape and binary>]
 *                                 [--head-size <64>] [--group <query heads of each key-value head: 1>] [--window <0: none>]
 *
 * A binary is `simd128`, `relaxed` or the path of a .wasm file; several are measured in turns, sample by sample. Needs
 * Node 22.18 or later for the types in this file. Work counted: 4 · headSize flops for each (query, key) pair that the mask
 * allows forward (two products), 2.5 times that backward (five).
 */
import { existsSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import * as op from '../src/abi/index.ts';
import { attentionScratchBytes } from '../src/graph/attention-scratch.ts';
import { f32Bits, randomF32 } from '../test/support/kernels.ts';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    shapes: { type: 'string', default: '.' },
    samples: { type: 'string', default: '15' },
    'head-size': { type: 'string', default: '64' },
    group: { type: 'string', default: '1' },
    window: { type: 'string', default: '0' },
  },
});

interface Binary {
  name: string;
  runOne(d: number, ctx: number, thread: number, threads: number): void;
}

/** GPT-2 small: 12 heads of 64; of other heads as many as make its width, more or less. */
const HEAD_SIZE = Number(options['head-size']);
const HEADS = Math.round(768 / HEAD_SIZE);
const WIDTH = HEADS * HEAD_SIZE;
const GROUP = Number(options.group);
const WINDOW = Number(options.window);
/** Keys that `rows` rows see, the first one at `position`. */
function seenKeys(rows: number, position = 0): number {
  let keys = 0;
  for (let row = position; row < position + rows; row++) keys += WINDOW ? Math.min(WINDOW, row + 1) : row + 1;
  return keys;
}
const CAPACITY = 1024;
/** Caches that a decoding step walks through, one after the other: more than a second-level cache holds. */
const LAYERS = 12;

const SAMPLE_MS = 20;
const MEMORY_BYTES = 512 << 20;
const memory = new WebAssembly.Memory({ initial: MEMORY_BYTES / 65536 });
let top = 64;
function alloc(bytes: number): number {
  const at = top;
  top = Math.ceil((top + bytes) / 64) * 64 + 64;
  if (top > MEMORY_BYTES) throw new Error('bench: raise MEMORY_BYTES');
  return at;
}
function random(count: number, seed: number): number {
  const at = alloc(4 * count);
  new Float32Array(memory.buffer, at, count).set(randomF32(count, seed));
  return at;
}
function words(values: ArrayLike<number>): number {
  const at = alloc(4 * values.length);
  new Int32Array(memory.buffer, at, values.length).set(values);
  return at;
}
function descriptor(opcode: number, fields: Record<number, number>): number {
  const d = new Int32Array(op.DESCRIPTOR_WORDS);
  d[0] = opcode;
  for (const [word, value] of Object.entries(fields)) d[Number(word)] = value;
  return words(d);
}

const scratchBytes = Math.max(attentionScratchBytes(CAPACITY, WIDTH, GROUP), op.GEMM_SCRATCH_BYTES);
const context = alloc(op.CONTEXT_BYTES);
new Int32Array(memory.buffer, context).set([0, alloc(2 * scratchBytes), scratchBytes]);

interface Work {
  name: string;
  unit: 'GFLOP/s' | 'GB/s';
  /** Flops or bytes of one run. */
  amount: number;
  descriptors: number[];
}

const scale = f32Bits(1 / Math.sqrt(HEAD_SIZE));
const seed = words([1, 2, 3]);

/** Queries, keys and values of one product [rows, ld], or their gradients. */
function fused(at: number, heads: number) {
  const [width, keyWidth] = [heads * HEAD_SIZE, (heads / GROUP) * HEAD_SIZE];
  return { q: at, k: at + 4 * width, v: at + 4 * (width + keyWidth), ld: width + 2 * keyWidth };
}

/** What all operations are told. */
function shared(qkv: { q: number; k: number; v: number; ld: number }, heads: number): Record<number, number> {
  return {
    [op.ATTENTION_Q]: qkv.q,
    [op.ATTENTION_K]: qkv.k,
    [op.ATTENTION_V]: qkv.v,
    ...Object.fromEntries([op.ATTENTION_LDQ, op.ATTENTION_LDK, op.ATTENTION_LDV].map((word) => [word, qkv.ld])),
    [op.ATTENTION_HEADS]: heads,
    [op.ATTENTION_KEY_VALUE_HEADS]: heads / GROUP,
    [op.ATTENTION_HEAD_SIZE]: HEAD_SIZE,
    [op.ATTENTION_SCALE]: scale,
    [op.ATTENTION_WINDOW]: WINDOW,
  };
}

function training(name: string, rows: number, length: number, heads: number, dropout = false): Work[] {
  const width = heads * HEAD_SIZE;
  const segments = words(Array.from({ length: rows / length }, (_, i) => [i * length, length, 0, 0]).flat());
  const fields: Record<number, number> = {
    ...shared(fused(random(rows * 3 * width, 1), heads), heads),
    [op.ATTENTION_OUT]: alloc(4 * rows * width),
    [op.ATTENTION_LSE]: alloc(4 * rows * heads),
    [op.ATTENTION_SEGMENTS]: segments,
    [op.ATTENTION_SEGMENT_COUNT]: rows / length,
    [op.ATTENTION_FLAGS]: op.FLAG_CAUSAL,
  };
  if (dropout) {
    fields[op.ATTENTION_DROPOUT_THRESHOLD] = Math.floor(0.1 * 2 ** 32);
    fields[op.ATTENTION_DROPOUT_SCALE] = f32Bits(1 / 0.9);
    fields[op.ATTENTION_SEED] = seed;
  }
  const gradients = fused(alloc(4 * rows * 3 * width), heads);
  const flops = 4 * width * (rows / length) * seenKeys(length);
  return [
    {
      name: `${name} forward`,
      unit: 'GFLOP/s',
      amount: flops,
      descriptors: [descriptor(op.OP_ATTENTION, fields)],
    },
    {
      name: `${name} backward`,
      unit: 'GFLOP/s',
      amount: 2.5 * flops,
      descriptors: [
        descriptor(op.OP_ATTENTION_BACKWARD, {
          ...fields,
          [op.ATTENTION_DOUT]: random(rows * width, 2),
          [op.ATTENTION_DQ]: gradients.q,
          [op.ATTENTION_DK]: gradients.k,
          [op.ATTENTION_DV]: gradients.v,
          ...Object.fromEntries(
            [op.ATTENTION_LDDQ, op.ATTENTION_LDDK, op.ATTENTION_LDDV].map((word) => [word, gradients.ld]),
          ),
        }),
      ],
    },
  ];
}

/** Numbers of each cache are read as f32, or as twice as many bf16: the upper halves of the same floats, twice. */
const FLOATS = 2 * CAPACITY * WIDTH;
const caches = Array.from({ length: LAYERS }, (_, i) => random(FLOATS, 10 + i));
const roundedCaches = caches.map((cache) => {
  const at = alloc(4 * FLOATS);
  new Uint32Array(memory.buffer, at, FLOATS).set(
    new Uint32Array(memory.buffer, cache, FLOATS).map((bits) => (bits & 0xffff0000) | (bits >>> 16)),
  );
  return at;
});

/** @param sequences of how many `rows` rows are appended, each with its part of the caches */
function cached(name: string, position: number, rows: number, { sequences = 1, layers = LAYERS } = {}): Work[] {
  const keys = sequences * seenKeys(rows, position);
  const decode = rows === 1;
  const capacity = sequences === 1 ? CAPACITY : Math.ceil((position + 1) / 8) * 8;
  const fields = {
    ...shared(fused(random(sequences * rows * 3 * WIDTH, 3), HEADS), HEADS),
    [op.ATTENTION_OUT]: alloc(4 * sequences * rows * WIDTH),
    [op.ATTENTION_SEGMENTS]: words(
      Array.from({ length: sequences }, (_, slot) => [slot * rows, rows, position, slot]).flat(),
    ),
    [op.ATTENTION_SEGMENT_COUNT]: sequences,
    [op.ATTENTION_CAPACITY]: capacity,
  };
  const encodings = [
    { dtype: 'f32', bytes: 4, encoding: op.ENCODING_F32, caches },
    { dtype: 'bf16', bytes: 2, encoding: op.ENCODING_BF16, caches: roundedCaches },
  ];
  return encodings.map(({ dtype, bytes, encoding, caches }) => {
    const used = caches.slice(0, decode ? layers : 1);
    return {
      name: `${name}, ${dtype}`,
      unit: decode ? 'GB/s' : 'GFLOP/s',
      amount: used.length * keys * WIDTH * (decode ? (2 * bytes) / GROUP : 4),
      descriptors: used.map((cache) =>
        descriptor(op.OP_ATTENTION_CACHED, {
          ...fields,
          [op.ATTENTION_CACHE]: cache,
          [op.ATTENTION_ENCODING]: encoding,
        }),
      ),
    };
  });
}

const SIZE = 768;
const gemm: Work = {
  name: `matrix product ${SIZE}³`,
  unit: 'GFLOP/s',
  amount: 2 * SIZE ** 3,
  descriptors: [
    descriptor(op.OP_GEMM, {
      [op.GEMM_C]: alloc(4 * SIZE * SIZE),
      [op.GEMM_A]: random(SIZE * SIZE, 5),
      [op.GEMM_B]: random(SIZE * SIZE, 6),
      ...Object.fromEntries(
        [op.GEMM_LDC, op.GEMM_LDA, op.GEMM_LDB, op.GEMM_M, op.GEMM_N, op.GEMM_K].map((word) => [word, SIZE]),
      ),
    }),
  ],
};

const works: Work[] = [
  gemm,
  ...training('4×256', 1024, 256, HEADS),
  ...training('1×1024', 1024, 1024, HEADS),
  ...training('16×64', 1024, 64, HEADS),
  ...training('4×256 dropout', 1024, 256, HEADS, true),
  ...cached('prefill 1024', 0, 1024),
  ...cached('verify 8 at 1000', 1000, 8),
  ...cached('decode at 1023', 1023, 1),
  ...cached('decode at 127', 127, 1),
  ...cached('decode at 63', 63, 1),
  ...cached('decode at 83, one layer', 83, 1, { layers: 1 }), // which stays in a second-level cache
  ...cached('decode 8 sequences at 83', 83, 1, { sequences: 8 }),
].filter((work) => work === gemm || new RegExp(options.shapes).test(work.name));
const oneHead = training('1×1024, one key-value head', 1024, 1024, GROUP);

function instantiate(name: string): Binary | undefined {
  const builtIn = new URL(`../wasm/${name}.wasm`, import.meta.url);
  const code = readFileSync(existsSync(builtIn) ? builtIn : pathToFileURL(name));
  if (!WebAssembly.validate(code)) {
    console.log(`${name}: this runtime cannot load it`);
    return undefined;
  }
  const env = {
    memory,
    abort: () => {
      throw new Error('abort');
    },
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env });
  return { name, ...(exports as unknown as Pick<Binary, 'runOne'>) };
}

/** Milliseconds of processor time, so that other programs disturb less. */
function clock(): number {
  const host = process as NodeJS.Process & { threadCpuUsage?(): NodeJS.CpuUsage };
  const { user, system } = host.threadCpuUsage?.() ?? host.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds of thread `thread` of `threads`: the mean of as many runs as take a while, the clock being coarse. */
function time(binary: Binary, work: Work, thread = 0, threads = 1): number {
  const start = clock();
  for (let runs = 1; ; runs++) {
    for (const d of work.descriptors) binary.runOne(d, context, thread, threads);
    const elapsed = clock() - start;
    if (elapsed >= SAMPLE_MS) return elapsed / runs;
  }
}
const sorted = (samples: number[]): number[] => samples.sort((a, b) => a - b);
const median = (samples: number[]): number => sorted(samples)[samples.length >> 1]!;

const loaded = (positionals.length ? positionals : ['simd128', 'relaxed'])
  .map(instantiate)
  .filter((b) => b !== undefined);
console.log(`${process.release.name} ${process.version}, ${cpus()[0]?.model.trim()}, one thread; best (median)`);
for (const work of works) {
  const samples = loaded.map((): number[] => []);
  for (let i = -3; i < Number(options.samples); i++) {
    loaded.forEach((binary, b) => {
      const ms = time(binary, work);
      if (i >= 0) samples[b]!.push(ms);
    });
  }
  const rates = samples.map((s) => {
    const rate = (ms: number) => (work.amount / ms / 1e6).toFixed(1);
    return `${rate(sorted(s)[0]!).padStart(6)} (${rate(median(s))})`.padEnd(16);
  });
  console.log(`${work.name.padEnd(24)} ${rates.join(' ')} ${work.unit}`);
}
for (const work of oneHead) {
  const shares = loaded.map((binary) => {
    const [whole, first, second] = [
      [0, 1],
      [0, 2],
      [1, 2],
    ].map(([thread, threads]) => median(Array.from({ length: 9 }, () => time(binary, work, thread, threads))));
    return `${((100 * first!) / whole!).toFixed(0)} % + ${((100 * second!) / whole!).toFixed(0)} %`.padEnd(16);
  });
  console.log(`${work.name.padEnd(24)} ${shares.join(' ')} of one thread's time, on two`);
}
console.log(loaded.map((b) => b.name).join('  '));

/**
 * The reference implementation of the attention kernels in f64: what they compute, written as in the formulas, and its gradients.
 * Also the placing of a case in linear memory, with guards around everything that is written.
 *
 * Cases have queries, keys and values in one array, row after row:  │ heads │ keyValueHeads │ keyValueHeads │ · headSize floats.
 * Kernels get it as it is, or taken apart (`isApart`): three arrays with leading dimensions of their own and junk in the gaps.
 */

import * as op from '../../src/abi/index.ts';
import { attentionScratchBytes } from '../../src/graph/attention-scratch.ts';
import { type Binary, f32Bits, KernelMachine } from '../support/kernels.ts';

export interface AttentionCase {
  readonly heads: number;
  readonly headSize: number;
  /** [first row, rows] of each segment; rows in none stay untouched. */
  readonly segments: readonly (readonly [number, number])[];
  readonly rows: number;
  readonly causal: boolean;
  readonly dropout?: number;
  /** Default `heads`. */
  readonly keyValueHeads?: number;
  /** Default: none. */
  readonly window?: number;
  /** Whether queries, keys and values lie in arrays of their own. */
  readonly isApart?: boolean;
}

type HeadsOf = Pick<AttentionCase, 'heads' | 'headSize' | 'keyValueHeads' | 'isApart'>;

/** First column and columns of queries, keys and values in a row. */
function partsOf({ heads, headSize, keyValueHeads = heads }: HeadsOf): (readonly [first: number, cols: number])[] {
  const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
  return [
    [0, queries],
    [queries, keys],
    [queries + keys, keys],
  ];
}

/** Floats of a row of queries, keys and values. */
export const rowOf = (c: HeadsOf): number => partsOf(c).reduce((sum, [, cols]) => sum + cols, 0);

export const SEED = [0x12345678, 0x9abcdef0, 7] as const;
export const STREAM = 3;

export const describeCase = (c: AttentionCase): string =>
  `heads ${c.heads} × ${c.headSize}, segments ${c.segments.map(([at, rows]) => `${at}+${rows}`).join(' ')}` +
  `${c.keyValueHeads ? ` by ${c.keyValueHeads}` : ''}${c.causal ? ', causal' : ''}${c.window ? `, window ${c.window}` : ''}` +
  `${c.dropout ? `, dropout ${c.dropout}` : ''}${c.isApart ? ', apart' : ''}`;

export const scaleOf = (c: AttentionCase): number => Math.fround(1 / Math.sqrt(c.headSize));
const thresholdOf = (p: number): number => Math.floor(p * 2 ** 32);
const dropoutScaleOf = (p: number): number => Math.fround(1 / (1 - p));

/** Philox4x32-10 (Salmon et al. 2011) in BigInt: four numbers. */
export function philoxTwin(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map((c) => BigInt(c >>> 0)) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map((k) => BigInt(k >>> 0)) as [bigint, bigint];
  const mask = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const a = 0xd2511f53n * c0;
    const b = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [(b >> 32n) ^ c1 ^ k0, b & mask, (a >> 32n) ^ c3 ^ k1, a & mask];
    k0 = (k0 + 0x9e3779b9n) & mask;
    k1 = (k1 + 0xbb67ae85n) & mask;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** What P[row, key] of `head` is multiplied by. */
export function dropoutFactor(c: AttentionCase, row: number, head: number, key: number): number {
  if (!c.dropout) return 1;
  const random = philoxTwin([key >> 2, row * c.heads + head, STREAM, SEED[2]], SEED)[key & 3]!;
  return random >= thresholdOf(c.dropout) ? dropoutScaleOf(c.dropout) : 0;
}

interface Results {
  out: Float64Array;
  lse: Float64Array;
  dqkv: Float64Array;
}

/**
 * out, lse and, given dout, dqkv. Rows outside all segments are NaN. P is taken from exact softmax, so the gradient is
 * that of the formula, not of the kernel's recomputation.
 */
export function attentionTwin(c: AttentionCase, qkv: ArrayLike<number>, dout?: ArrayLike<number>): Results {
  const width = c.heads * c.headSize;
  const stride = rowOf(c);
  const [, firstKey, firstValue] = partsOf(c).map(([first]) => first) as [number, number, number];
  const group = c.heads / (c.keyValueHeads ?? c.heads);
  const scale = scaleOf(c);
  const out = new Float64Array(c.rows * width).fill(Number.NaN);
  const lse = new Float64Array(c.rows * c.heads).fill(Number.NaN);
  const dqkv = new Float64Array(c.rows * stride).fill(Number.NaN);
  for (const [first, rows] of c.segments) {
    dqkv.fill(0, first * stride, (first + rows) * stride);
    for (let h = 0; h < c.heads; h++) {
      const keyValue = Math.floor(h / group) * c.headSize;
      const q = (i: number) => (first + i) * stride + h * c.headSize;
      const k = (j: number) => (first + j) * stride + firstKey + keyValue;
      const v = (j: number) => (first + j) * stride + firstValue + keyValue;
      const o = (i: number) => (first + i) * width + h * c.headSize;
      const dot = (x: ArrayLike<number>, a: number, y: ArrayLike<number>, b: number) => {
        let sum = 0;
        for (let d = 0; d < c.headSize; d++) sum += x[a + d]! * y[b + d]!;
        return sum;
      };
      for (let i = 0; i < rows; i++) {
        const keys = c.causal ? i + 1 : rows;
        const from = c.window ? Math.max(0, keys - c.window) : 0;
        const scores = Array.from({ length: keys }, (_, j) =>
          j < from ? Number.NEGATIVE_INFINITY : scale * dot(qkv, q(i), qkv, k(j)),
        );
        const largest = scores.reduce((a, b) => Math.max(a, b));
        const exponentials = scores.map((s) => Math.exp(s - largest));
        const sum = exponentials.reduce((a, b) => a + b);
        lse[(first + i) * c.heads + h] = largest + Math.log(sum);
        const factors = scores.map((_, j) => dropoutFactor(c, first + i, h, j));
        const p = exponentials.map((e) => e / sum);
        for (let d = 0; d < c.headSize; d++) {
          let value = 0;
          for (let j = 0; j < keys; j++) value += p[j]! * factors[j]! * qkv[v(j) + d]!;
          out[o(i) + d] = value;
        }
        if (!dout) continue;
        const delta = dot(dout, o(i), out, o(i));
        for (let j = 0; j < keys; j++) {
          const ds = scale * p[j]! * (factors[j]! * dot(dout, o(i), qkv, v(j)) - delta);
          for (let d = 0; d < c.headSize; d++) {
            dqkv[v(j) + d]! += p[j]! * factors[j]! * dout[o(i) + d]!;
            dqkv[q(i) + d]! += ds * qkv[k(j) + d]!;
            dqkv[k(j) + d]! += ds * qkv[q(i) + d]!;
          }
        }
      }
    }
  }
  return { out, lse, dqkv };
}

/** Stands in memory that a kernel must not write. */
export const UNTOUCHED = 12345.5;
const GUARD = 16;

/** A machine with just the scratch memory that attention asks for, full of NaN. */
export class AttentionMachine extends KernelMachine {
  readonly #scratch: Float32Array;
  readonly #guarded: [number, number][] = [];

  constructor(binary: Binary, maxKeys: number, headSize: number, threads: number, group = 1, bytes = 16 << 20) {
    const scratchBytes = attentionScratchBytes(maxKeys, headSize, group);
    const maxThreads = threads;
    super(binary, { bytes: bytes + scratchBytes * threads, scratchBytes, maxThreads });
    const after = this.alloc(64);
    const all = scratchBytes * maxThreads;
    this.#scratch = new Float32Array(this.memory.buffer, after - 64 - all, all / 4 + GUARD);
    this.#scratch.fill(Number.NaN, 0, all / 4).fill(UNTOUCHED, all / 4);
  }

  /** `count` floats that say UNTOUCHED, between guards that say so too. */
  output(count: number, value = UNTOUCHED): number {
    const at = this.f32(new Float32Array(count + 2 * GUARD).fill(UNTOUCHED)) + 4 * GUARD;
    new Float32Array(this.memory.buffer, at, count).fill(value);
    this.#guarded.push([at, count]);
    return at;
  }

  /** Whether every guard, and the end of scratch memory, is as it was. */
  guardsHold(): boolean {
    const holds = (a: Float32Array) => a.every((x) => x === UNTOUCHED);
    return (
      holds(this.#scratch.subarray(-GUARD)) &&
      this.#guarded.every(
        ([at, count]) => holds(this.readF32(at - 4 * GUARD, GUARD)) && holds(this.readF32(at + 4 * count, GUARD)),
      )
    );
  }
}

export interface KernelRun {
  machine: AttentionMachine;
  out: Float32Array;
  lse: Float32Array;
  dqkv: Float32Array;
}

/** Where queries, keys and values are, or where their gradients go: addresses and leading dimensions. */
export interface Placed {
  readonly at: readonly number[];
  readonly ld: readonly number[];
}

/** Places queries, keys and values, or what is to be overwritten by their gradients, between guards. */
export function placeParts(machine: AttentionMachine, c: HeadsOf, rows: number, values?: ArrayLike<number>): Placed {
  const stride = rowOf(c);
  const parts = partsOf(c);
  if (!c.isApart) {
    const at = values ? machine.f32(values) : machine.output(rows * stride);
    return { at: parts.map(([first]) => at + 4 * first), ld: parts.map(() => stride) };
  }
  const ld = parts.map(([, cols], part) => cols + 3 - part); // gaps of 3, 2, 1
  const at = parts.map(([first, cols], part) => {
    const own = ld[part]!;
    if (!values) return machine.output(rows * own);
    const spread = new Float32Array(rows * own).fill(Number.NaN);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < cols; column++) spread[row * own + column] = values[row * stride + first + column]!;
    return machine.f32(spread);
  });
  return { at, ld };
}

/** What placeParts placed, in rows without gaps. Throws when a gap has been written. */
function readParts(machine: AttentionMachine, c: HeadsOf, rows: number, { at, ld }: Placed): Float32Array {
  const stride = rowOf(c);
  const whole = new Float32Array(rows * stride);
  for (const [part, [first, cols]] of partsOf(c).entries()) {
    const own = ld[part]!;
    const values = machine.readF32(at[part]!, rows && (rows - 1) * own + cols);
    for (let row = 0; row < rows; row++) {
      whole.set(values.subarray(row * own, row * own + cols), row * stride + first);
      const gap = c.isApart ? values.subarray(row * own + cols, (row + 1) * own) : [];
      if (!gap.every((x) => x === UNTOUCHED)) throw new Error(`gap behind row ${row} of part ${part} was written`);
    }
  }
  return whole;
}

/** The kernels' results, forward and, given dout, backward; memory they do not write says UNTOUCHED. */
export function runAttention(
  binary: Binary,
  c: AttentionCase,
  qkv: ArrayLike<number>,
  dout?: ArrayLike<number>,
  threads = 1,
): KernelRun {
  const width = c.heads * c.headSize;
  const longest = c.segments.reduce((n, [, rows]) => Math.max(n, rows), 1);
  const machine = new AttentionMachine(binary, longest, c.headSize, threads);
  const inputs = placeParts(machine, c, c.rows, qkv);
  const out = machine.output(c.rows * width);
  const lse = machine.output(c.rows * c.heads);
  const table = machine.i32([...c.segments.flatMap(([at, rows]) => [at, rows, 0, 0]), 0, 99, 0, 0]);
  machine.setSize(5, c.segments.length); // a dynamic count; the entry behind it must not be read
  const fields: Record<number, number> = {
    [op.ATTENTION_OUT]: out,
    [op.ATTENTION_Q]: inputs.at[0]!,
    [op.ATTENTION_LDQ]: inputs.ld[0]!,
    [op.ATTENTION_K]: inputs.at[1]!,
    [op.ATTENTION_LDK]: inputs.ld[1]!,
    [op.ATTENTION_V]: inputs.at[2]!,
    [op.ATTENTION_LDV]: inputs.ld[2]!,
    [op.ATTENTION_LSE]: lse,
    [op.ATTENTION_SEGMENTS]: table,
    [op.ATTENTION_SEGMENT_COUNT]: ~5,
    [op.ATTENTION_HEADS]: c.heads,
    [op.ATTENTION_KEY_VALUE_HEADS]: c.keyValueHeads ?? c.heads,
    [op.ATTENTION_HEAD_SIZE]: c.headSize,
    [op.ATTENTION_SCALE]: f32Bits(scaleOf(c)),
    [op.ATTENTION_WINDOW]: c.window ?? 0,
    [op.ATTENTION_FLAGS]: c.causal ? op.FLAG_CAUSAL : 0,
  };
  if (c.dropout) {
    fields[op.ATTENTION_DROPOUT_THRESHOLD] = thresholdOf(c.dropout);
    fields[op.ATTENTION_DROPOUT_SCALE] = f32Bits(dropoutScaleOf(c.dropout));
    fields[op.ATTENTION_SEED] = machine.i32(SEED);
    fields[op.ATTENTION_STREAM] = STREAM;
  }
  machine.run(op.OP_ATTENTION, fields, threads);
  let dqkv: Float32Array = new Float32Array();
  if (dout) {
    const gradients = placeParts(machine, c, c.rows);
    machine.run(
      op.OP_ATTENTION_BACKWARD,
      {
        ...fields,
        [op.ATTENTION_DOUT]: machine.f32(dout),
        [op.ATTENTION_DQ]: gradients.at[0]!,
        [op.ATTENTION_LDDQ]: gradients.ld[0]!,
        [op.ATTENTION_DK]: gradients.at[1]!,
        [op.ATTENTION_LDDK]: gradients.ld[1]!,
        [op.ATTENTION_DV]: gradients.at[2]!,
        [op.ATTENTION_LDDV]: gradients.ld[2]!,
      },
      threads,
    );
    dqkv = readParts(machine, c, c.rows, gradients);
  }
  return {
    machine,
    out: machine.readF32(out, c.rows * width),
    lse: machine.readF32(lse, c.rows * c.heads),
    dqkv,
  };
}

/** Like relativeError, but where the twin has NaN (a row outside all segments) the kernel must have left UNTOUCHED. */
export function errorWhereWritten(actual: Float32Array, expected: Float64Array): number {
  let largest = 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const e = expected[i]!;
    if (Number.isNaN(e)) {
      if (actual[i] !== UNTOUCHED) return Number.POSITIVE_INFINITY;
      continue;
    }
    largest = Math.max(largest, Math.abs(e));
    const difference = Math.abs(actual[i]! - e);
    if (!(difference <= worst)) worst = difference;
  }
  return worst / largest;
}

/** The first index where the bits of two arrays differ, or −1. */
export function firstDifference(a: Float32Array, b: Float32Array): number {
  const x = new Uint32Array(a.buffer, a.byteOffset, a.length);
  const y = new Uint32Array(b.buffer, b.byteOffset, b.length);
  return a.length === b.length ? x.findIndex((bits, i) => bits !== y[i]) : Math.min(a.length, b.length);
}

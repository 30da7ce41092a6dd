/**
 * OP_GEMM with weights in panels. Floats (packed, f16, bf16) have to give the very bits of the product with the same weights as
 * plain floats, which gemm.test.ts holds against its specification; q8 and q4 are held against a twin of what
 * assembly/gemm/quantize-rows.ts and quantized.ts say, and against the product in f64.
 */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { chunksOf } from '../../src/graph/encoding.ts';
import { type Binary, binaries, KernelMachine, randomF32 } from '../support/kernels.ts';
import {
  BLOCKS,
  CODES,
  decodeTwin,
  ENCODINGS,
  type EncodingName,
  encodeTwin,
  nearest,
  panelBytes,
} from './weights-twin.ts';

const FLOATS = ['packed', 'f16', 'bf16'] as const;
const QUANTIZED = ['q8', 'q4'] as const;
const ADDENDS = [{}, { bias: true }, { accumulate: true }, { bias: true, accumulate: true }];
const EPS = 2 ** -23;
const GUARD = 0x7fa5a5a5;
const MARGIN = 64; // words

const f32 = Math.fround;

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly bias?: boolean;
  readonly accumulate?: boolean;
  readonly threads?: number;
  /** First row of A and C. */
  readonly row?: number;
}

const title = ({ m, n, k, bias, accumulate, threads = 1 }: Case) =>
  `${m}×${n}×${k}${bias ? ' bias' : ''}${accumulate ? ' accumulate' : ''}, ${threads} threads`;

/** One weight in all encodings with up to `rows` rows to multiply it with: C [rows, n] = A [rows, k] · W [k, n]. */
class Bench {
  readonly a: Float32Array;
  readonly c: Float32Array;
  readonly bias: Float32Array;
  readonly n: number;
  readonly k: number;
  /** Rows in memory are longer than they must be. */
  readonly lda: number;
  readonly ldc: number;
  readonly #machine: KernelMachine;
  readonly #transposed: boolean;
  readonly #at: { a: number; bias: number; c: number; quantized: number };
  readonly #weights = new Map<EncodingName | 'f32', number>();

  /**
   * @param weight of each encoding as floats, [k, n]; with `transposed` [n, k]
   * @param options `threads`: for how many there is scratch memory
   */
  constructor(
    binary: Binary,
    rows: number,
    n: number,
    k: number,
    weights: ReadonlyMap<EncodingName | 'f32', Uint8Array>,
    { threads = 1, transposed = false, a = randomF32(rows * (k + 3), 1) } = {},
  ) {
    [this.n, this.k, this.lda, this.ldc] = [n, k, k + 3, n + 5];
    [this.a, this.#transposed] = [a, transposed];
    this.c = randomF32(rows * this.ldc, 2);
    this.bias = randomF32(n, 3);
    const content = [...weights.values()].reduce((sum, { length }) => sum + length + 256, 0);
    const arrays = (this.a.length + this.c.length + n) * 4 + quantizedBytes(rows, k) + MARGIN * 4;
    this.#machine = new KernelMachine(binary, {
      bytes: threads * op.GEMM_SCRATCH_BYTES + content + arrays + (2 << 20),
      scratchBytes: op.GEMM_SCRATCH_BYTES,
      maxThreads: threads,
    });
    // C first: its guard stands right behind the scratch memory.
    const c = this.#machine.alloc((this.c.length + 2 * MARGIN) * 4) + MARGIN * 4;
    for (const [name, bytes] of weights) {
      const at = this.#machine.alloc(bytes.length);
      new Uint8Array(this.#machine.memory.buffer, at, bytes.length).set(bytes);
      this.#weights.set(name, at);
    }
    const quantized = this.#machine.alloc(quantizedBytes(rows, k) + MARGIN * 4);
    this.#at = { a: this.#machine.f32(this.a), bias: this.#machine.f32(this.bias), c, quantized };
  }

  /** C [m, n] as words. Nothing else may change. */
  run(encoding: EncodingName | 'f32', { m, bias, accumulate, threads = 1, row = 0 }: Case): Int32Array {
    const { n, k, lda, ldc } = this;
    const total = this.c.length + 2 * MARGIN;
    const words = new Int32Array(this.#machine.memory.buffer, this.#at.c - MARGIN * 4, total);
    words.fill(GUARD);
    const before = new Int32Array(this.c.buffer);
    for (let i = 0; i < m; i++) words.set(before.subarray((row + i) * ldc, (row + i) * ldc + n), MARGIN + i * ldc);
    const transpose = encoding === 'f32' || !this.#transposed ? 0 : op.FLAG_TRANSPOSE_B;
    const a = this.#at.a + row * lda * 4;
    const quantized = (encoding === 'q8' || encoding === 'q4') && !this.#transposed;
    if (quantized) this.#quantizeRows(a, m, CODES[encoding], threads);
    this.#machine.run(
      op.OP_GEMM,
      {
        [op.GEMM_C]: this.#at.c,
        [op.GEMM_LDC]: ldc,
        [op.GEMM_A]: quantized ? this.#at.quantized : a,
        [op.GEMM_LDA]: lda,
        [op.GEMM_B]: this.#weights.get(encoding)!,
        [op.GEMM_LDB]: encoding === 'f32' ? n : 0,
        [op.GEMM_BIAS]: bias ? this.#at.bias : 0,
        [op.GEMM_M]: m,
        [op.GEMM_N]: n,
        [op.GEMM_K]: k,
        [op.GEMM_FLAGS]: transpose | (accumulate ? op.FLAG_ACCUMULATE : 0),
        [op.GEMM_ENCODING]: encoding === 'f32' ? op.ENCODING_F32 : CODES[encoding],
      },
      threads,
    );
    const out = new Int32Array(m * n);
    for (let i = 0; i < m; i++) {
      const start = MARGIN + i * ldc;
      out.set(words.subarray(start, start + n), i * n);
      words.fill(GUARD, start, start + n);
    }
    for (let at = 0; at < total; at++)
      if (words[at] !== GUARD) expect.fail(`${title({ m, n, k })}: wrote outside C, word ${at - MARGIN}`);
    return out;
  }

  /** Rows of A as integers, with nothing written behind the place that they are given. */
  #quantizeRows(a: number, m: number, encoding: number, threads: number): void {
    const behind = this.#at.quantized + quantizedBytes(m, this.k);
    const guard = new Int32Array(this.#machine.memory.buffer, behind, MARGIN).fill(GUARD);
    this.#machine.run(
      op.OP_QUANTIZE_ROWS,
      {
        [op.QUANTIZE_ROWS_OUT]: this.#at.quantized,
        [op.QUANTIZE_ROWS_INP]: a,
        [op.QUANTIZE_ROWS_LD]: this.lda,
        [op.QUANTIZE_ROWS_ROWS]: m,
        [op.QUANTIZE_ROWS_COLS]: this.k,
        [op.QUANTIZE_ROWS_ENCODING]: encoding,
      },
      threads,
    );
    if (!guard.every((word) => word === GUARD)) expect.fail(`${m} rows of ${this.k}: wrote behind quantized rows`);
  }
}

/** Bytes of quantized rows. */
function quantizedBytes(rows: number, k: number): number {
  return (rows + op.QUANTIZED_SPARE_ROWS) * chunksOf(k) * op.QUANTIZED_ROW_CHUNK_BYTES;
}

function expectSame(actual: Int32Array, expected: Int32Array, what: string): void {
  if (actual.length !== expected.length) expect.fail(`${what}: ${actual.length} words, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++)
    if (actual[i] !== expected[i]) {
      const [found, wanted] = [actual, expected].map((words) => new Float32Array(words.buffer)[i]);
      expect.fail(`${what}: element ${i} is ${found}, expected ${wanted}`);
    }
}

/** A product has the same bits on 2, 3 and 7 threads, and when `counts` of its first or last rows are multiplied alone. */
function expectSameInParts(bench: Bench, encoding: EncodingName, { m, n, k }: Case, counts: readonly number[]): void {
  for (const addend of ADDENDS) {
    const c = { m, n, k, ...addend };
    const batch = bench.run(encoding, c);
    for (const threads of [2, 3, 7]) expectSame(bench.run(encoding, { ...c, threads }), batch, title(c));
    for (const rows of counts.filter((count) => count <= m))
      for (const row of [0, m - rows]) {
        const part = batch.slice(row * n, (row + rows) * n);
        expectSame(bench.run(encoding, { ...c, m: rows, row }), part, `rows ${row} + ${rows} of ${title(c)}`);
      }
  }
}

const floats = (words: Int32Array) => new Float32Array(words.buffer);
const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer);

/** Random weights in some encoding, and what they are as floats. */
function weightsOf(encoding: EncodingName, k: number, n: number) {
  const panels = encodeTwin(encoding, randomF32(k * n, 4), k, n);
  return { panels, values: decodeTwin(encoding, panels, k, n) };
}

describe.each(binaries)('gemm with encoded weights, %s', (binary) => {
  describe.each(FLOATS)('%s', (encoding) => {
    /** A bench with the weights in panels and as plain floats. */
    function benchOf(rows: number, n: number, k: number, threads = 1): Bench {
      const { panels, values } = weightsOf(encoding, k, n);
      const weights = new Map<EncodingName | 'f32', Uint8Array>([
        [encoding, panels],
        ['f32', bytesOf(values)],
      ]);
      return new Bench(binary, rows, n, k, weights, { threads });
    }

    it('has the bits of the product with plain floats', () => {
      const few = Array.from({ length: 20 }, (_, i) => i + 1);
      for (const n of [1, 8, 15, 16, 17, 33, 100])
        for (const k of [1, 31, 32, 255, 256, 257, 600]) {
          const bench = benchOf(200, n, k);
          for (const m of [...few, 192, 193, 200])
            for (const addend of m <= 20 ? ADDENDS : [ADDENDS[(m + n + k) % 4]!]) {
              const c = { m, n, k, ...addend };
              expectSame(bench.run(encoding, c), bench.run('f32', c), title(c));
            }
        }
    });

    it('has them with long sides, and with k = 0', () => {
      for (const [m, n, k] of [
        [1, 3000, 70],
        [9, 2070, 300],
        [2, 40, 4099],
        [40, 20, 3000],
        [8, 16, 33000], // more than the few rows of A that are packed at once
        [3, 17, 0],
        [30, 17, 0],
      ] as const) {
        const bench = benchOf(m, n, k);
        for (const addend of ADDENDS) {
          const c = { m, n, k, ...addend };
          expectSame(bench.run(encoding, c), bench.run('f32', c), title(c));
        }
      }
    });

    it('has the same bits on any number of threads, and for a row alone', () => {
      for (const [m, n, k] of [
        [1, 333, 300],
        [2, 50, 40],
        [6, 133, 300],
        [61, 47, 300],
        [40, 200, 64],
        [3, 5, 7],
      ] as const) {
        const bench = benchOf(m, n, k, 7);
        expectSameInParts(bench, encoding, { m, n, k }, [1, 2, 3, 4, 5, 7, 8, 9, 17]);
      }
    });

    it('lets NaN and infinity of a row through, and only there', () => {
      const [m, n, k] = [7, 21, 40];
      const { panels } = weightsOf(encoding, k, n);
      const a = randomF32(m * (k + 3), 1);
      a[2 * (k + 3) + 39] = Number.NaN;
      a[4 * (k + 3)] = Number.POSITIVE_INFINITY;
      const bench = new Bench(binary, m, n, k, new Map([[encoding, panels]]), { a });
      floats(bench.run(encoding, { m, n, k })).forEach((value, i) => {
        const row = Math.floor(i / n);
        if (row === 2) expect(value).toBeNaN();
        else expect(Math.abs(value) === Number.POSITIVE_INFINITY).toBe(row === 4);
      });
    });
  });

  describe.each(ENCODINGS)('%s', (encoding) => {
    function checkTransposed(threads: number): void {
      for (const [m, n, k] of [
        [1, 1, 1],
        [5, 33, 17],
        [13, 100, 31],
        [9, 64, 48],
        [40, 32, 300],
        [200, 48, 257],
        [3, 1100, 40], // more than a block of columns
        [7, 70, 530],
      ] as const) {
        // The panels hold [n steps][k columns].
        const { panels, values } = weightsOf(encoding, n, k);
        const plain = new Float32Array(k * n);
        for (let i = 0; i < n; i++) for (let j = 0; j < k; j++) plain[j * n + i] = values[i * k + j]!;
        const weights = new Map<EncodingName | 'f32', Uint8Array>([
          [encoding, panels],
          ['f32', bytesOf(plain)],
        ]);
        const bench = new Bench(binary, m, n, k, weights, { transposed: true, threads });
        for (const addend of ADDENDS.slice(0, 3)) {
          const c = { m, n, k, ...addend, threads };
          expectSame(bench.run(encoding, c), bench.run('f32', { ...c, threads: 1 }), `transposed ${title(c)}`);
        }
      }
    }

    it('multiplies with the transpose of what is stored, in the bits of plain floats', () => checkTransposed(1));

    it.each([2, 3, 7])('does so on %i threads', (threads) => checkTransposed(threads));
  });

  describe.each(QUANTIZED)('%s', (encoding) => {
    const limit = binary === 'simd128' ? 2047 : encoding === 'q8' ? 63 : 127;

    /** `count` values of a row of A, from `from`, which share a scale. */
    function quantizeRow(a: Float32Array, from: number, count: number): { scale: number; integers: number[] } {
      const values = Array.from(a.subarray(from, from + count));
      const largest = values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
      const factor = largest > f32(1e-30) ? f32(limit / largest) : 0;
      return { scale: f32(largest / limit), integers: values.map((x) => nearest(f32(x * factor))) };
    }

    interface Twin {
      /** By the kernel's arithmetic, with two roundings for each block. */
      readonly values: Float32Array;
      /** How far a fused multiply-add may be away from it. */
      readonly fused: Float64Array;
      /** The product of A with the decoded weights in f64. */
      readonly exact: Float64Array;
      /** How far the kernel may be away from that. */
      readonly bound: Float64Array;
    }

    function twin(bench: Bench, panels: Uint8Array, { m, bias, accumulate, row = 0 }: Case): Twin {
      const { n, k, lda, ldc } = bench;
      const { steps } = BLOCKS[encoding];
      const blocks = Math.ceil(k / steps);
      const weight = decodeTwin(encoding, panels, k, n);
      // Integers and scales of the weights, from the panels: a weight is its integer times the scale.
      const view = new DataView(panels.buffer);
      const scaleOf = (block: number, j: number) => {
        const at = (j >> 4) * panelBytes(encoding, k) + panelBytes(encoding, block * steps) + (j & 15) * 2;
        return new Float32Array(Uint32Array.of(view.getUint16(at, true) << 16).buffer)[0]!;
      };
      const scales = Array.from({ length: blocks }, (_, block) =>
        Array.from({ length: n }, (_, j) => scaleOf(block, j)),
      );
      const integers = weight.map((value, i) => {
        const scale = scales[Math.floor(i / n / steps)]![i % n]!;
        return scale === 0 ? 0 : Math.round(value / scale);
      });
      const result: Twin = {
        values: new Float32Array(m * n),
        fused: new Float64Array(m * n),
        exact: new Float64Array(m * n),
        bound: new Float64Array(m * n),
      };
      for (let i = 0; i < m; i++) {
        const start = (row + i) * lda;
        const quantized = scales.map((_, block) =>
          quantizeRow(bench.a, start + block * steps, Math.min(steps, k - block * steps)),
        );
        for (let j = 0; j < n; j++) {
          let [sum, size, exact, bound] = [0, 0, 0, 0];
          for (let block = 0; block < blocks; block++) {
            const { scale, integers: row } = quantized[block]!;
            let [dot, weights, products] = [0, 0, 0];
            for (let s = 0; s < steps && block * steps + s < k; s++) {
              const at = (block * steps + s) * n + j;
              dot += row[s]! * integers[at]!;
              weights += Math.abs(weight[at]!);
              const product = bench.a[start + block * steps + s]! * weight[at]!;
              exact += product;
              products += Math.abs(product);
            }
            size += products;
            // Half a step, or all of a block that is taken for 0.
            bound += scale * limit > f32(1e-30) ? (scale / 2) * weights : products;
            sum = f32(sum + f32(dot * f32(scales[block]![j]! * scale)));
          }
          const at = i * n + j;
          const before = bench.c[(row + i) * ldc + j]!;
          const offset = bench.bias[j]!;
          const from = accumulate ? (bias ? f32(before + offset) : before) : bias ? offset : undefined;
          const rounding = (blocks + 4) * EPS * (size + bound + Math.abs(from ?? 0));
          result.values[at] = from === undefined ? sum : f32(from + sum);
          result.fused[at] = rounding;
          result.exact[at] = exact + (accumulate ? before : 0) + (bias ? offset : 0);
          result.bound[at] = bound * (1 + 1e-5) + rounding;
        }
      }
      return result;
    }

    function check(bench: Bench, panels: Uint8Array, c: Case): void {
      const out = floats(bench.run(encoding, c));
      const { values, fused, exact, bound } = twin(bench, panels, c);
      out.forEach((value, i) => {
        if (binary === 'simd128' ? value !== values[i] : !(Math.abs(value - values[i]!) <= fused[i]!))
          expect.fail(`${title(c)}: element ${i} is ${value}, the twin has ${values[i]}`);
        if (!(Math.abs(value - exact[i]!) <= bound[i]!))
          expect.fail(`${title(c)}: element ${i} is ${value}, expected ${exact[i]} ± ${bound[i]}`);
      });
    }

    it('has the bits of the twin, and is as near to the exact product as its rounding allows', () => {
      for (const n of [1, 15, 16, 17, 50])
        for (const k of [1, 31, 32, 33, 64, 90, 100, 300]) {
          const { panels } = weightsOf(encoding, k, n);
          const bench = new Bench(binary, 13, n, k, new Map([[encoding, panels]]));
          for (let m = 1; m <= 13; m++)
            for (const addend of k < 100 ? ADDENDS : [ADDENDS[(m + n + k) % 4]!])
              check(bench, panels, { m, n, k, ...addend });
        }
    });

    it('has them with long sides, and in several chunks of rows', () => {
      for (const [m, n, k] of [
        [1, 1500, 70],
        [5, 40, 4099],
        [200, 17, 1000], // 200 rows take more than the memory for one chunk
        [90, 3, 2080],
      ] as const) {
        const { panels } = weightsOf(encoding, k, n);
        check(new Bench(binary, m, n, k, new Map([[encoding, panels]])), panels, { m, n, k, bias: true });
      }
    });

    it('keeps to its scratch memory, however long the rows are', () => {
      const { panels: some } = weightsOf(encoding, 3200, 1);
      const panelOf = (k: number) => new Uint8Array(panelBytes(encoding, k)).map((_, i) => some[i % some.length]!);
      for (const k of [110_001, 280_000]) {
        const panels = panelOf(k);
        const bench = new Bench(binary, 7, 1, k, new Map([[encoding, panels]])); // 7: groups of several heights
        check(bench, panels, { m: 7, n: 1, k, bias: true });
        const batch = bench.run(encoding, { m: 7, n: 1, k });
        for (const [row, m] of [
          [0, 1],
          [6, 1],
          [1, 2],
          [2, 3],
          [2, 5],
        ] as const)
          expectSame(bench.run(encoding, { m, n: 1, k, row }), batch.slice(row, row + m), `row ${row} of ${k}`);
        // Of two panels that are alike, the second gives what the first gives.
        const twice = new Uint8Array(2 * panels.length);
        twice.set(panels);
        twice.set(panels, panels.length);
        const both = new Bench(binary, 7, 17, k, new Map([[encoding, twice]])).run(encoding, { m: 7, n: 17, k });
        for (const column of [0, 16])
          expectSame(
            both.filter((_, i) => i % 17 === column),
            batch,
            `column ${column} of ${k}`,
          );
      }
    });

    it('k = 0 gives the addend', () => {
      const bench = new Bench(binary, 5, 17, 0, new Map([[encoding, new Uint8Array(0)]]));
      for (const addend of ADDENDS) {
        const out = floats(bench.run(encoding, { m: 5, n: 17, k: 0, ...addend }));
        out.forEach((value, i) => {
          const before = 'accumulate' in addend ? bench.c[Math.floor(i / 17) * bench.ldc + (i % 17)]! : 0;
          expect(value).toBe(f32(before + ('bias' in addend ? bench.bias[i % 17]! : 0)));
        });
      }
    });

    it('has the same bits on any number of threads, and for a row alone', () => {
      for (const [m, n, k] of [
        [1, 333, 300],
        [2, 50, 40],
        [6, 133, 300],
        [61, 47, 300],
        [40, 200, 64],
        [3, 5, 7],
      ] as const) {
        const { panels } = weightsOf(encoding, k, n);
        const bench = new Bench(binary, m, n, k, new Map([[encoding, panels]]), { threads: 7 });
        expectSameInParts(bench, encoding, { m, n, k }, [1, 2, 3, 4, 5, 6, 7, 8, 11]);
      }
    });

    it('takes rows of zeros, tiny ones, huge ones, and ones in which a block is larger than the others', () => {
      const [m, n, k] = [9, 20, 70];
      const { panels } = weightsOf(encoding, k, n);
      const lda = k + 3;
      const a = randomF32(m * lda, 1);
      const scaleRow = (row: number, factor: number) => {
        for (let i = 0; i < k; i++) a[row * lda + i]! *= factor;
      };
      scaleRow(1, 0);
      scaleRow(2, -0);
      scaleRow(3, 1e-38);
      scaleRow(4, 1e-43); // subnormal
      scaleRow(5, 1e-29);
      scaleRow(6, 1e30);
      a[7 * lda + 40] = 1e6;
      a.fill(-1, 8 * lda, 8 * lda + k); // the largest sums that there can be
      const bench = new Bench(binary, m, n, k, new Map([[encoding, panels]]), { a });
      check(bench, panels, { m, n, k });
      for (let row = 0; row < m; row++) check(bench, panels, { m: 1, n, k, row });
      const out = floats(bench.run(encoding, { m, n, k }));
      for (const row of [1, 2, 3, 4])
        expect([...out.slice(row * n, (row + 1) * n)].every((value) => value === 0)).toBe(true);
    });

    it('a row with NaN or infinity gives NaN, and the others what they give without it', () => {
      const [m, n, k] = [13, 37, 70];
      const panels = encodeTwin(
        encoding,
        randomF32(k * n, 4).map((x, i) => (i % n === 5 ? 0 : x)), // also where all weights are 0
        k,
        n,
      );
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        for (const [row, at] of [
          [0, 0],
          [5, 33],
          [12, 69],
        ] as const) {
          const clean = new Bench(binary, m, n, k, new Map([[encoding, panels]]));
          const a = clean.a.slice();
          a[row * (k + 3) + at] = value;
          const bench = new Bench(binary, m, n, k, new Map([[encoding, panels]]), { a });
          const [found, expected] = [bench, clean].map((b) => floats(b.run(encoding, { m, n, k, bias: true }))) as [
            Float32Array,
            Float32Array,
          ];
          found.forEach((x, i) => {
            if (Math.floor(i / n) === row) expect(x).toBeNaN();
            else expect(x).toBe(expected[i]);
          });
        }
    });

    it('takes weights of any magnitude', () => {
      const [m, n, k] = [5, 16, 64];
      for (const size of [1e-38, 1e-30, 1e-10, 1e10, 1e30]) {
        const weight = randomF32(k * n, 4).map((x) => x * size);
        const panels = encodeTwin(encoding, weight, k, n);
        const bench = new Bench(binary, m, n, k, new Map([[encoding, panels]]));
        const out = floats(bench.run(encoding, { m, n, k }));
        const { values } = twin(bench, panels, { m, n, k });
        // Near the smallest float products of scales lose bits.
        out.forEach((value, i) => {
          if (binary === 'simd128') expect(value).toBe(values[i]);
          else expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(size * 1e-4 + 1e-43);
        });
        expect(out.every((value) => Number.isFinite(value) && value !== 0)).toBe(true);
      }
    });
  });
});

/**
 * OP_GEMM against its specification, a triple loop in f64: C[m, n] (+)= op(A)[m, k] · op(B)[k, n] (+ bias[n]).
 *
 * Tolerance, for each element: |err| ≤ (min(k, KC) + k / 8 + 8) · 2⁻²³ · (|from| + Σ_k |A[i, k]| · |B[k, j]|), the bound
 * that assembly/gemm/gemm.ts states: two roundings for each term of a block of KC, then one for each block.
 */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, KernelMachine, randomF32 } from '../support/kernels.ts';

const KC = 256;
const EPS = 2 ** -23;
const GUARD = -12345.5;

interface Case {
  m: number;
  n: number;
  k: number;
  transposeA?: boolean;
  transposeB?: boolean;
  bias?: boolean;
  accumulate?: boolean;
  /** Elements by which each row is longer than it must be. */
  pad?: number;
  /** Bytes by which each matrix lies past a multiple of 64. */
  offset?: number;
  threads?: number;
  seed?: number;
}

function title(c: Case): string {
  const flags = `${c.transposeA ? 'T' : 'N'}${c.transposeB ? 'T' : 'N'}${c.bias ? ' bias' : ''}${c.accumulate ? ' accumulate' : ''}`;
  return `${c.m}×${c.n}×${c.k} ${flags}${c.pad ? ` rows longer by ${c.pad}` : ''}${c.offset ? ` offset ${c.offset}` : ''}`;
}

/** The stored matrices of a case: shape of the memory, leading dimension, contents. */
function operands(c: Case) {
  const pad = c.pad ?? 0;
  const [aRows, aCols] = c.transposeA ? [c.k, c.m] : [c.m, c.k];
  const [bRows, bCols] = c.transposeB ? [c.n, c.k] : [c.k, c.n];
  const seed = c.seed ?? 1;
  return {
    a: randomF32(aRows * (aCols + pad), seed),
    lda: aCols + pad,
    b: randomF32(bRows * (bCols + pad), seed + 1),
    ldb: bCols + pad,
    bias: randomF32(c.n, seed + 2),
    c: randomF32(c.m * (c.n + pad), seed + 3),
    ldc: c.n + pad,
  };
}
type Operands = ReturnType<typeof operands>;

/** The specification: values and the sum of magnitudes that the error bound is made of. */
function gemmReference(c: Case, o: Operands) {
  const value = new Float64Array(c.m * c.n);
  const magnitude = new Float64Array(c.m * c.n);
  for (let i = 0; i < c.m; i++) {
    for (let j = 0; j < c.n; j++) {
      let sum = (c.accumulate ? o.c[i * o.ldc + j]! : 0) + (c.bias ? o.bias[j]! : 0);
      let size = (c.accumulate ? Math.abs(o.c[i * o.ldc + j]!) : 0) + (c.bias ? Math.abs(o.bias[j]!) : 0);
      for (let p = 0; p < c.k; p++) {
        const product =
          o.a[c.transposeA ? p * o.lda + i : i * o.lda + p]! * o.b[c.transposeB ? j * o.ldb + p : p * o.ldb + j]!;
        sum += product;
        size += Math.abs(product);
      }
      value[i * c.n + j] = sum;
      magnitude[i * c.n + j] = size;
    }
  }
  return { value, magnitude };
}

/** Runs a case and returns C [m, n]; throws when anything around or between its rows was written. */
function gemm(binary: Binary, c: Case, o: Operands = operands(c)): Float32Array {
  const total = o.a.length + o.b.length + o.c.length + o.bias.length;
  const machine = new KernelMachine(binary, {
    bytes: total * 4 + 7 * op.GEMM_SCRATCH_BYTES + (1 << 20),
    scratchBytes: op.GEMM_SCRATCH_BYTES,
  });
  const place = (values: Float32Array) => {
    const at = machine.alloc(values.length * 4, c.offset ?? 0);
    new Uint8Array(machine.memory.buffer, at, values.length * 4).set(new Uint8Array(values.buffer));
    return at;
  };
  const read = (at: number, count: number) =>
    new Float32Array(new Uint8Array(machine.memory.buffer, at, count * 4).slice().buffer);

  const MARGIN = 16;
  const guarded = new Float32Array(o.c.length + 2 * MARGIN).fill(GUARD);
  for (let i = 0; i < c.m; i++) guarded.set(o.c.subarray(i * o.ldc, i * o.ldc + c.n), MARGIN + i * o.ldc);
  const cPtr = place(guarded);
  machine.run(
    op.OP_GEMM,
    {
      [op.GEMM_C]: cPtr + MARGIN * 4,
      [op.GEMM_LDC]: o.ldc,
      [op.GEMM_A]: place(o.a),
      [op.GEMM_LDA]: o.lda,
      [op.GEMM_B]: place(o.b),
      [op.GEMM_LDB]: o.ldb,
      [op.GEMM_BIAS]: c.bias ? place(o.bias) : 0,
      [op.GEMM_M]: c.m,
      [op.GEMM_N]: c.n,
      [op.GEMM_K]: c.k,
      [op.GEMM_FLAGS]:
        (c.transposeA ? op.FLAG_TRANSPOSE_A : 0) |
        (c.transposeB ? op.FLAG_TRANSPOSE_B : 0) |
        (c.accumulate ? op.FLAG_ACCUMULATE : 0),
    },
    c.threads ?? 1,
  );
  const after = read(cPtr, guarded.length);
  const out = new Float32Array(c.m * c.n);
  for (let at = 0; at < after.length; at++) {
    const i = Math.floor((at - MARGIN) / o.ldc);
    const j = at - MARGIN - i * o.ldc;
    if (i >= 0 && i < c.m && j < c.n) out[i * c.n + j] = after[at]!;
    else if (after[at] !== GUARD) throw new Error(`${title(c)}: wrote outside C, row ${i}, column ${j}`);
  }
  return out;
}

/** The largest error in units of the bound; ≤ 1 passes. */
function worst(c: Case, actual: Float32Array, o: Operands = operands(c)): number {
  const { value, magnitude } = gemmReference(c, o);
  const factor = (Math.min(c.k, KC) + c.k / 8 + 8) * EPS;
  let largest = 0;
  for (let i = 0; i < value.length; i++) {
    const error = Math.abs(actual[i]! - value[i]!);
    const ratio = error === 0 ? 0 : error / (factor * magnitude[i]!);
    if (!(ratio <= largest)) largest = ratio;
  }
  return largest;
}

const bits = (values: Float32Array) => new Uint32Array(values.buffer, values.byteOffset, values.length);

const LAYOUTS = [
  { transposeA: false, transposeB: false },
  { transposeA: false, transposeB: true },
  { transposeA: true, transposeB: false },
  { transposeA: true, transposeB: true },
];
const ADDENDS = [{}, { bias: true }, { accumulate: true }, { bias: true, accumulate: true }];

describe.each(binaries)('gemm %s', (binary) => {
  const check = (c: Case) => expect(worst(c, gemm(binary, c)), title(c)).toBeLessThanOrEqual(1);

  it('matches the triple loop around the sizes of the tile, in all layouts', () => {
    const edges = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13];
    for (const m of edges)
      for (const n of [0, 1, 2, 4, 7, 8, 9, 13])
        for (const k of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) for (const layout of LAYOUTS) check({ m, n, k, ...layout });
  });

  it('adds a bias, accumulates, does both, and with k = 0', () => {
    for (const [m, n] of [
      [1, 1],
      [1, 37],
      [5, 3],
      [11, 19],
      [24, 48],
    ] as const)
      for (const k of [0, 1, 6, 257, 515])
        for (const addend of ADDENDS) for (const layout of LAYOUTS) check({ m, n, k, ...addend, ...layout, pad: 3 });
  });

  it('walks through all blocks, with tails of each', () => {
    for (const layout of LAYOUTS) {
      check({ m: 197, n: 131, k: 521, ...layout, bias: true });
      check({ m: 17, n: 1033, k: 259, ...layout, accumulate: true });
      check({ m: 389, n: 67, k: 256, ...layout });
      check({ m: 64, n: 96, k: 768, ...layout });
    }
  });

  it('has paths for one row and for few, with long and short sides', () => {
    for (const layout of LAYOUTS)
      for (let m = 1; m <= 9; m++)
        for (const [n, k] of [
          [1, 300],
          [7, 64],
          [96, 96],
          [65, 521],
          [200, 31],
        ] as const)
          check({ m, n, k, ...layout, bias: m % 2 === 0 });
    for (const layout of LAYOUTS) {
      check({ m: 1, n: 4099, k: 17, ...layout, bias: true });
      check({ m: 1, n: 50, k: 3072, ...layout, accumulate: true });
      check({ m: 300, n: 1, k: 70, ...layout });
    }
  });

  it('takes matrices that are not aligned, and rows longer than the matrix', () => {
    for (const layout of LAYOUTS)
      for (const m of [1, 3, 13])
        for (const offset of [1, 4, 12]) check({ m, n: 29, k: 35, ...layout, pad: 5, offset, bias: true });
  });

  it('gives the same bits for any number of threads', () => {
    for (const layout of LAYOUTS)
      for (const [m, n, k] of [
        [1, 333, 300],
        [2, 50, 40],
        [6, 133, 300],
        [61, 47, 300],
        [40, 200, 64],
        [3, 5, 7],
      ] as const)
        for (const addend of ADDENDS) {
          const c: Case = { m, n, k, ...layout, ...addend };
          const expected = bits(gemm(binary, c));
          for (const threads of [2, 3, 7]) expect(bits(gemm(binary, { ...c, threads })), title(c)).toEqual(expected);
        }
  });

  it('gives a row the same bits alone and in a batch', () => {
    const sameBits = (c: Case, parts: number[]) => {
      const o = operands(c);
      const batch = bits(gemm(binary, c, o));
      for (const m of parts)
        for (const i of [0, c.m - m]) {
          const rows = { ...o, a: o.a.slice(i * o.lda, (i + m) * o.lda) };
          const expected = batch.subarray(i * c.n, (i + m) * c.n);
          expect(bits(gemm(binary, { ...c, m }, rows)), `rows ${i} to ${i + m} of ${title(c)}`).toEqual(expected);
        }
    };
    sameBits({ m: 23, n: 45, k: 700, bias: true }, [1, 2, 3, 4, 5, 8, 9, 17]);
    sameBits({ m: 23, n: 32, k: 700, bias: true, pad: 992 }, [1, 2, 7]);
    sameBits({ m: 23, n: 45, k: 700, transposeB: true, bias: true }, [9, 12, 17]);
    // B stored [n, k]: up to eight rows are summed in an order of their own.
    sameBits({ m: 8, n: 45, k: 700, transposeB: true, bias: true }, [1, 2, 3, 4, 5, 6, 7]);
  });

  it('A · I = A and I · B = B exactly', () => {
    for (const size of [1, 5, 8, 23, 300]) {
      const identity = new Float32Array(size * size);
      for (let i = 0; i < size; i++) identity[i * size + i] = 1;
      for (const layout of LAYOUTS) {
        const left: Case = { m: 9, n: size, k: size, transposeB: layout.transposeB };
        const a = { ...operands(left), b: identity, ldb: size };
        expect(gemm(binary, left, a)).toEqual(a.a);
        const right: Case = { m: size, n: 9, k: size, transposeA: layout.transposeA };
        const b = { ...operands(right), a: identity, lda: size };
        expect(gemm(binary, right, b)).toEqual(b.b);
      }
    }
  });

  it('lets NaN and infinity through, also against zeros, and only where they belong', () => {
    for (const layout of LAYOUTS)
      for (const m of [1, 2, 5, 14]) {
        const c: Case = { m, n: 21, k: 19, ...layout };
        const o = operands(c);
        o.a.fill(0);
        o.b[layout.transposeB ? 3 * o.ldb + 2 : 2 * o.ldb + 3] = Number.NaN;
        o.b[layout.transposeB ? 20 * o.ldb + 18 : 18 * o.ldb + 20] = Number.POSITIVE_INFINITY;
        const out = gemm(binary, c, o);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < c.n; j++)
            expect(out[i * c.n + j], `${title(c)} at ${i}, ${j}`).toBe(j === 3 || j === 20 ? Number.NaN : 0);
      }
  });

  it('reads dynamic sizes', () => {
    const machine = new KernelMachine(binary, { bytes: 16 << 20, scratchBytes: op.GEMM_SCRATCH_BYTES });
    machine.setSize(3, 2);
    const c = machine.f32([9, 9, 9]);
    const fields = {
      [op.GEMM_C]: c,
      [op.GEMM_LDC]: 1,
      [op.GEMM_A]: machine.f32([1, 2, 3, 4, 5, 6]),
      [op.GEMM_LDA]: 2,
      [op.GEMM_B]: machine.f32([10, 100]),
      [op.GEMM_LDB]: 1,
      [op.GEMM_M]: ~3,
      [op.GEMM_N]: 1,
      [op.GEMM_K]: 2,
    };
    machine.run(op.OP_GEMM, fields);
    expect([...machine.readF32(c, 3)]).toEqual([210, 430, 9]);
  });
});

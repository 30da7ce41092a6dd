/** OP_ATTENTION and OP_ATTENTION_BACKWARD against a reference in f64, over odd sizes, threads, masks and dropout. */
import { describe, expect, it } from 'vitest';
import { binaries, randomF32 } from '../support/kernels.ts';
import {
  type AttentionCase,
  attentionTwin,
  describeCase,
  dropoutFactor,
  errorWhereWritten,
  firstDifference,
  rowOf,
  runAttention,
} from './attention-twin.ts';

const one = (heads: number, headSize: number, rows: number, more: Partial<AttentionCase> = {}): AttentionCase => ({
  heads,
  headSize,
  segments: [[0, rows]],
  rows,
  causal: true,
  ...more,
});

const several = {
  segments: [
    [1, 5],
    [7, 1],
    [8, 37],
    [45, 0],
    [46, 18],
  ] as const,
  rows: 66,
};

const cases: AttentionCase[] = [
  // Head sizes around the column group of 8, then usual and large ones.
  ...[1, 2, 5, 7, 8, 9, 12, 13, 16, 17, 24, 64, 80, 128, 256].map((headSize) => one(2, headSize, 21)),
  // Rows around the register tile (4), the key panel (8) and the blocks of the backward pass (32, 64).
  ...[1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 95, 127, 128, 129, 131, 200].map((rows) => one(1, 13, rows)),
  one(3, 64, 131),
  ...[1, 3, 4, 8, 33, 65, 131].map((rows) => one(2, 12, rows, { causal: false })),
  one(3, 8, 0, several),
  one(3, 20, 0, { ...several, causal: false }),
  one(2, 5, 0, { segments: [], rows: 3 }),
  one(3, 17, 0, { ...several, dropout: 0.2 }),
  one(2, 16, 70, { dropout: 0.5, causal: false }),
  one(1, 64, 129, { dropout: 0.1 }),
  // Queries, keys and values apart, and query heads that share keys and values.
  one(2, 12, 37, { isApart: true }),
  ...[1, 2, 3, 6].map((keyValueHeads) => one(6, 12, 41, { keyValueHeads })),
  ...[0, 1, 3, 4, 5, 32, 65, 131].map((rows) => one(4, 13, rows, { keyValueHeads: 2 })),
  one(8, 8, 33, { keyValueHeads: 2, causal: false }),
  one(5, 64, 129, { keyValueHeads: 1, isApart: true }),
  one(6, 17, 0, { ...several, keyValueHeads: 3, dropout: 0.2, isApart: true }),
  // Windows around the tile, the panel and the blocks, in sequences around their ends.
  ...[1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 97, 199, 200, 300].map((window) => one(1, 13, 200, { window })),
  ...[0, 1, 2, 3, 4, 5, 7, 8, 9, 33, 63, 64, 65, 129, 131].map((rows) => one(2, 5, rows, { window: 7 })),
  ...[12, 64, 80].map((headSize) => one(2, headSize, 131, { window: 45 })),
  one(3, 8, 0, { ...several, window: 6, dropout: 0.2 }),
  one(8, 16, 150, { keyValueHeads: 2, window: 50, isApart: true }),
  one(6, 24, 0, { ...several, keyValueHeads: 2, window: 11, dropout: 0.3, isApart: true }),
];

function inputs(c: AttentionCase): { qkv: Float32Array; dout: Float32Array } {
  const { heads, headSize, keyValueHeads = heads } = c;
  const stride = rowOf(c);
  // Queries and keys times 2: softmax that is neither flat nor one-hot.
  const firstValue = stride - keyValueHeads * headSize;
  const qkv = randomF32(c.rows * stride, 11).map((x, i) => (i % stride < firstValue ? 2 * x : x));
  return { qkv, dout: randomF32(c.rows * heads * headSize, 12) };
}

/** f32 sums of up to 256 products, scores up to about 20: observed errors stay below 1e-6 forward, 3e-6 backward. */
const FORWARD_TOLERANCE = 2e-6;
const BACKWARD_TOLERANCE = 6e-6;

describe.each(binaries)('%s', (binary) => {
  it.each(cases.map((c) => [describeCase(c), c] as const))('%s: equals the twin', (_, c) => {
    const { qkv, dout } = inputs(c);
    const expected = attentionTwin(c, qkv, dout);
    const actual = runAttention(binary, c, qkv, dout);
    expect(errorWhereWritten(actual.out, expected.out)).toBeLessThan(FORWARD_TOLERANCE);
    expect(errorWhereWritten(actual.lse, expected.lse)).toBeLessThan(FORWARD_TOLERANCE);
    expect(errorWhereWritten(actual.dqkv, expected.dqkv)).toBeLessThan(BACKWARD_TOLERANCE);
    expect(actual.machine.guardsHold()).toBe(true);
  });

  it.each(cases.map((c) => [describeCase(c), c] as const))('%s: same bits for any number of threads', (_, c) => {
    const { qkv, dout } = inputs(c);
    const expected = runAttention(binary, c, qkv, dout);
    for (const threads of [2, 3, 7]) {
      const actual = runAttention(binary, c, qkv, dout, threads);
      expect(firstDifference(actual.out, expected.out)).toBe(-1);
      expect(firstDifference(actual.lse, expected.lse)).toBe(-1);
      expect(firstDifference(actual.dqkv, expected.dqkv)).toBe(-1);
      expect(actual.machine.guardsHold()).toBe(true);
    }
  });

  it('gives a row the same bits wherever its segment lies and however many rows follow', () => {
    const width = 2 * 17;
    const qkv = randomF32(90 * 3 * width, 21);
    const whole = runAttention(binary, one(2, 17, 90), qkv);
    for (const rows of [1, 2, 3, 6, 41, 87]) {
      const part = runAttention(binary, one(2, 17, rows), qkv.subarray(0, rows * 3 * width));
      expect(firstDifference(part.out, whole.out.slice(0, rows * width))).toBe(-1);
      const moved = new Float32Array((rows + 3) * 3 * width);
      moved.set(qkv.subarray(0, rows * 3 * width), 3 * 3 * width);
      const shifted = runAttention(binary, { ...one(2, 17, rows + 3), segments: [[3, rows]] }, moved);
      expect(firstDifference(shifted.out.slice(3 * width), part.out)).toBe(-1);
    }
  });

  it('lets nothing of a later token reach an earlier row, not even a NaN', () => {
    const c = one(2, 13, 70);
    const width = 26;
    const { qkv } = inputs(c);
    const before = runAttention(binary, c, qkv);
    for (const changed of [1, 2, 3, 6, 8, 33, 69]) {
      for (const value of [100, Number.NaN, Number.POSITIVE_INFINITY]) {
        const other = qkv.slice().fill(value, changed * 3 * width);
        const after = runAttention(binary, c, other);
        expect(firstDifference(after.out.slice(0, changed * width), before.out.slice(0, changed * width))).toBe(-1);
        expect(firstDifference(after.lse.slice(0, changed * 2), before.lse.slice(0, changed * 2))).toBe(-1);
        if (value === 100) expect(after.out.slice(changed * width)).not.toEqual(before.out.slice(changed * width));
      }
    }
  });

  it('gives the bits of no window with one that holds every row, and of separate heads with keys and values repeated', () => {
    const c = one(4, 13, 131, { dropout: 0.2 });
    const { qkv, dout } = inputs(c);
    const expected = runAttention(binary, c, qkv, dout);
    const wide = runAttention(binary, { ...c, window: 131 }, qkv, dout);
    for (const part of ['out', 'lse', 'dqkv'] as const) expect(firstDifference(wide[part], expected[part])).toBe(-1);
    const grouped = { ...c, keyValueHeads: 2, window: 40 };
    const { qkv: few } = inputs(grouped);
    const repeated = new Float32Array(qkv.length); // heads 0 0 1 1 of keys, then of values
    for (let row = 0; row < 131; row++) {
      const [from, to] = [row * 8 * 13, row * 12 * 13];
      repeated.set(few.subarray(from, from + 4 * 13), to);
      for (let head = 0; head < 8; head++) {
        const source = from + (4 + (head >> 1)) * 13;
        repeated.set(few.subarray(source, source + 13), to + (4 + head) * 13);
      }
    }
    const shared = runAttention(binary, grouped, few);
    const alone = runAttention(binary, { ...c, window: 40 }, repeated);
    expect(firstDifference(shared.out, alone.out)).toBe(-1);
    expect(firstDifference(shared.lse, alone.lse)).toBe(-1);
  });

  it('lets nothing of a row before its window reach a row', () => {
    const c = one(2, 12, 150, { window: 33 });
    const { qkv, dout } = inputs(c);
    const before = runAttention(binary, c, qkv, dout);
    for (const changed of [0, 5, 7, 8, 63, 100]) {
      // Values of the panel in which a window begins are multiplied by 0; what is before it is not even read.
      for (const [value, distance] of [[100, 33] as const, [Number.NaN, 33 + 3 + 7] as const]) {
        const other = qkv.slice().fill(value, changed * 72, (changed + 1) * 72);
        const after = runAttention(binary, c, other, dout);
        const first = changed + distance;
        expect(firstDifference(after.out.slice(first * 24), before.out.slice(first * 24))).toBe(-1);
        expect(firstDifference(after.lse.slice(first * 2), before.lse.slice(first * 2))).toBe(-1);
        expect(after.out.slice(changed * 24, (changed + 33) * 24)).not.toEqual(
          before.out.slice(changed * 24, (changed + 33) * 24),
        );
      }
    }
  });

  it('lets every row see every row without CAUSAL', () => {
    const c = one(1, 8, 11, { causal: false });
    const { qkv } = inputs(c);
    const before = runAttention(binary, c, qkv);
    const changed = qkv.slice();
    changed[10 * 24 + 16]! += 1; // one value of the last row
    const after = runAttention(binary, c, changed);
    for (let i = 0; i < 11; i++) expect(after.out[i * 8]).not.toBe(before.out[i * 8]);
  });

  it.each([1e4, 1e19])('stays finite and exact with scores of ±%d', (size) => {
    // Query i points to the keys j ≡ i mod 5 with score +size; others get 0 or −size.
    const HS = 5;
    const c = one(1, HS, 40, { causal: false });
    const qkv = new Float32Array(40 * 3 * HS);
    for (let i = 0; i < 40; i++) {
      qkv[i * 3 * HS + (i % HS)] = size * Math.sqrt(HS);
      qkv[i * 3 * HS + HS + (i % HS)] = 1;
      qkv[i * 3 * HS + HS + ((i + 1) % HS)] = -1;
      for (let d = 0; d < HS; d++) qkv[i * 3 * HS + 2 * HS + d] = i + d;
    }
    const dout = randomF32(40 * HS, 5);
    const expected = attentionTwin(c, qkv, dout);
    const actual = runAttention(binary, c, qkv, dout);
    expect(errorWhereWritten(actual.out, expected.out)).toBeLessThan(1e-6);
    expect(errorWhereWritten(actual.lse, expected.lse)).toBeLessThan(1e-6);
    expect(actual.dqkv.every(Number.isFinite)).toBe(true);
    // lse is rounded to f32: P is known to lse · 2⁻²⁴, which leaves 6e-4 at 1e4. Beyond, only finiteness is promised.
    if (size === 1e4) {
      const dv = (a: ArrayLike<number>) => Array.from(a).filter((_, i) => i % (3 * HS) >= 2 * HS);
      const error = errorWhereWritten(new Float32Array(dv(actual.dqkv)), new Float64Array(dv(expected.dqkv)));
      expect(error).toBeLessThan(1e-3);
    }
  });

  it('draws the dropout mask that the twin computes, and keeps the expected value', () => {
    const dropout = 0.3;
    const T = 64;
    const c = one(2, T, T, { causal: false, dropout });
    const qkv = new Float32Array(T * 6 * T);
    // Scores 0 and V = I: out[i, j] = factor[i, j] / T.
    for (let h = 0; h < 2; h++) for (let j = 0; j < T; j++) qkv[j * 6 * T + 4 * T + h * T + j] = 1;
    const { out } = runAttention(binary, c, qkv);
    let kept = 0;
    for (let i = 0; i < T; i++) {
      for (let h = 0; h < 2; h++) {
        for (let j = 0; j < T; j++) {
          const factor = T * out[i * 2 * T + h * T + j]!;
          expect(factor).toBeCloseTo(dropoutFactor(c, i, h, j), 5);
          if (factor > 0) kept++;
        }
      }
    }
    const count = 2 * T * T;
    const deviation = Math.sqrt(count * dropout * (1 - dropout));
    expect(Math.abs(kept - count * (1 - dropout))).toBeLessThan(4 * deviation);
    const mean = out.reduce((a, b) => a + b, 0) / (2 * T); // of each row's Σ_j factor / T
    expect(Math.abs(mean - 1)).toBeLessThan((4 * deviation) / count / (1 - dropout));
  });
});

describe('the twin', () => {
  it.each([
    one(2, 3, 6),
    one(1, 4, 5, { causal: false }),
    one(2, 3, 9, {
      segments: [
        [1, 4],
        [6, 3],
      ],
      dropout: 0.4,
    }),
    one(4, 3, 7, { keyValueHeads: 2, window: 3 }),
    one(3, 2, 5, { keyValueHeads: 1, causal: false, dropout: 0.3 }),
  ])('has gradients that equal finite differences: %o', (c) => {
    const { qkv: single, dout } = inputs(c);
    const qkv = Float64Array.from(single);
    const { dqkv } = attentionTwin(c, qkv, dout);
    const loss = (x: Float64Array) =>
      attentionTwin(c, x).out.reduce((sum, o, i) => (Number.isNaN(o) ? sum : sum + o * dout[i]!), 0);
    const step = 1e-5;
    for (let i = 0; i < qkv.length; i++) {
      if (Number.isNaN(dqkv[i]!)) continue;
      const up = qkv.slice();
      const down = qkv.slice();
      up[i]! += step;
      down[i]! -= step;
      expect(Math.abs((loss(up) - loss(down)) / (2 * step) - dqkv[i]!)).toBeLessThan(1e-8);
    }
  });
});

/** OP_CACHE_APPEND and OP_ATTENTION_CACHED: the layouts, and the same bits however a sequence is cut into calls. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type CacheDtype, cacheBytes } from '../../src/graph/ops/cached-attention.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { AttentionMachine, firstDifference, placeParts, rowOf, runAttention, scaleOf } from './attention-twin.ts';

interface Shape {
  readonly heads: number;
  readonly headSize: number;
  readonly capacity: number;
  readonly slots: number;
  readonly dtype: CacheDtype;
  /** Default `heads`. */
  readonly keyValueHeads?: number;
  /** Default: none. */
  readonly window?: number;
  readonly isApart?: boolean;
}

/** The bf16 nearest to x, ties to even, as its bits (the twin of the kernel, by the definition: of the two neighbours the nearer). */
function bf16Bits(x: number): number {
  const bits = new Uint32Array(new Float32Array([x]).buffer)[0]!;
  if (Number.isNaN(x)) return (bits >>> 16) | 0x40;
  const below = bits >>> 16;
  const rest = bits & 0xffff;
  const up = rest > 0x8000 || (rest === 0x8000 && below % 2 === 1);
  return up ? below + 1 : below;
}
const widen = (bits: number): number => new Float32Array(new Uint32Array([(bits << 16) >>> 0]).buffer)[0]!;

/** What attention sees of keys and values that went through a cache; queries stay as they are. */
function asCached(qkv: Float32Array, shape: Shape): Float32Array {
  const [stride, queries] = [rowOf(shape), shape.heads * shape.headSize];
  return shape.dtype === 'f32' ? qkv : qkv.map((x, i) => (i % stride < queries ? x : widen(bf16Bits(x))));
}

/** A piece of a sequence: which slot, from which position on, and the rows' qkv. */
interface Piece {
  slot: number;
  position: number;
  qkv: Float32Array;
}

class CacheMachine {
  readonly machine: AttentionMachine;
  readonly cache: number;
  readonly shape: Shape;
  /** Floats of a row of queries, keys and values, and of the output. */
  readonly stride: number;
  readonly width: number;
  readonly keyValueHeads: number;

  constructor(binary: Binary, shape: Shape, threads: number) {
    const { heads, headSize, keyValueHeads = heads, capacity } = shape;
    this.shape = shape;
    this.stride = rowOf(shape);
    this.width = heads * headSize;
    this.keyValueHeads = keyValueHeads;
    this.machine = new AttentionMachine(binary, capacity, headSize, threads, heads / keyValueHeads);
    this.cache = this.machine.output(this.floats, Number.NaN); // junk: no unused position may leak
    if (shape.dtype === 'bf16') this.bits.fill(0x7fc1);
  }

  /** Of the cache, as floats. */
  get floats(): number {
    const { slots, capacity, dtype, headSize } = this.shape;
    return (slots * capacity * cacheBytes(dtype, this.keyValueHeads, headSize)) / 4;
  }

  /** The cache as halves of floats. */
  get bits(): Uint16Array {
    return new Uint16Array(this.machine.memory.buffer, this.cache, 2 * this.floats);
  }

  get encoding(): number {
    return this.shape.dtype === 'f32' ? op.ENCODING_F32 : op.ENCODING_BF16;
  }

  /** Appends pieces and attends in one call each; out of each piece. */
  run(pieces: readonly Piece[], threads = 1): Float32Array[] {
    const { machine, width, stride, shape } = this;
    const rowsOf = (p: Piece) => p.qkv.length / stride;
    const rows = pieces.reduce((n, p) => n + rowsOf(p), 0);
    const all = new Float32Array(rows * stride);
    let row = 0;
    const table = pieces.flatMap((p) => {
      all.set(p.qkv, row * stride);
      const words = [row, rowsOf(p), p.position, p.slot];
      row += rowsOf(p);
      return words;
    });
    const inputs = placeParts(machine, shape, rows, all);
    const out = machine.output(rows * width);
    const fields = {
      [op.ATTENTION_CACHE]: this.cache,
      [op.ATTENTION_CAPACITY]: shape.capacity,
      [op.ATTENTION_ENCODING]: this.encoding,
      [op.ATTENTION_SEGMENTS]: machine.i32(table),
      [op.ATTENTION_SEGMENT_COUNT]: pieces.length,
      [op.ATTENTION_KEY_VALUE_HEADS]: this.keyValueHeads,
      [op.ATTENTION_HEAD_SIZE]: shape.headSize,
    };
    machine.run(
      op.OP_CACHE_APPEND,
      {
        ...fields,
        [op.ATTENTION_K]: inputs.at[1]!,
        [op.ATTENTION_LDK]: inputs.ld[1]!,
        [op.ATTENTION_V]: inputs.at[2]!,
        [op.ATTENTION_LDV]: inputs.ld[2]!,
      },
      threads,
    );
    machine.run(
      op.OP_ATTENTION_CACHED,
      {
        ...fields,
        [op.ATTENTION_OUT]: out,
        [op.ATTENTION_Q]: inputs.at[0]!,
        [op.ATTENTION_LDQ]: inputs.ld[0]!,
        [op.ATTENTION_HEADS]: shape.heads,
        [op.ATTENTION_SCALE]: f32Bits(scaleOf({ ...shape, segments: [], rows: 0, causal: true })),
        [op.ATTENTION_WINDOW]: shape.window ?? 0,
      },
      threads,
    );
    const result = machine.readF32(out, rows * width);
    let end = 0;
    return pieces.map((p) => {
      const start = end;
      end += rowsOf(p) * width;
      return result.slice(start, end);
    });
  }
}

/** Rows [from, to) of one sequence's qkv, of `stride` floats each, as a piece of `slot`. */
function piece(qkv: Float32Array, stride: number, from: number, to: number, slot = 0): Piece {
  return { slot, position: from, qkv: qkv.slice(from * stride, to * stride) };
}

const concat = (parts: Float32Array[]): Float32Array => new Float32Array(parts.flatMap((p) => Array.from(p)));

const HEAD_SIZES = [1, 5, 8, 12, 13, 17, 32, 36, 64, 80, 128];

describe.each(binaries)('%s', (binary) => {
  describe.each(['f32', 'bf16'] as const)('cache of %s', (dtype) => {
    /** Heads, key-value heads and windows: runs of four that are whole, begun, or one head; groups of 1 to 8. */
    const VARIANTS: readonly Pick<Shape, 'heads' | 'keyValueHeads' | 'window' | 'isApart'>[] = [
      { heads: 1 },
      { heads: 2 },
      { heads: 5 },
      { heads: 3, isApart: true },
      { heads: 6, keyValueHeads: 2 },
      { heads: 8, keyValueHeads: 1 },
      { heads: 10, keyValueHeads: 5, isApart: true },
      { heads: 2, window: 1 },
      { heads: 5, window: 7 },
      { heads: 1, window: 8 },
      { heads: 4, window: 20, isApart: true },
      { heads: 12, keyValueHeads: 3, window: 13 },
      { heads: 10, keyValueHeads: 2, window: 30, isApart: true },
      { heads: 2, window: 64 },
    ];

    it.each(HEAD_SIZES)('head size %i: pieces, one shot and OP_ATTENTION give the same bits', (headSize) => {
      for (const variant of VARIANTS) {
        const shape = { ...variant, headSize, capacity: 64, slots: 1, dtype };
        const stride = rowOf(shape);
        const length = 64; // to the last position of the cache
        const qkv = randomF32(length * stride, 31).map((x) => 2 * x);
        const whole = { ...variant, headSize, segments: [[0, length]] as const, rows: length, causal: true };
        const expected = runAttention(binary, whole, asCached(qkv, shape)).out;

        const oneShot = new CacheMachine(binary, shape, 1);
        expect(firstDifference(oneShot.run([piece(qkv, stride, 0, length)])[0]!, expected)).toBe(-1);

        const cut = new CacheMachine(binary, shape, 1);
        const cuts = [0, 5, 6, 7, 8, 9, 10, 13, 30, 31, 48, 64]; // prefill 5, then one by one, then 3 at once, then more
        const parts = cuts.slice(1).map((to, i) => cut.run([piece(qkv, stride, cuts[i]!, to)])[0]!);
        expect(firstDifference(concat(parts), expected), JSON.stringify(variant)).toBe(-1);
        expect(oneShot.machine.guardsHold() && cut.machine.guardsHold()).toBe(true);
      }
    });

    it.each([1, 2, 3, 4, 5, 7, 8, 9])('calls of %i rows each give the bits of the whole', (rows) => {
      for (const variant of VARIANTS.filter(({ heads }) => heads > 4)) {
        const shape = { ...variant, headSize: 20, capacity: 48, slots: 1, dtype };
        const stride = rowOf(shape);
        const qkv = randomF32(48 * stride, 61).map((x) => 2 * x);
        const whole = { ...variant, headSize: 20, segments: [[0, 48]] as const, rows: 48, causal: true };
        const expected = runAttention(binary, whole, asCached(qkv, shape)).out;
        const cached = new CacheMachine(binary, shape, 3);
        const parts: Float32Array[] = [];
        for (let from = 0; from < 48; from += rows)
          parts.push(cached.run([piece(qkv, stride, from, Math.min(48, from + rows))], 3)[0]!);
        expect(firstDifference(concat(parts), expected), JSON.stringify(variant)).toBe(-1);
        expect(cached.machine.guardsHold()).toBe(true);
      }
    });

    it('reads nothing before the panel in which a window begins', () => {
      const shape = { heads: 6, keyValueHeads: 2, headSize: 12, capacity: 64, slots: 1, dtype, window: 10 };
      const stride = rowOf(shape);
      const qkv = randomF32(64 * stride, 71);
      const [clean, spoilt] = [qkv, qkv.slice().fill(Number.NaN, 0, 40 * stride)].map((values) => {
        const cached = new CacheMachine(binary, shape, 2);
        cached.run([piece(values, stride, 0, 49)]);
        return [...[49, 50, 51].map((at) => cached.run([piece(values, stride, at, at + 1)], 2)[0]!)].concat(
          cached.run([piece(values, stride, 52, 64)], 2),
        );
      }) as [Float32Array[], Float32Array[]];
      expect(firstDifference(concat(spoilt), concat(clean))).toBe(-1);
      expect(concat(clean).every(Number.isFinite)).toBe(true);
    });

    const SEVERAL: readonly Pick<Shape, 'heads' | 'keyValueHeads' | 'window'>[] = [
      { heads: 7 }, // more heads than rows of a block
      { heads: 10, keyValueHeads: 5 },
      { heads: 8, keyValueHeads: 4, window: 9 },
      { heads: 7, window: 12 },
    ];
    const RUNS = HEAD_SIZES.flatMap((headSize) => SEVERAL.map((heads) => [headSize, heads] as const));

    it.each(RUNS)('head size %i: several sequences in one call, any number of threads: %o', (headSize, heads) => {
      const shape = { ...heads, headSize, capacity: 40, slots: 4, dtype };
      const stride = rowOf(shape);
      const sequences = [0, 1, 2].map((i) => randomF32(40 * stride, 41 + i));
      const alone = sequences.map((qkv, i) => {
        const machine = new CacheMachine(binary, shape, 1);
        return machine.run([piece(qkv, stride, 0, 20 + i, 0)])[0]!;
      });
      for (const threads of [1, 2, 3, 7]) {
        const together = new CacheMachine(binary, shape, threads);
        const slots = [2, 0, 3];
        const bounds = [
          [0, 9, 10, 20],
          [0, 0, 1, 21],
          [0, 17, 21, 22],
        ];
        const parts: Float32Array[][] = [[], [], []];
        for (let step = 0; step < 3; step++) {
          const outs = together.run(
            sequences.map((qkv, i) => piece(qkv, stride, bounds[i]![step]!, bounds[i]![step + 1]!, slots[i]!)),
            threads,
          );
          outs.forEach((o, i) => {
            parts[i]!.push(o);
          });
        }
        parts.forEach((p, i) => {
          expect(firstDifference(concat(p), alone[i]!)).toBe(-1);
        });
        expect(together.machine.guardsHold()).toBe(true);
      }
    });
  });

  it('f32: writes exactly the positions of the rows, in the documented layout', () => {
    const heads = 6; // a run of four and one of two
    const shape = {
      heads: 2 * heads,
      keyValueHeads: heads,
      headSize: 5,
      capacity: 16,
      slots: 2,
      dtype: 'f32' as const,
    };
    const width = heads * 5;
    const qkv = randomF32(4 * 4 * width, 51);
    const cached = new CacheMachine(binary, shape, 3);
    const before = cached.machine.readF32(cached.cache, cached.floats);
    cached.run([{ slot: 1, position: 6, qkv }], 3);
    const expected = before.slice();
    const slot = 2 * 16 * width;
    for (let i = 0; i < 4; i++) {
      const at = 6 + i;
      for (let h = 0; h < heads; h++) {
        const inRun = h < 4 ? 4 : 2;
        const run = slot + (h < 4 ? 0 : 2 * 16 * 4 * 5);
        const block = run + ((at >> 3) * inRun + (h & 3)) * 8 * 5;
        for (let d = 0; d < 5; d++) {
          const source = i * 4 * width + h * 5 + d;
          expected[block + d * 8 + (at & 7)] = qkv[source + 2 * width]!;
          expected[block + 16 * inRun * 5 + (at & 7) * 5 + d] = qkv[source + 3 * width]!;
        }
      }
    }
    expect(cached.machine.readF32(cached.cache, cached.floats)).toEqual(expected);
    expect(cached.machine.guardsHold()).toBe(true);
  });

  it.each([5, 36, 64, 80])(
    'bf16, head size %i: writes exactly the positions of the rows, in the documented layout',
    (headSize) => {
      const heads = 6; // a run of four and one of two, whose keys are four too
      const shape = { heads: 12, keyValueHeads: heads, headSize, capacity: 16, slots: 2, dtype: 'bf16' as const };
      const width = heads * headSize;
      const qkv = randomF32(4 * 4 * width, 51);
      // Ties, numbers that round to infinity, infinities, NaN, subnormal numbers: among the keys and the values of the second row.
      const special = [0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0xff800000, 0x7fffffff, 0x00000001, 0x80008000];
      const words = new Uint32Array(qkv.buffer);
      for (const of of [2, 3]) words.set(special, 4 * width + of * width);
      const cached = new CacheMachine(binary, shape, 3);
      const expected = cached.bits.slice();
      cached.run([{ slot: 1, position: 6, qkv }], 3);
      const keyWidth = 4 * headSize;
      const slot = 16 * (2 * keyWidth + width);
      const inParts = headSize % 8 ? 0 : headSize - (headSize % 32); // columns in parts of 32
      for (let i = 0; i < 4; i++) {
        const [block, lane] = [(6 + i) >> 3, (6 + i) & 7];
        for (let h = 0; h < heads; h++) {
          const inRun = h < 4 ? 4 : 2;
          const run = slot + (h < 4 ? 0 : 16 * (keyWidth + 4 * headSize));
          for (let d = 0; d < headSize; d++) {
            const source = i * 4 * width + h * headSize + d;
            const key = (d * 4 + (h & 3)) * 8 + lane;
            expected[run + block * 8 * keyWidth + key] = bf16Bits(qkv[source + 2 * width]!);
            const inHead =
              d < inParts
                ? Math.floor(d / 32) * 8 * 32 + lane * 32 + (d % 32)
                : inParts * 8 + lane * (headSize - inParts) + d - inParts;
            const value = (block * inRun + (h & 3)) * 8 * headSize + inHead;
            expected[run + 16 * keyWidth + value] = bf16Bits(qkv[source + 3 * width]!);
          }
        }
      }
      expect(cached.bits).toEqual(expected);
      expect(cached.machine.guardsHold()).toBe(true);
    },
  );
});

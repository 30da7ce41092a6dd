/** OP_CACHE_APPEND and OP_ATTENTION_CACHED: the layouts, and the same bits however a sequence is cut into calls. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type CacheDtype, cacheBytes } from '../../src/graph/ops/cached-attention.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { AttentionMachine, firstDifference, runAttention, scaleOf } from './attention-twin.ts';

interface Shape {
  readonly heads: number;
  readonly headSize: number;
  readonly capacity: number;
  readonly slots: number;
  readonly dtype: CacheDtype;
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
function asCached(qkv: Float32Array, width: number, dtype: CacheDtype): Float32Array {
  return dtype === 'f32' ? qkv : qkv.map((x, i) => (i % (3 * width) < width ? x : widen(bf16Bits(x))));
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
  readonly width: number;

  constructor(binary: Binary, shape: Shape, threads: number) {
    this.shape = shape;
    this.width = shape.heads * shape.headSize;
    this.machine = new AttentionMachine(binary, shape.capacity, shape.headSize, threads);
    this.cache = this.machine.output(this.floats, Number.NaN); // junk: no unused position may leak
    if (shape.dtype === 'bf16') this.bits.fill(0x7fc1);
  }

  /** Of the cache, as floats. */
  get floats(): number {
    const { slots, capacity, dtype, heads, headSize } = this.shape;
    return (slots * capacity * cacheBytes(dtype, heads, headSize)) / 4;
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
    const { machine, width } = this;
    const rowsOf = (p: Piece) => p.qkv.length / (3 * width);
    const rows = pieces.reduce((n, p) => n + rowsOf(p), 0);
    const all = new Float32Array(rows * 3 * width);
    let row = 0;
    const table = pieces.flatMap((p) => {
      all.set(p.qkv, row * 3 * width);
      const words = [row, rowsOf(p), p.position, p.slot];
      row += rowsOf(p);
      return words;
    });
    const qkv = machine.f32(all);
    const segments = machine.i32(table);
    const out = machine.output(rows * width);
    machine.run(
      op.OP_CACHE_APPEND,
      {
        [op.CACHE_APPEND_CACHE]: this.cache,
        [op.CACHE_APPEND_QKV]: qkv,
        [op.CACHE_APPEND_SEGMENTS]: segments,
        [op.CACHE_APPEND_SEGMENT_COUNT]: pieces.length,
        [op.CACHE_APPEND_HEADS]: this.shape.heads,
        [op.CACHE_APPEND_HEAD_SIZE]: this.shape.headSize,
        [op.CACHE_APPEND_CAPACITY]: this.shape.capacity,
        [op.CACHE_APPEND_ENCODING]: this.encoding,
      },
      threads,
    );
    machine.run(
      op.OP_ATTENTION_CACHED,
      {
        [op.ATTENTION_CACHED_OUT]: out,
        [op.ATTENTION_CACHED_QKV]: qkv,
        [op.ATTENTION_CACHED_CACHE]: this.cache,
        [op.ATTENTION_CACHED_SEGMENTS]: segments,
        [op.ATTENTION_CACHED_SEGMENT_COUNT]: pieces.length,
        [op.ATTENTION_CACHED_HEADS]: this.shape.heads,
        [op.ATTENTION_CACHED_HEAD_SIZE]: this.shape.headSize,
        [op.ATTENTION_CACHED_SCALE]: f32Bits(scaleOf({ ...this.shape, segments: [], rows: 0, causal: true })),
        [op.ATTENTION_CACHED_CAPACITY]: this.shape.capacity,
        [op.ATTENTION_CACHED_ENCODING]: this.encoding,
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

/** Rows [from, to) of one sequence's qkv, as a piece of `slot`. */
function piece(qkv: Float32Array, width: number, from: number, to: number, slot = 0): Piece {
  return { slot, position: from, qkv: qkv.slice(from * 3 * width, to * 3 * width) };
}

const concat = (parts: Float32Array[]): Float32Array => new Float32Array(parts.flatMap((p) => Array.from(p)));

const HEAD_SIZES = [1, 5, 8, 12, 13, 17, 32, 36, 64, 80, 128];

describe.each(binaries)('%s', (binary) => {
  describe.each(['f32', 'bf16'] as const)('cache of %s', (dtype) => {
    it.each(HEAD_SIZES)('head size %i: pieces, one shot and OP_ATTENTION give the same bits', (headSize) => {
      for (const heads of [1, 2, 5]) {
        const shape = { heads, headSize, capacity: 64, slots: 1, dtype };
        const width = heads * headSize;
        const length = 64; // to the last position of the cache
        const qkv = randomF32(length * 3 * width, 31).map((x) => 2 * x);
        const expected = runAttention(
          binary,
          { heads, headSize, segments: [[0, length]], rows: length, causal: true },
          asCached(qkv, width, dtype),
        ).out;

        const oneShot = new CacheMachine(binary, shape, 1);
        expect(firstDifference(oneShot.run([piece(qkv, width, 0, length)])[0]!, expected)).toBe(-1);

        const cut = new CacheMachine(binary, shape, 1);
        const cuts = [0, 5, 6, 7, 8, 9, 10, 13, 30, 31, 48, 64]; // prefill 5, then one by one, then 3 at once, then more
        const parts = cuts.slice(1).map((to, i) => cut.run([piece(qkv, width, cuts[i]!, to)])[0]!);
        expect(firstDifference(concat(parts), expected)).toBe(-1);
        expect(oneShot.machine.guardsHold() && cut.machine.guardsHold()).toBe(true);
      }
    });

    it.each(HEAD_SIZES)('head size %i: several sequences in one call, any number of threads', (headSize) => {
      const shape = { heads: 7, headSize, capacity: 40, slots: 4, dtype }; // more heads than rows of a block
      const width = 7 * headSize;
      const sequences = [0, 1, 2].map((i) => randomF32(40 * 3 * width, 41 + i));
      const alone = sequences.map((qkv, i) => {
        const machine = new CacheMachine(binary, shape, 1);
        return machine.run([piece(qkv, width, 0, 20 + i, 0)])[0]!;
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
            sequences.map((qkv, i) => piece(qkv, width, bounds[i]![step]!, bounds[i]![step + 1]!, slots[i]!)),
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
    const shape = { heads, headSize: 5, capacity: 16, slots: 2, dtype: 'f32' as const };
    const width = heads * 5;
    const qkv = randomF32(4 * 3 * width, 51);
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
          const source = i * 3 * width + h * 5 + d;
          expected[block + d * 8 + (at & 7)] = qkv[source + width]!;
          expected[block + 16 * inRun * 5 + (at & 7) * 5 + d] = qkv[source + 2 * width]!;
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
      const shape = { heads, headSize, capacity: 16, slots: 2, dtype: 'bf16' as const };
      const width = heads * headSize;
      const qkv = randomF32(4 * 3 * width, 51);
      // Ties, numbers that round to infinity, infinities, NaN, subnormal numbers: among the keys and the values of the second row.
      const special = [0x3f808000, 0x3f818000, 0x3f808001, 0x7f7fffff, 0xff800000, 0x7fffffff, 0x00000001, 0x80008000];
      const words = new Uint32Array(qkv.buffer);
      for (const of of [1, 2]) words.set(special, 3 * width + of * width);
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
            const source = i * 3 * width + h * headSize + d;
            const key = (d * 4 + (h & 3)) * 8 + lane;
            expected[run + block * 8 * keyWidth + key] = bf16Bits(qkv[source + width]!);
            const inHead =
              d < inParts
                ? Math.floor(d / 32) * 8 * 32 + lane * 32 + (d % 32)
                : inParts * 8 + lane * (headSize - inParts) + d - inParts;
            const value = (block * inRun + (h & 3)) * 8 * headSize + inHead;
            expected[run + 16 * keyWidth + value] = bf16Bits(qkv[source + 2 * width]!);
          }
        }
      }
      expect(cached.bits).toEqual(expected);
      expect(cached.machine.guardsHold()).toBe(true);
    },
  );
});

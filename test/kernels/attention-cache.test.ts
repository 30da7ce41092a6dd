/** OP_CACHE_APPEND and OP_ATTENTION_CACHED: the layout, and the same bits however a sequence is cut into calls. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/graph/opcodes.ts';
import { type Binary, binaries, f32Bits, randomF32 } from '../support/kernels.ts';
import { AttentionMachine, firstDifference, runAttention, scaleOf } from './attention-twin.ts';

interface Shape {
  readonly heads: number;
  readonly headSize: number;
  readonly capacity: number;
  readonly slots: number;
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
    this.machine = new AttentionMachine(binary, shape.capacity, shape.headSize, threads, shape.heads);
    this.cache = this.machine.output(this.floats, Number.NaN); // junk: no unused position may leak
  }

  get floats(): number {
    return this.shape.slots * 2 * this.shape.capacity * this.width;
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

describe.each(binaries)('%s', (binary) => {
  const headSizes = [1, 5, 8, 12, 13, 17, 64, 80, 128];

  it.each(headSizes)('head size %i: pieces, one shot and OP_ATTENTION give the same bits', (headSize) => {
    const shape = { heads: 2, headSize, capacity: 64, slots: 1 };
    const width = 2 * headSize;
    const length = 64; // to the last position of the cache
    const qkv = randomF32(length * 3 * width, 31).map((x) => 2 * x);
    const expected = runAttention(
      binary,
      { heads: 2, headSize, segments: [[0, length]], rows: length, causal: true },
      qkv,
    ).out;

    const oneShot = new CacheMachine(binary, shape, 1);
    expect(firstDifference(oneShot.run([piece(qkv, width, 0, length)])[0]!, expected)).toBe(-1);

    const cut = new CacheMachine(binary, shape, 1);
    const cuts = [0, 5, 6, 7, 8, 9, 10, 13, 30, 31, 48, 64]; // prefill 5, then one by one, then 3 at once, then more
    const parts = cuts.slice(1).map((to, i) => cut.run([piece(qkv, width, cuts[i]!, to)])[0]!);
    expect(firstDifference(concat(parts), expected)).toBe(-1);
    expect(oneShot.machine.guardsHold() && cut.machine.guardsHold()).toBe(true);
  });

  it.each(headSizes)('head size %i: several sequences in one call, any number of threads', (headSize) => {
    const shape = { heads: 7, headSize, capacity: 40, slots: 4 }; // more heads than rows of a block
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

  it('writes exactly the positions of the rows, in the documented layout', () => {
    const shape = { heads: 2, headSize: 5, capacity: 16, slots: 2 };
    const width = 10;
    const qkv = randomF32(4 * 3 * width, 51);
    const cached = new CacheMachine(binary, shape, 3);
    const before = cached.machine.readF32(cached.cache, cached.floats);
    cached.run([{ slot: 1, position: 6, qkv }], 3);
    const expected = before.slice();
    const slot = 2 * 16 * width;
    for (let i = 0; i < 4; i++) {
      const at = 6 + i;
      for (let h = 0; h < 2; h++) {
        for (let d = 0; d < 5; d++) {
          const source = i * 3 * width + h * 5 + d;
          const block = slot + ((at >> 3) * 2 + h) * 8 * 5;
          expected[block + d * 8 + (at & 7)] = qkv[source + width]!;
          expected[block + 16 * width + (at & 7) * 5 + d] = qkv[source + 2 * width]!;
        }
      }
    }
    expect(cached.machine.readF32(cached.cache, cached.floats)).toEqual(expected);
    expect(cached.machine.guardsHold()).toBe(true);
  });
});

/** Looking rows up, and adding their gradients in order. */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { binaries, randomF32 } from '../support/kernels.ts';
import { GuardedMachine, onAnyThreads, shapes } from './guarded.ts';
import { CODES, decodeTwin, ENCODINGS, encodeTwin } from './weights-twin.ts';

const TOKENS = 11;

/** Indices with repetitions, the first and the last row among them. */
const indices = (rows: number, table: number, seed: number) =>
  Int32Array.from(randomF32(rows, seed), (x, i) =>
    i === 0 ? table - 1 : i === 1 ? 0 : Math.floor(((x + 1) / 2) * table),
  );

/** table[indices[i]] += rows[i], in order, each sum rounded to f32: the kernel's very bits. */
function addRows(table: Float32Array, at: Int32Array, rows: Float32Array, cols: number): Float32Array {
  const out = table.slice();
  for (let r = 0; r < at.length; r++) for (let c = 0; c < cols; c++) out[at[r]! * cols + c]! += rows[r * cols + c]!;
  return out;
}

describe.each(binaries)('embedding, %s', (binary) => {
  it.each(shapes)('%i×%i: sum of both tables, or one alone', (rows, cols) => {
    const positionCount = rows + 1;
    const [tokenTable, positionTable] = [randomF32(TOKENS * cols, 1), randomF32(positionCount * cols, 2)];
    const [tokens, positions] = [indices(rows, TOKENS, 3), indices(rows, positionCount, 4)];
    for (const both of [true, false]) {
      const [out] = onAnyThreads((threads) => {
        const machine = new GuardedMachine(binary);
        const at = machine.output(rows * cols);
        const fields = {
          [op.EMBEDDING_OUT]: at,
          [op.EMBEDDING_TOKENS]: machine.integers(tokens),
          [op.EMBEDDING_POSITIONS]: machine.integers(positions),
          [op.EMBEDDING_TOKEN_TABLE]: machine.input(tokenTable),
          [op.EMBEDDING_POSITION_TABLE]: both ? machine.input(positionTable) : 0,
          [op.EMBEDDING_ROWS]: rows,
          [op.EMBEDDING_COLS]: cols,
        };
        machine.run(op.OP_EMBEDDING, fields, threads);
        return [machine.f32(at, rows * cols)];
      });
      const expected = new Float32Array(rows * cols).map((_, i) => {
        const [r, c] = [Math.floor(i / cols), i % cols];
        return tokenTable[tokens[r]! * cols + c]! + (both ? positionTable[positions[r]! * cols + c]! : 0);
      });
      expect(out).toEqual(expected);
    }
  });

  describe.each(ENCODINGS)('token table in %s', (encoding) => {
    // More rows than a panel has columns, blocks that are not full, fewer values than a vector.
    it.each([
      [0, 5],
      [1, 1],
      [2, 3],
      [5, 31],
      [7, 32],
      [9, 33],
      [40, 100],
      [131, 64],
    ])('%i×%i: the decoded rows, bit for bit', (rows, cols) => {
      for (const count of [1, 16, 17, 50]) {
        const scaled = randomF32(cols * count, 1).map((x, i) => (i % 7 === 0 ? 0 : x * 2 ** ((i % 11) - 5)));
        const panels = encodeTwin(encoding, scaled, cols, count);
        const table = decodeTwin(encoding, panels, cols, count); // [cols][count]
        const [tokens, positions] = [indices(rows, count, 3), indices(rows, rows + 1, 4)];
        const positionTable = randomF32((rows + 1) * cols, 2);
        for (const both of [true, false]) {
          const [out] = onAnyThreads((threads) => {
            const machine = new GuardedMachine(binary);
            const at = machine.output(rows * cols);
            const fields = {
              [op.EMBEDDING_OUT]: at,
              [op.EMBEDDING_TOKENS]: machine.integers(tokens),
              [op.EMBEDDING_POSITIONS]: machine.integers(positions),
              [op.EMBEDDING_TOKEN_TABLE]: machine.integers(new Int32Array(panels.buffer)),
              [op.EMBEDDING_POSITION_TABLE]: both ? machine.input(positionTable) : 0,
              [op.EMBEDDING_ROWS]: rows,
              [op.EMBEDDING_COLS]: cols,
              [op.EMBEDDING_ENCODING]: CODES[encoding],
            };
            machine.run(op.OP_EMBEDDING, fields, threads);
            return [machine.f32(at, rows * cols)];
          });
          const expected = new Float32Array(rows * cols).map((_, i) => {
            const [r, c] = [Math.floor(i / cols), i % cols];
            const token = table[c * count + tokens[r]!]!;
            return both ? token + positionTable[positions[r]! * cols + c]! : token;
          });
          expect(out).toEqual(expected);
        }
      }
    });
  });

  it.each(shapes)('backward %i×%i: adds to both tables, repeated tokens in order', (rows, cols) => {
    const positionCount = rows + 1;
    const [dtokens, dpositions] = [randomF32(TOKENS * cols, 1), randomF32(positionCount * cols, 2)];
    const [tokens, positions] = [indices(rows, TOKENS, 3), indices(rows, positionCount, 4)];
    const dout = randomF32(rows * cols, 5);
    for (const both of [true, false]) {
      const [tokenResult, positionResult] = onAnyThreads((threads) => {
        const machine = new GuardedMachine(binary);
        const [tokensAt, positionsAt] = [machine.inout(dtokens), machine.inout(dpositions)];
        const fields = {
          [op.EMBEDDING_BACKWARD_DTOKEN_TABLE]: tokensAt,
          [op.EMBEDDING_BACKWARD_DPOSITION_TABLE]: both ? positionsAt : 0,
          [op.EMBEDDING_BACKWARD_DOUT]: machine.input(dout),
          [op.EMBEDDING_BACKWARD_TOKENS]: machine.integers(tokens),
          [op.EMBEDDING_BACKWARD_POSITIONS]: machine.integers(positions),
          [op.EMBEDDING_BACKWARD_ROWS]: rows,
          [op.EMBEDDING_BACKWARD_COLS]: cols,
        };
        machine.run(op.OP_EMBEDDING_BACKWARD, fields, threads);
        return [machine.f32(tokensAt, dtokens.length), machine.f32(positionsAt, dpositions.length)];
      });
      expect(tokenResult).toEqual(addRows(dtokens, tokens, dout, cols));
      expect(positionResult).toEqual(both ? addRows(dpositions, positions, dout, cols) : dpositions);
    }
  });

  it.each(shapes)('gatherRows %i×%i', (rows, cols) => {
    const inp = randomF32(TOKENS * cols, 1);
    const at = indices(rows, TOKENS, 2);
    const [out] = onAnyThreads((threads) => {
      const machine = new GuardedMachine(binary);
      const outAt = machine.output(rows * cols);
      const fields = {
        [op.GATHER_ROWS_OUT]: outAt,
        [op.GATHER_ROWS_INP]: machine.input(inp),
        [op.GATHER_ROWS_INDICES]: machine.integers(at),
        [op.GATHER_ROWS_ROWS]: rows,
        [op.GATHER_ROWS_COLS]: cols,
      };
      machine.run(op.OP_GATHER_ROWS, fields, threads);
      return [machine.f32(outAt, rows * cols)];
    });
    expect(out).toEqual(
      new Float32Array(rows * cols).map((_, i) => inp[at[Math.floor(i / cols)]! * cols + (i % cols)]!),
    );
  });

  it.each(shapes)('scatterRows %i×%i: adds, repeated rows in order', (rows, cols) => {
    const [before, inp] = [randomF32(TOKENS * cols, 1), randomF32(rows * cols, 2)];
    const at = indices(rows, TOKENS, 3);
    const [out] = onAnyThreads((threads) => {
      const machine = new GuardedMachine(binary);
      const outAt = machine.inout(before);
      const fields = {
        [op.SCATTER_ROWS_OUT]: outAt,
        [op.SCATTER_ROWS_INP]: machine.input(inp),
        [op.SCATTER_ROWS_INDICES]: machine.integers(at),
        [op.SCATTER_ROWS_ROWS]: rows,
        [op.SCATTER_ROWS_COLS]: cols,
      };
      machine.run(op.OP_SCATTER_ROWS, fields, threads);
      return [machine.f32(outAt, before.length)];
    });
    expect(out).toEqual(addRows(before, at, inp, cols));
  });
});

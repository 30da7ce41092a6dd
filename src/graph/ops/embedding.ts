/** Rows looked up in tables, and rows picked from a tensor. */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { encodingCode } from '../encoding.ts';
import type { Graph } from '../graph.ts';
import { type Extent, type Region, shapeOf, type Tensor } from '../tensor.ts';

/**
 * tokenTable[tokens[row]] + positionTable[positions[row]] → [rows, C].
 * The tables are both frozen or neither.
 * @param tokens i32[rows], each below the table's rows: the host checks ids, kernels do not
 */
export function embedding(
  graph: Graph,
  label: string,
  rows: Extent,
  tokens: Region,
  positions: Region,
  tokenTable: Tensor,
  positionTable: Tensor,
): Tensor {
  if (tokenTable.cols !== positionTable.cols)
    throw new ShapeError(
      label,
      'position table',
      [positionTable.rows as number, tokenTable.cols],
      shapeOf(positionTable),
    );
  const requiresGrad = tokenTable.requiresGrad || positionTable.requiresGrad;
  const out = graph.activation(label, rows, tokenTable.cols, requiresGrad);
  graph.record({
    opcode: op.OP_EMBEDDING,
    label,
    output: out,
    fields: [
      [op.EMBEDDING_OUT, out],
      [op.EMBEDDING_TOKENS, tokens],
      [op.EMBEDDING_POSITIONS, positions],
      [op.EMBEDDING_TOKEN_TABLE, tokenTable],
      [op.EMBEDDING_POSITION_TABLE, positionTable],
      [op.EMBEDDING_ROWS, rows],
      [op.EMBEDDING_COLS, tokenTable.cols],
      [op.EMBEDDING_ENCODING, encodingCode(tokenTable.encoding ?? 'f32')],
    ],
  });
  return out;
}

/** inp[indices[i]] for i < rows → [rows, cols]. */
export function gatherRows(graph: Graph, label: string, inp: Tensor, indices: Region, rows: Extent): Tensor {
  const out = graph.activation(label, rows, inp.cols, inp.requiresGrad);
  graph.record({
    opcode: op.OP_GATHER_ROWS,
    label,
    output: out,
    fields: [
      [op.GATHER_ROWS_OUT, out],
      [op.GATHER_ROWS_INP, inp],
      [op.GATHER_ROWS_INDICES, indices],
      [op.GATHER_ROWS_ROWS, rows],
      [op.GATHER_ROWS_COLS, inp.cols],
    ],
  });
  return out;
}

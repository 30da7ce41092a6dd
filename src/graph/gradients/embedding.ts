/** Gradients of ops/embedding.ts: rows are added where they were read. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import { recordFill } from '../ops/fill.ts';
import { maxOf } from '../tensor.ts';
import type { GradientRule } from './rule.ts';

export const embedding: GradientRule = (graph, operation, { rows, cols }, dout) => {
  const operands = operandsOf(operation);
  const dtokens = graph.gradientOf(operands.tensor(op.EMBEDDING_TOKEN_TABLE));
  const dpositions = graph.gradientOf(operands.tensor(op.EMBEDDING_POSITION_TABLE));
  if (!dtokens || !dpositions) return;
  graph.record({
    opcode: op.OP_EMBEDDING_BACKWARD,
    label: `d ${operation.label}`,
    fields: [
      [op.EMBEDDING_BACKWARD_DTOKEN_TABLE, dtokens.tensor],
      [op.EMBEDDING_BACKWARD_DPOSITION_TABLE, dpositions.tensor],
      [op.EMBEDDING_BACKWARD_DOUT, dout],
      [op.EMBEDDING_BACKWARD_TOKENS, operands.region(op.EMBEDDING_TOKENS)],
      [op.EMBEDDING_BACKWARD_POSITIONS, operands.region(op.EMBEDDING_POSITIONS)],
      [op.EMBEDDING_BACKWARD_ROWS, rows],
      [op.EMBEDDING_BACKWARD_COLS, cols],
    ],
    bytes: 5 * maxOf(rows) * cols * 4,
  });
};

export const gatherRows: GradientRule = (graph, operation, { rows, cols }, dout) => {
  const operands = operandsOf(operation);
  const dinp = graph.gradientOf(operands.tensor(op.GATHER_ROWS_INP));
  if (!dinp) return;
  if (!dinp.accumulate) recordFill(graph, `d ${operation.label}`, dinp.tensor, 0);
  graph.record({
    opcode: op.OP_SCATTER_ROWS,
    label: `d ${operation.label}`,
    fields: [
      [op.SCATTER_ROWS_OUT, dinp.tensor],
      [op.SCATTER_ROWS_INP, dout],
      [op.SCATTER_ROWS_INDICES, operands.region(op.GATHER_ROWS_INDICES)],
      [op.SCATTER_ROWS_ROWS, rows],
      [op.SCATTER_ROWS_COLS, cols],
    ],
    bytes: 3 * maxOf(rows) * cols * 4,
  });
};

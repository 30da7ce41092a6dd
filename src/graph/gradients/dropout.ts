/** Gradient of ops/dropout.ts: the same mask, drawn again from the same seed and stream. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import type { GradientRule } from './rule.ts';

export const dropout: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const dinp = graph.gradientOf(operands.tensor(op.DROPOUT_INP));
  if (!dinp) return;
  graph.record({
    opcode: op.OP_DROPOUT,
    label: `d ${operation.label}`,
    fields: [
      [op.DROPOUT_OUT, dinp.tensor],
      [op.DROPOUT_INP, dout],
      [op.DROPOUT_ROWS, dout.rows],
      [op.DROPOUT_COLS, dout.cols],
      [op.DROPOUT_FLAGS, dinp.accumulate ? op.FLAG_ACCUMULATE : 0],
      [op.DROPOUT_THRESHOLD, operands.number(op.DROPOUT_THRESHOLD)],
      [op.DROPOUT_SCALE, operands.number(op.DROPOUT_SCALE)],
      [op.DROPOUT_SEED, operands.region(op.DROPOUT_SEED)],
      [op.DROPOUT_STREAM, operands.number(op.DROPOUT_STREAM)],
    ],
  });
};

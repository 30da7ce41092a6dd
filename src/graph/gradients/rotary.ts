/** Gradient of ops/rotary.ts: the transpose of a turn is the turn by the negative angle. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import { ldOf } from '../tensor.ts';
import type { GradientRule } from './rule.ts';

export const rotary: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const dinp = graph.gradientOf(operands.tensor(op.ROTARY_INP));
  if (!dinp) return;
  const accumulate = dinp.accumulate ? op.FLAG_ACCUMULATE : 0;
  graph.record({
    opcode: op.OP_ROTARY,
    label: `d ${operation.label}`,
    fields: [
      [op.ROTARY_OUT, dinp.tensor],
      [op.ROTARY_OUT_LD, ldOf(dinp.tensor)],
      [op.ROTARY_INP, dout],
      [op.ROTARY_INP_LD, ldOf(dout)],
      [op.ROTARY_POSITIONS, operands.region(op.ROTARY_POSITIONS)],
      [op.ROTARY_FREQUENCIES, operands.region(op.ROTARY_FREQUENCIES)],
      [op.ROTARY_ROWS, dout.rows],
      [op.ROTARY_HEADS, operands.number(op.ROTARY_HEADS)],
      [op.ROTARY_HEAD_SIZE, operands.number(op.ROTARY_HEAD_SIZE)],
      [op.ROTARY_DIM, operands.number(op.ROTARY_DIM)],
      [op.ROTARY_FACTOR, operands.number(op.ROTARY_FACTOR)],
      [op.ROTARY_FLAGS, operands.number(op.ROTARY_FLAGS) | op.FLAG_INVERSE | accumulate],
    ],
    scratchBytes: operation.scratchBytes,
  });
};

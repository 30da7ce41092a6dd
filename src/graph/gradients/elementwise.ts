/** Gradients of ops/elementwise.ts: sums, multiples, activation functions. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import type { GradientRule } from './rule.ts';

/** a and b both get dout. */
export const add: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  graph.shareGradient(operands.tensor(op.ADD_A), dout);
  graph.shareGradient(operands.tensor(op.ADD_B), dout);
};

/** dinp (+)= factor · dout. */
export const scale: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const dinp = graph.gradientOf(operands.tensor(op.SCALE_INP));
  if (!dinp) return;
  graph.record({
    opcode: op.OP_SCALE,
    label: `d ${operation.label}`,
    fields: [
      [op.SCALE_OUT, dinp.tensor],
      [op.SCALE_INP, dout],
      [op.SCALE_ROWS, dout.rows],
      [op.SCALE_COLS, dout.cols],
      [op.SCALE_FACTOR, operands.number(op.SCALE_FACTOR)],
      [op.SCALE_FLAGS, dinp.accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
};

export const gelu: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const inp = operands.tensor(op.GELU_INP);
  const dinp = graph.gradientOf(inp);
  if (!dinp) return;
  graph.record({
    opcode: op.OP_GELU_BACKWARD,
    label: `d ${operation.label}`,
    fields: [
      [op.GELU_BACKWARD_DINP, dinp.tensor],
      [op.GELU_BACKWARD_DOUT, dout],
      [op.GELU_BACKWARD_INP, inp],
      [op.GELU_BACKWARD_ROWS, inp.rows],
      [op.GELU_BACKWARD_COLS, inp.cols],
      [op.GELU_BACKWARD_FLAGS, operands.number(op.GELU_FLAGS) | (dinp.accumulate ? op.FLAG_ACCUMULATE : 0)],
    ],
  });
};

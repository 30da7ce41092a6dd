/** Gradients of ops/elementwise.ts: sums, products, multiples, activation functions. */
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

/** da (+)= dout · b, db (+)= dout · a. */
export const multiply: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const [a, b] = [operands.tensor(op.MULTIPLY_A), operands.tensor(op.MULTIPLY_B)];
  for (const [factor, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const target = graph.gradientOf(factor);
    if (!target) continue;
    graph.record({
      opcode: op.OP_MULTIPLY,
      label: `d ${operation.label}`,
      fields: [
        [op.MULTIPLY_OUT, target.tensor],
        [op.MULTIPLY_A, dout],
        [op.MULTIPLY_B, other],
        [op.MULTIPLY_ROWS, dout.rows],
        [op.MULTIPLY_COLS, dout.cols],
        [op.MULTIPLY_FLAGS, target.accumulate ? op.FLAG_ACCUMULATE : 0],
      ],
    });
  }
};

/** dinp (+)= dout · f′(inp). */
export const activation: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const inp = operands.tensor(op.ACTIVATION_INP);
  const dinp = graph.gradientOf(inp);
  if (!dinp) return;
  graph.record({
    opcode: op.OP_ACTIVATION_BACKWARD,
    label: `d ${operation.label}`,
    fields: [
      [op.ACTIVATION_BACKWARD_DINP, dinp.tensor],
      [op.ACTIVATION_BACKWARD_DOUT, dout],
      [op.ACTIVATION_BACKWARD_INP, inp],
      [op.ACTIVATION_BACKWARD_ROWS, inp.rows],
      [op.ACTIVATION_BACKWARD_COLS, inp.cols],
      [op.ACTIVATION_BACKWARD_FUNCTION, operands.number(op.ACTIVATION_FUNCTION)],
      [op.ACTIVATION_BACKWARD_FLAGS, dinp.accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
};

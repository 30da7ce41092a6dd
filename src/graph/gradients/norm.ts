/** Gradients of ops/norm.ts. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import type { GradientRule } from './rule.ts';

export const layerNorm: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const inp = operands.tensor(op.LAYER_NORM_INP);
  const weight = operands.tensor(op.LAYER_NORM_WEIGHT);
  const dweight = graph.gradientOf(weight);
  const dbias = graph.gradientOf(operands.tensor(op.LAYER_NORM_BIAS));
  const dinp = graph.gradientOf(inp);
  if (!dinp && !dweight) return;
  graph.record({
    opcode: op.OP_LAYER_NORM_BACKWARD,
    label: `d ${operation.label}`,
    fields: [
      [op.LAYER_NORM_BACKWARD_DINP, dinp ? dinp.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DWEIGHT, dweight ? dweight.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DBIAS, dbias ? dbias.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DOUT, dout],
      [op.LAYER_NORM_BACKWARD_INP, inp],
      [op.LAYER_NORM_BACKWARD_WEIGHT, weight],
      [op.LAYER_NORM_BACKWARD_MEAN, operands.tensor(op.LAYER_NORM_MEAN)],
      [op.LAYER_NORM_BACKWARD_RSTD, operands.tensor(op.LAYER_NORM_RSTD)],
      [op.LAYER_NORM_BACKWARD_ROWS, inp.rows],
      [op.LAYER_NORM_BACKWARD_COLS, inp.cols],
      [op.LAYER_NORM_BACKWARD_FLAGS, dinp?.accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
};

export const rmsNorm: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const inp = operands.tensor(op.RMS_NORM_INP);
  const weight = operands.tensor(op.RMS_NORM_WEIGHT);
  const dweight = graph.gradientOf(weight);
  const dinp = graph.gradientOf(inp);
  if (!dinp && !dweight) return;
  graph.record({
    opcode: op.OP_RMS_NORM_BACKWARD,
    label: `d ${operation.label}`,
    fields: [
      [op.RMS_NORM_BACKWARD_DINP, dinp ? dinp.tensor : 0],
      [op.RMS_NORM_BACKWARD_DWEIGHT, dweight ? dweight.tensor : 0],
      [op.RMS_NORM_BACKWARD_DOUT, dout],
      [op.RMS_NORM_BACKWARD_INP, inp],
      [op.RMS_NORM_BACKWARD_WEIGHT, weight],
      [op.RMS_NORM_BACKWARD_RSTD, operands.tensor(op.RMS_NORM_RSTD)],
      [op.RMS_NORM_BACKWARD_ROWS, inp.rows],
      [op.RMS_NORM_BACKWARD_COLS, weight.cols],
      [op.RMS_NORM_BACKWARD_OFFSET, operands.number(op.RMS_NORM_OFFSET)],
      [op.RMS_NORM_BACKWARD_GROUPS, operands.number(op.RMS_NORM_GROUPS)],
      [op.RMS_NORM_BACKWARD_FLAGS, dinp?.accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
};

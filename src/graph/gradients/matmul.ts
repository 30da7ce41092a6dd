/** Gradients of ops/matmul.ts: dx = dout · Wᵀ, dW = xᵀ · dout (or doutᵀ · x for a table stored row by output), db = Σ rows of dout. */
import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import { recordGemm } from '../ops/matmul.ts';
import type { Extent, Tensor } from '../tensor.ts';
import type { GradientRule, GradientTarget, ReverseGraph } from './rule.ts';

/** Of out (+)= x · W + b. Products whose left operand is transposed are parts of the reverse pass and have no gradient. */
export const matmul: GradientRule = (graph, operation, _output, dout) => {
  const operands = operandsOf(operation);
  const read = operands.tensor(op.GEMM_A);
  const x = read.quantizedFrom ?? read;
  const weight = operands.tensor(op.GEMM_B);
  const bias = operands.optionalTensor(op.GEMM_BIAS);
  const transposed = (operands.number(op.GEMM_FLAGS) & op.FLAG_TRANSPOSE_B) !== 0;
  const dbias = bias && graph.gradientOf(bias);
  if (dbias) recordColumnSum(graph, `d ${bias.label}`, dbias, dout);
  recordWeightGradient(graph, x, dout, weight, transposed);
  const dx = graph.gradientOf(x);
  if (dx) recordInputGradient(graph, `d ${operation.label}`, dx, dout, weight, transposed);
};

/** Records the gradient of the weight in out = x · weight, if it has one: (+)= xᵀ · dout, or doutᵀ · x when `transposed`. */
export function recordWeightGradient(
  graph: ReverseGraph,
  x: Tensor,
  dout: Tensor,
  weight: Tensor,
  transposed: boolean,
): void {
  const dweight = graph.gradientOf(weight);
  if (!dweight) return;
  const [a, b] = transposed ? [dout, x] : [x, dout];
  const flags = op.FLAG_TRANSPOSE_A | (dweight.accumulate ? op.FLAG_ACCUMULATE : 0);
  recordGemm(graph, `d ${weight.label}`, { out: dweight.tensor, a, b, m: a.cols, n: b.cols, k: x.rows, flags });
}

/** Records the gradient of x in out = x · weight: dx (+)= dout · weightᵀ, or dout · table when `transposed`. */
export function recordInputGradient(
  graph: ReverseGraph,
  label: string,
  { tensor, accumulate }: GradientTarget,
  dout: Tensor,
  weight: Tensor,
  transposed: boolean,
  rows: Extent = dout.rows,
): void {
  const transpose = transposed && (weight.encoding ?? 'f32') === 'f32' ? 0 : op.FLAG_TRANSPOSE_B;
  const flags = transpose | (accumulate ? op.FLAG_ACCUMULATE : 0);
  recordGemm(graph, label, { out: tensor, a: dout, b: weight, m: rows, n: tensor.cols, k: dout.cols, flags });
}

function recordColumnSum(
  graph: ReverseGraph,
  label: string,
  { tensor, accumulate }: GradientTarget,
  inp: Tensor,
): void {
  graph.record({
    opcode: op.OP_COLUMN_SUM,
    label,
    fields: [
      [op.COLUMN_SUM_OUT, tensor],
      [op.COLUMN_SUM_INP, inp],
      [op.COLUMN_SUM_LD, inp.cols],
      [op.COLUMN_SUM_ROWS, inp.rows],
      [op.COLUMN_SUM_COLS, inp.cols],
      [op.COLUMN_SUM_FLAGS, accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
}

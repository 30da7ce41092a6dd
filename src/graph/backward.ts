/**
 * How gradients pass through the operations that inference records too. These name their rule in `graph.differentiable`; those
 * that only training and scoring record have theirs beside them.
 */
import * as op from '../abi/index.ts';
import { recordZero } from './ops/copy.ts';
import { type LinearOptions, recordGemm } from './ops/matmul.ts';
import { type Extent, maxOf, type Region, type Tensor } from './tensor.ts';
import type { GradientTarget, TrainingGraph } from './training-graph.ts';

/** Rules by name. Each records how `dout`, the gradient of `out`, reaches what the operation read. */
export const RULES = { add, gelu, layerNorm, embedding, gatherRows, linear };

type Rules = typeof RULES;
type InputsOf<Rule> = Rule extends (graph: TrainingGraph, out: Tensor, dout: Tensor, ...inputs: infer I) => void
  ? I
  : never;

/** How a gradient goes on: by a rule and what it reads, or by a function. */
export type Backward =
  | { [Name in keyof Rules]: [rule: Name, ...inputs: InputsOf<Rules[Name]>] }[keyof Rules]
  | [rule: (graph: TrainingGraph, dout: Tensor) => void];

function add(graph: TrainingGraph, _out: Tensor, dout: Tensor, a: Tensor, b: Tensor): void {
  graph.shareGradient(a, dout);
  graph.shareGradient(b, dout);
}

function gelu(graph: TrainingGraph, { label }: Tensor, dout: Tensor, x: Tensor, erf: number): void {
  const dx = graph.gradientOf(x);
  if (!dx) return;
  graph.record({
    opcode: op.OP_GELU_BACKWARD,
    label: `d ${label}`,
    fields: [
      [op.GELU_BACKWARD_DINP, dx.tensor],
      [op.GELU_BACKWARD_DOUT, dout],
      [op.GELU_BACKWARD_INP, x],
      [op.GELU_BACKWARD_ROWS, x.rows],
      [op.GELU_BACKWARD_COLS, x.cols],
      [op.GELU_BACKWARD_FLAGS, erf | (dx.accumulate ? op.FLAG_ACCUMULATE : 0)],
    ],
  });
}

function layerNorm(
  graph: TrainingGraph,
  { label }: Tensor,
  dout: Tensor,
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  mean: Tensor,
  rstd: Tensor,
): void {
  const dweight = graph.gradientOf(weight);
  const dbias = graph.gradientOf(bias);
  const dx = graph.gradientOf(x);
  if (!dx && !dweight) return;
  graph.record({
    opcode: op.OP_LAYER_NORM_BACKWARD,
    label: `d ${label}`,
    fields: [
      [op.LAYER_NORM_BACKWARD_DINP, dx ? dx.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DWEIGHT, dweight ? dweight.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DBIAS, dbias ? dbias.tensor : 0],
      [op.LAYER_NORM_BACKWARD_DOUT, dout],
      [op.LAYER_NORM_BACKWARD_INP, x],
      [op.LAYER_NORM_BACKWARD_WEIGHT, weight],
      [op.LAYER_NORM_BACKWARD_MEAN, mean],
      [op.LAYER_NORM_BACKWARD_RSTD, rstd],
      [op.LAYER_NORM_BACKWARD_ROWS, x.rows],
      [op.LAYER_NORM_BACKWARD_COLS, x.cols],
      [op.LAYER_NORM_BACKWARD_FLAGS, dx?.accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
}

function embedding(
  graph: TrainingGraph,
  { label }: Tensor,
  dout: Tensor,
  rows: Extent,
  tokens: Region,
  positions: Region,
  tokenTable: Tensor,
  positionTable: Tensor,
): void {
  const dtokens = graph.gradientOf(tokenTable);
  const dpositions = graph.gradientOf(positionTable);
  if (!dtokens || !dpositions) return;
  graph.record({
    opcode: op.OP_EMBEDDING_BACKWARD,
    label: `d ${label}`,
    fields: [
      [op.EMBEDDING_BACKWARD_DTOKEN_TABLE, dtokens.tensor],
      [op.EMBEDDING_BACKWARD_DPOSITION_TABLE, dpositions.tensor],
      [op.EMBEDDING_BACKWARD_DOUT, dout],
      [op.EMBEDDING_BACKWARD_TOKENS, tokens],
      [op.EMBEDDING_BACKWARD_POSITIONS, positions],
      [op.EMBEDDING_BACKWARD_ROWS, rows],
      [op.EMBEDDING_BACKWARD_COLS, tokenTable.cols],
    ],
    bytes: 5 * maxOf(rows) * tokenTable.cols * 4,
  });
}

function gatherRows(graph: TrainingGraph, { label, rows }: Tensor, dout: Tensor, inp: Tensor, indices: Region): void {
  const dinp = graph.gradientOf(inp);
  if (!dinp) return;
  if (!dinp.accumulate) recordZero(graph, `d ${label}`, dinp.tensor);
  graph.record({
    opcode: op.OP_SCATTER_ROWS,
    label: `d ${label}`,
    fields: [
      [op.SCATTER_ROWS_OUT, dinp.tensor],
      [op.SCATTER_ROWS_INP, dout],
      [op.SCATTER_ROWS_INDICES, indices],
      [op.SCATTER_ROWS_ROWS, rows],
      [op.SCATTER_ROWS_COLS, inp.cols],
    ],
    bytes: 3 * maxOf(rows) * inp.cols * 4,
  });
}

function linear(
  graph: TrainingGraph,
  { label }: Tensor,
  dout: Tensor,
  x: Tensor,
  weight: Tensor,
  options: LinearOptions,
): void {
  linearBackward(graph, label, dout, x, weight, options);
}

/** Gradients of `linear`: dx = dout · Wᵀ, dW = xᵀ · dout (or doutᵀ · x when transposed), db = Σ rows of dout. */
export function linearBackward(
  graph: TrainingGraph,
  label: string,
  dout: Tensor,
  x: Tensor,
  weight: Tensor,
  { bias, transposed = false }: LinearOptions,
): void {
  const dbias = bias && graph.gradientOf(bias);
  if (dbias) columnSum(graph, `d ${bias.label}`, dbias, dout);
  const dweight = graph.gradientOf(weight);
  if (dweight) {
    const [a, b] = transposed ? [dout, x] : [x, dout];
    const flags = op.FLAG_TRANSPOSE_A | (dweight.accumulate ? op.FLAG_ACCUMULATE : 0);
    recordGemm(graph, `d ${weight.label}`, { out: dweight.tensor, a, b, m: a.cols, n: b.cols, k: x.rows, flags });
  }
  const dx = graph.gradientOf(x);
  if (dx) recordInputGradient(graph, `d ${label}`, dx, dout, weight, transposed);
}

/** Records the gradient of x in out = x · weight: dx (+)= dout · weightᵀ, or dout · table. */
export function recordInputGradient(
  graph: TrainingGraph,
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

function columnSum(graph: TrainingGraph, label: string, { tensor, accumulate }: GradientTarget, inp: Tensor): void {
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

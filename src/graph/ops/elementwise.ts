/** Sums, multiples and activation functions: one output element from one element of each input. */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { f32Word, type Graph } from '../graph.ts';
import { maxOf, shapeOf, type Tensor } from '../tensor.ts';

/** a + b, of equal shape: the residual connection. */
export function add(graph: Graph, label: string, a: Tensor, b: Tensor): Tensor {
  if (maxOf(a.rows) !== maxOf(b.rows) || a.cols !== b.cols)
    throw new ShapeError(label, 'equal shapes', shapeOf(a), shapeOf(b));
  const out = graph.activation(label, a.rows, a.cols, a.requiresGrad || b.requiresGrad);
  graph.record({
    opcode: op.OP_ADD,
    label,
    output: out,
    fields: [
      [op.ADD_OUT, out],
      [op.ADD_A, a],
      [op.ADD_B, b],
      [op.ADD_ROWS, a.rows],
      [op.ADD_COLS, a.cols],
    ],
  });
  return out;
}

/** The activation function of the GPT papers: `gelu-tanh` (their approximation) or `gelu-erf` (the definition). */
export type ActivationName = 'gelu-tanh' | 'gelu-erf';

/** GELU (Hendrycks & Gimpel 2016). */
export function gelu(graph: Graph, label: string, x: Tensor, kind: ActivationName): Tensor {
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  const erf = kind === 'gelu-erf' ? op.FLAG_ERF : 0;
  graph.record({
    opcode: op.OP_GELU,
    label,
    output: out,
    fields: [
      [op.GELU_OUT, out],
      [op.GELU_INP, x],
      [op.GELU_ROWS, x.rows],
      [op.GELU_COLS, x.cols],
      [op.GELU_FLAGS, erf],
    ],
  });
  return out;
}

/** factor · x. */
export function scale(graph: Graph, label: string, x: Tensor, factor: number): Tensor {
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  graph.record({
    opcode: op.OP_SCALE,
    label,
    output: out,
    fields: [
      [op.SCALE_OUT, out],
      [op.SCALE_INP, x],
      [op.SCALE_ROWS, x.rows],
      [op.SCALE_COLS, x.cols],
      [op.SCALE_FACTOR, f32Word(factor)],
    ],
  });
  return out;
}

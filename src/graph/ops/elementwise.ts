/** Sums, products, multiples and activation functions: one output element from one element of each input. */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { f32Word, type Graph } from '../graph.ts';
import { maxOf, shapeOf, type Tensor } from '../tensor.ts';

/**
 * Records a + b, the residual connection.
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param a [rows, columns]
 * @param b the same shape
 * @returns the same shape
 * @throws ShapeError when the shapes differ
 * @example
 * x = add(graph, 'h.0.mlp.residual', x, mlp.record(graph, x, inputs));
 */
export function add(graph: Graph, label: string, a: Tensor, b: Tensor): Tensor {
  checkEqualShapes(label, a, b);
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

/**
 * Records a · b, element by element: a gate.
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param a [rows, columns]
 * @param b the same shape
 * @returns the same shape
 * @throws ShapeError when the shapes differ
 * @example
 * const hidden = multiply(graph, 'mlp.gate', activate(graph, 'mlp.act', gate.record(graph, x, inputs), 'silu'), up.record(graph, x, inputs));
 */
export function multiply(graph: Graph, label: string, a: Tensor, b: Tensor): Tensor {
  checkEqualShapes(label, a, b);
  const out = graph.activation(label, a.rows, a.cols, a.requiresGrad || b.requiresGrad);
  graph.record({
    opcode: op.OP_MULTIPLY,
    label,
    output: out,
    fields: [
      [op.MULTIPLY_OUT, out],
      [op.MULTIPLY_A, a],
      [op.MULTIPLY_B, b],
      [op.MULTIPLY_ROWS, a.rows],
      [op.MULTIPLY_COLS, a.cols],
    ],
  });
  return out;
}

function checkEqualShapes(label: string, a: Tensor, b: Tensor): void {
  if (maxOf(a.rows) !== maxOf(b.rows) || a.cols !== b.cols)
    throw new ShapeError(label, 'equal shapes', shapeOf(a), shapeOf(b));
}

/** The number of each activation function in a descriptor. */
const FUNCTIONS = {
  'gelu-tanh': op.FUNCTION_GELU_TANH,
  'gelu-erf': op.FUNCTION_GELU_ERF,
  relu: op.FUNCTION_RELU,
  silu: op.FUNCTION_SILU,
  tanh: op.FUNCTION_TANH,
  sigmoid: op.FUNCTION_SIGMOID,
} as const;

/**
 * `gelu-tanh` (the approximation of the GPT papers) and `gelu-erf` (the definition, Hendrycks & Gimpel 2016), `relu`, `silu`
 * (x · sigmoid(x), also called swish), `tanh`, `sigmoid`.
 */
export type ActivationName = keyof typeof FUNCTIONS;

/**
 * Records an activation function of every element.
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param x [rows, columns]
 * @param kind the name of the function
 * @returns the same shape
 * @example
 * const hidden = activate(graph, 'mlp.act', up.record(graph, x, inputs), 'gelu-tanh');
 */
export function activate(graph: Graph, label: string, x: Tensor, kind: ActivationName): Tensor {
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  graph.record({
    opcode: op.OP_ACTIVATION,
    label,
    output: out,
    fields: [
      [op.ACTIVATION_OUT, out],
      [op.ACTIVATION_INP, x],
      [op.ACTIVATION_ROWS, x.rows],
      [op.ACTIVATION_COLS, x.cols],
      [op.ACTIVATION_FUNCTION, FUNCTIONS[kind]],
    ],
  });
  return out;
}

/**
 * Records factor · x.
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param x [rows, columns]
 * @param factor any finite number
 * @returns the same shape
 * @example
 * x = scale(graph, 'embedding.scale', x, Math.sqrt(width));
 */
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

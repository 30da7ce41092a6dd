/** Sums, multiples, activation functions and dropout: one output element from one element of each input. */
import { ConfigError, ShapeError } from '../../errors.ts';
import { f32Word, type GradientTarget, type Graph } from '../graph.ts';
import * as op from '../opcodes.ts';
import { maxOf, type Region, shapeOf, type Tensor } from '../tensor.ts';

/** a + b, of equal shape: the residual connection. */
export function add(graph: Graph, label: string, a: Tensor, b: Tensor): Tensor {
  if (maxOf(a.rows) !== maxOf(b.rows) || a.cols !== b.cols)
    throw new ShapeError(label, 'equal shapes', shapeOf(a), shapeOf(b));
  const out = graph.activation(label, a.rows, a.cols, a.requiresGrad || b.requiresGrad);
  graph.record({
    opcode: op.OP_ADD,
    label,
    fields: [
      [op.ADD_OUT, out],
      [op.ADD_A, a],
      [op.ADD_B, b],
      [op.ADD_ROWS, a.rows],
      [op.ADD_COLS, a.cols],
    ],
  });
  return graph.differentiable(out, (dout) => {
    graph.shareGradient(a, dout);
    graph.shareGradient(b, dout);
  });
}

/** Records out = factor · inp; out may be inp. */
export function recordScale(graph: Graph, label: string, out: Tensor, inp: Tensor, factor: number): void {
  graph.record({
    opcode: op.OP_SCALE,
    label,
    fields: [
      [op.SCALE_OUT, out],
      [op.SCALE_INP, inp],
      [op.SCALE_ROWS, inp.rows],
      [op.SCALE_COLS, inp.cols],
      [op.SCALE_FACTOR, f32Word(factor)],
    ],
  });
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
    fields: [
      [op.GELU_OUT, out],
      [op.GELU_INP, x],
      [op.GELU_ROWS, x.rows],
      [op.GELU_COLS, x.cols],
      [op.GELU_FLAGS, erf],
    ],
  });
  return graph.differentiable(out, (dout) => {
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
  });
}

/** How a graph draws its dropout masks. */
export interface DropoutSource {
  /** u32[3]: seed low, seed high, a counter that differs from run to run. */
  readonly seed: Region;
  /** A different stream for every use, so that no two masks are alike. */
  nextStream(): number;
}

/** The words of a dropout of probability p: threshold and scale. */
export function dropoutWords(p: number): { threshold: number; scale: number } {
  if (!(p >= 0 && p < 1)) throw new ConfigError(`dropout: expected a probability from 0 to below 1, got ${p}.`);
  return { threshold: Math.floor(p * 2 ** 32) | 0, scale: f32Word(1 / (1 - p)) };
}

/**
 * Zeroes elements with probability p and scales the others by 1 / (1 − p) (Srivastava et al. 2014).
 * The mask is not stored: the backward pass draws it again.
 * @param source absent, or p = 0: x itself
 */
export function dropout(graph: Graph, label: string, x: Tensor, p: number, source?: DropoutSource): Tensor {
  if (!source || p === 0) return x;
  const { threshold, scale } = dropoutWords(p);
  const stream = source.nextStream();
  const record = (out: GradientTarget, inp: Tensor, at: string) =>
    graph.record({
      opcode: op.OP_DROPOUT,
      label: at,
      fields: [
        [op.DROPOUT_OUT, out.tensor],
        [op.DROPOUT_INP, inp],
        [op.DROPOUT_ROWS, inp.rows],
        [op.DROPOUT_COLS, inp.cols],
        [op.DROPOUT_FLAGS, out.accumulate ? op.FLAG_ACCUMULATE : 0],
        [op.DROPOUT_THRESHOLD, threshold],
        [op.DROPOUT_SCALE, scale],
        [op.DROPOUT_SEED, source.seed],
        [op.DROPOUT_STREAM, stream],
      ],
    });
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  record({ tensor: out, accumulate: false }, x, label);
  return graph.differentiable(out, (dout) => {
    const dx = graph.gradientOf(x);
    if (dx) record(dx, dout, `d ${label}`);
  });
}

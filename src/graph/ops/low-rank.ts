/**
 * Linear layers with an addition of low rank, by which frozen weights are fine-tuned (Hu et al. 2021, "LoRA: Low-Rank
 * Adaptation of Large Language Models", §4.1):  out = x · weight + bias + scale · (x · Aᵀ) · Bᵀ
 */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { linearBackward, recordInputGradient } from '../backward.ts';
import { f32Word, type Graph } from '../graph.ts';
import { maxOf, shapeOf, type Tensor } from '../tensor.ts';
import { type LinearOptions, recordGemm, recordLinear } from './matmul.ts';

export interface LowRank {
  /** What A reads: x, or x after dropout. [rows, in] */
  readonly input: Tensor;
  /** [rank, in] */
  readonly a: Tensor;
  /** [out, rank] */
  readonly b: Tensor;
  readonly scale: number;
}

/**
 * x [rows, in] · weight + bias + scale · (input · Aᵀ) · Bᵀ → [rows, out]. The addition goes on top of the
 * product in place: nothing of [rows, out] is kept twice.
 */
export function adaptedLinear(
  graph: Graph,
  label: string,
  x: Tensor,
  weight: Tensor,
  options: LinearOptions,
  { input, a, b, scale }: LowRank,
): Tensor {
  const rank = b.cols;
  if (maxOf(a.rows) !== rank || a.cols !== x.cols) throw new ShapeError(label, 'A', [rank, x.cols], shapeOf(a));
  const outputs = options.transposed ? maxOf(weight.rows) : weight.cols;
  if (maxOf(b.rows) !== outputs) throw new ShapeError(label, 'B', [outputs, rank], shapeOf(b));
  const requiresGrad = [x, weight, options.bias, a, b].some((tensor) => tensor?.requiresGrad);
  const out = recordLinear(graph, label, x, weight, requiresGrad, options);
  const [down, up] = [`${label} A`, `${label} B`];
  const inner = recordLinear(graph, down, input, a, false, { transposed: true }); // [rows, rank]
  if (scale !== 1) recordScale(graph, down, inner, inner, scale);
  const accumulate = op.FLAG_TRANSPOSE_B | op.FLAG_ACCUMULATE;
  recordGemm(graph, up, { out, a: inner, b, m: x.rows, n: out.cols, k: rank, flags: accumulate });
  return graph.differentiable(out, (training, dout) => {
    linearBackward(training, label, dout, x, weight, options);
    // dB = doutᵀ · inner, dinner = scale · dout · B, dA = dinnerᵀ · input, dinput = dinner · A
    const dinner = graph.activation(`d ${down}`, x.rows, rank);
    recordInputGradient(training, `d ${up}`, { tensor: dinner, accumulate: false }, dout, b, true);
    if (scale !== 1) recordScale(graph, `d ${down}`, dinner, dinner, scale);
    linearBackward(training, up, dout, inner, b, { transposed: true });
    linearBackward(training, down, dinner, input, a, { transposed: true });
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

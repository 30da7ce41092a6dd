/**
 * Linear layers with an addition of low rank, by which frozen weights are fine-tuned (Hu et al. 2021, "LoRA: Low-Rank
 * Adaptation of Large Language Models", §4.1):  out = x · weight + bias + scale · (x · Aᵀ) · Bᵀ
 */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import type { Graph } from '../graph.ts';
import { maxOf, shapeOf, type Tensor } from '../tensor.ts';
import { scale } from './elementwise.ts';
import { type LinearOptions, linear, recordGemm, recordLinear } from './matmul.ts';

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
 * x [rows, in] · weight + bias + scale · (input · Aᵀ) · Bᵀ → [rows, out]. The second product is added to the
 * first in place, so that only one tensor of [rows, out] exists.
 *
 * Two operations make `out`: only the second one is recorded with it as `output`, and names the first as `onTopOf`. So the reverse
 * pass records the gradients of the first product before those of the addition, and where x is also `input`, that is the
 * order in which they are summed.
 */
export function adaptedLinear(
  graph: Graph,
  label: string,
  x: Tensor,
  weight: Tensor,
  options: LinearOptions,
  { input, a, b, scale: factor }: LowRank,
): Tensor {
  const rank = b.cols;
  if (maxOf(a.rows) !== rank || a.cols !== x.cols) throw new ShapeError(label, 'A', [rank, x.cols], shapeOf(a));
  const outputs = options.transposed ? maxOf(weight.rows) : weight.cols;
  if (maxOf(b.rows) !== outputs) throw new ShapeError(label, 'B', [outputs, rank], shapeOf(b));
  const requiresGrad = [x, weight, options.bias, input, a, b].some((tensor) => tensor?.requiresGrad);
  const out = graph.activation(label, x.rows, outputs, requiresGrad);
  const product = recordLinear(graph, label, out, x, weight, options);
  const down = linear(graph, `${label} A`, input, a, { transposed: true }); // [rows, rank]
  const inner = factor === 1 ? down : scale(graph, `${label} scale`, down, factor);
  const flags = op.FLAG_TRANSPOSE_B | op.FLAG_ACCUMULATE;
  const addition = { out, a: inner, b, m: x.rows, n: out.cols, k: rank, flags };
  recordGemm(graph, `${label} B`, addition, { output: out, onTopOf: product });
  return out;
}

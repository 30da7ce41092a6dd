/** Normalization of each row: layer norm (Ba, Kiros & Hinton 2016) and RMS norm (Zhang & Sennrich 2019). */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { f32Word, type Graph } from '../graph.ts';
import { shapeOf, type Tensor } from '../tensor.ts';

/** (x − mean) / √(variance + epsilon) · weight + bias over each row; weight and bias are [1, cols], both frozen or neither. */
export function layerNorm(
  graph: Graph,
  label: string,
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  epsilon: number,
): Tensor {
  for (const parameter of [weight, bias])
    if (parameter.cols !== x.cols) throw new ShapeError(label, parameter.label, [1, x.cols], shapeOf(parameter));
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad || weight.requiresGrad || bias.requiresGrad);
  const mean = graph.activation(`${label} mean`, x.rows, 1);
  const rstd = graph.activation(`${label} rstd`, x.rows, 1);
  graph.record({
    opcode: op.OP_LAYER_NORM,
    label,
    output: out,
    fields: [
      [op.LAYER_NORM_OUT, out],
      [op.LAYER_NORM_INP, x],
      [op.LAYER_NORM_WEIGHT, weight],
      [op.LAYER_NORM_BIAS, bias],
      [op.LAYER_NORM_MEAN, mean],
      [op.LAYER_NORM_RSTD, rstd],
      [op.LAYER_NORM_ROWS, x.rows],
      [op.LAYER_NORM_COLS, x.cols],
      [op.LAYER_NORM_EPSILON, f32Word(epsilon)],
    ],
  });
  return out;
}

export interface RmsNormOptions {
  /** Added to the mean square. */
  readonly epsilon: number;
  /** 1 when the weight is stored as what it differs from 1 (Gemma). Default 0. */
  readonly offset?: 0 | 1;
}

/**
 * x / √(mean of x² + epsilon) · (weight + offset) over each row. A weight [1, cols / groups] is that of every group of so many
 * columns, each of which is normalized on its own: the heads of queries or keys.
 */
export function rmsNorm(
  graph: Graph,
  label: string,
  x: Tensor,
  weight: Tensor,
  { epsilon, offset = 0 }: RmsNormOptions,
): Tensor {
  const groups = x.cols / weight.cols;
  if (!Number.isInteger(groups)) throw new ShapeError(label, weight.label, [1, x.cols], shapeOf(weight));
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad || weight.requiresGrad);
  const rstd = graph.activation(`${label} rstd`, x.rows, groups);
  graph.record({
    opcode: op.OP_RMS_NORM,
    label,
    output: out,
    fields: [
      [op.RMS_NORM_OUT, out],
      [op.RMS_NORM_INP, x],
      [op.RMS_NORM_WEIGHT, weight],
      [op.RMS_NORM_RSTD, rstd],
      [op.RMS_NORM_ROWS, x.rows],
      [op.RMS_NORM_COLS, weight.cols],
      [op.RMS_NORM_EPSILON, f32Word(epsilon)],
      [op.RMS_NORM_OFFSET, f32Word(offset)],
      [op.RMS_NORM_GROUPS, groups],
    ],
  });
  return out;
}

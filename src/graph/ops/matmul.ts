/** Matrix products with a weight: `x · W + b`, and `x · Wᵀ` for tables stored row by output. */

import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import { chunksOf, encodingCode } from '../encoding.ts';
import type { FieldValue, Graph, Operation } from '../graph.ts';
import { type Extent, ldOf, maxOf, shapeOf, type Tensor } from '../tensor.ts';

interface Gemm {
  readonly out: Tensor;
  readonly a: Tensor;
  readonly b: Tensor;
  readonly bias?: Tensor | undefined;
  readonly m: Extent;
  readonly n: number;
  readonly k: Extent;
  /** FLAG_TRANSPOSE_A, FLAG_TRANSPOSE_B, FLAG_ACCUMULATE. */
  readonly flags: number;
}

/**
 * Records out (+)= op(a) · op(b) + bias. `flags` are those of the product that is meant, as for floats: an encoded b has a layout of its own.
 * @param gradient `output` and `onTopOf`, where gradients pass through the product
 */
export function recordGemm(
  graph: Graph,
  label: string,
  { out, a: given, b, bias, m, n, k, flags }: Gemm,
  gradient: Pick<Operation, 'output' | 'onTopOf'> = {},
): Operation {
  const { encoding = 'f32' } = b;
  const quantized = (encoding === 'q8' || encoding === 'q4') && (flags & op.FLAG_TRANSPOSE_B) === 0;
  const a = quantized ? quantizedRows(graph, label, given, m, encoding) : given;
  const fields: [number, FieldValue][] = [
    [op.GEMM_C, out],
    [op.GEMM_LDC, ldOf(out)],
    [op.GEMM_A, a],
    [op.GEMM_LDA, ldOf(a)],
    [op.GEMM_B, b],
    [op.GEMM_LDB, ldOf(b)],
    [op.GEMM_M, m],
    [op.GEMM_N, n],
    [op.GEMM_K, k],
    [op.GEMM_FLAGS, flags],
  ];
  if (bias) fields.push([op.GEMM_BIAS, bias]);
  fields.push([op.GEMM_ENCODING, encodingCode(encoding)]);
  const transposes = flags & (op.FLAG_TRANSPOSE_A | op.FLAG_TRANSPOSE_B);
  const opcode = encoding === 'f32' || transposes ? op.OP_GEMM : op.OP_GEMM_PANELS;
  return graph.record({ opcode, label, fields, scratchBytes: op.GEMM_SCRATCH_BYTES, ...gradient });
}

/** Records rows of x as the integers that a product with q8 or q4 weights multiplies. */
function quantizedRows(graph: Graph, label: string, x: Tensor, rows: Extent, encoding: 'q8' | 'q4'): Tensor {
  const words = (chunksOf(x.cols) * op.QUANTIZED_ROW_CHUNK_BYTES) / 4;
  const out = { ...graph.activation(`${label} rows`, maxOf(rows) + op.QUANTIZED_SPARE_ROWS, words), quantizedFrom: x };
  graph.record({
    opcode: op.OP_QUANTIZE_ROWS,
    label: out.label,
    fields: [
      [op.QUANTIZE_ROWS_OUT, out],
      [op.QUANTIZE_ROWS_INP, x],
      [op.QUANTIZE_ROWS_LD, ldOf(x)],
      [op.QUANTIZE_ROWS_ROWS, rows],
      [op.QUANTIZE_ROWS_COLS, x.cols],
      [op.QUANTIZE_ROWS_ENCODING, encodingCode(encoding)],
    ],
    scratchBytes: op.QUANTIZE_ROWS_SCRATCH_BYTES,
  });
  return out;
}

export interface LinearOptions {
  /** [1, out]. */
  readonly bias?: Tensor | undefined;
  /** Whether the weight is stored [out, in]. Default false: [in, out]. */
  readonly transposed?: boolean;
}

/**
 * x [rows, in] · weight + bias → [rows, out].
 * @param weight [in, out] as GPT-2 stores it, or [out, in] with `transposed`
 */
export function linear(graph: Graph, label: string, x: Tensor, weight: Tensor, options: LinearOptions = {}): Tensor {
  const { bias, transposed = false } = options;
  const requiresGrad = x.requiresGrad || weight.requiresGrad || bias?.requiresGrad === true;
  const out = graph.activation(label, x.rows, outputsOf(weight, transposed), requiresGrad);
  recordLinear(graph, label, out, x, weight, options, { output: out });
  return out;
}

/** Columns of a product with this weight. */
function outputsOf(weight: Tensor, transposed: boolean): number {
  return transposed ? maxOf(weight.rows) : weight.cols;
}

/** Records the product of `linear`, into `out`. */
export function recordLinear(
  graph: Graph,
  label: string,
  out: Tensor,
  x: Tensor,
  weight: Tensor,
  { bias, transposed = false }: LinearOptions,
  gradient: Pick<Operation, 'output' | 'onTopOf'> = {},
): Operation {
  const inSize = transposed ? weight.cols : maxOf(weight.rows);
  const outSize = outputsOf(weight, transposed);
  if (x.cols !== inSize)
    throw new ShapeError(label, 'weight', transposed ? [outSize, x.cols] : [x.cols, outSize], shapeOf(weight));
  if (bias && bias.cols !== outSize) throw new ShapeError(label, 'bias', [1, outSize], shapeOf(bias));
  const flags = forwardFlags(weight, transposed);
  return recordGemm(graph, label, { out, a: x, b: weight, bias, m: x.rows, n: outSize, k: inSize, flags }, gradient);
}

/** Whether x · weight multiplies with the transpose of what is stored: panels always hold outputs side by side. */
export function forwardFlags({ encoding = 'f32' }: Tensor, transposed: boolean): number {
  return transposed && encoding === 'f32' ? op.FLAG_TRANSPOSE_B : 0;
}

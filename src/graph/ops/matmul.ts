/** Matrix products with a weight: `x · W + b`, and `x · Wᵀ` for tables stored row by output. */
import { ShapeError } from '../../errors.ts';
import type { FieldValue, Graph } from '../graph.ts';
import * as op from '../opcodes.ts';
import { type Extent, maxOf, shapeOf, type Tensor } from '../tensor.ts';

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

/** Records out (+)= op(a) · op(b) + bias. */
export function recordGemm(graph: Graph, label: string, { out, a, b, bias, m, n, k, flags }: Gemm): void {
  const fields: [number, FieldValue][] = [
    [op.GEMM_C, out],
    [op.GEMM_LDC, out.cols],
    [op.GEMM_A, a],
    [op.GEMM_LDA, a.cols],
    [op.GEMM_B, b],
    [op.GEMM_LDB, b.cols],
    [op.GEMM_M, m],
    [op.GEMM_N, n],
    [op.GEMM_K, k],
    [op.GEMM_FLAGS, flags],
  ];
  if (bias) fields.push([op.GEMM_BIAS, bias]);
  const flops = 2 * maxOf(m) * n * maxOf(k);
  graph.record({ opcode: op.OP_GEMM, label, fields, scratchBytes: op.GEMM_SCRATCH_BYTES, flops });
}

/**
 * x [rows, in] · weight + bias → [rows, out].
 * @param weight [in, out] as GPT-2 stores it, or [out, in] with `transposed`
 * @param bias [1, out]
 */
export function linear(
  graph: Graph,
  label: string,
  x: Tensor,
  weight: Tensor,
  { bias, transposed = false }: { bias?: Tensor; transposed?: boolean } = {},
): Tensor {
  const [inSize, outSize] = transposed ? [weight.cols, maxOf(weight.rows)] : [maxOf(weight.rows), weight.cols];
  if (x.cols !== inSize)
    throw new ShapeError(label, 'weight', transposed ? [outSize, x.cols] : [x.cols, outSize], shapeOf(weight));
  if (bias && bias.cols !== outSize) throw new ShapeError(label, 'bias', [1, outSize], shapeOf(bias));
  const out = graph.activation(label, x.rows, outSize, true);
  const flags = transposed ? op.FLAG_TRANSPOSE_B : 0;
  recordGemm(graph, label, { out, a: x, b: weight, bias, m: x.rows, n: outSize, k: inSize, flags });
  return graph.differentiable(out, (dout) => linearBackward(graph, label, dout, x, weight, { bias, transposed }));
}

/** Gradients of `linear`: dx = dout · Wᵀ, dW = xᵀ · dout (or doutᵀ · x when transposed), db = Σ rows of dout. */
export function linearBackward(
  graph: Graph,
  label: string,
  dout: Tensor,
  x: Tensor,
  weight: Tensor,
  { bias, transposed = false }: { bias?: Tensor | undefined; transposed?: boolean } = {},
): void {
  const dbias = bias && graph.gradientOf(bias);
  if (dbias) columnSum(graph, `d ${bias.label}`, dbias.tensor, dout, dbias.accumulate);
  const dweight = graph.gradientOf(weight);
  if (dweight) {
    const [a, b] = transposed ? [dout, x] : [x, dout];
    const flags = op.FLAG_TRANSPOSE_A | (dweight.accumulate ? op.FLAG_ACCUMULATE : 0);
    recordGemm(graph, `d ${weight.label}`, { out: dweight.tensor, a, b, m: a.cols, n: b.cols, k: x.rows, flags });
  }
  const dx = graph.gradientOf(x);
  if (dx) {
    const flags = (transposed ? 0 : op.FLAG_TRANSPOSE_B) | (dx.accumulate ? op.FLAG_ACCUMULATE : 0);
    recordGemm(graph, `d ${label}`, { out: dx.tensor, a: dout, b: weight, m: x.rows, n: x.cols, k: dout.cols, flags });
  }
}

function columnSum(graph: Graph, label: string, out: Tensor, inp: Tensor, accumulate: boolean): void {
  graph.record({
    opcode: op.OP_COLUMN_SUM,
    label,
    fields: [
      [op.COLUMN_SUM_OUT, out],
      [op.COLUMN_SUM_INP, inp],
      [op.COLUMN_SUM_LD, inp.cols],
      [op.COLUMN_SUM_ROWS, inp.rows],
      [op.COLUMN_SUM_COLS, inp.cols],
      [op.COLUMN_SUM_FLAGS, accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
}

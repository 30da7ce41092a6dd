/**
 * The language-model head fused with softmax cross-entropy, chunk by chunk of rows: logits of a chunk, its loss, its
 * gradient in place, and from that the gradients of hidden states and head. The logits of the whole batch never exist.
 */

import * as op from '../../abi/index.ts';
import { recordInputGradient, recordWeightGradient } from '../gradients/matmul.ts';
import { recordsGradients } from '../gradients/rule.ts';
import type { Graph } from '../graph.ts';
import { type Extent, ldOf, maxOf, type Region, type Tensor } from '../tensor.ts';
import { forwardFlags, recordGemm } from './matmul.ts';

/** A chunk's logits stay at or below this many bytes, where one row permits. */
const CHUNK_BYTES = 64 << 20;

export interface LossOutputs {
  /** f32[rows]: −log p(target), 0 where the target is ignored. */
  readonly losses: Region;
  /** f32[rows]: 1 where the largest logit is the target's. */
  readonly correct: Region;
}

export interface LossInputs extends LossOutputs {
  /** i32[rows]; a negative target is ignored. */
  readonly targets: Region;
  /** f32: what a row's loss weighs in the gradient, 1 / number of targets for a mean. */
  readonly scale: Region;
}

/** Rows of one chunk for a vocabulary. */
export function chunkRows(vocabSize: number): number {
  return Math.max(1, Math.floor(CHUNK_BYTES / 4 / vocabSize));
}

/**
 * Losses of hidden [rows, C] · tableᵀ against targets; in a training graph also their gradients:
 * `graph.backward` continues from `hidden`. `rows` must be a fixed number.
 * @param table [V, C]
 */
export function languageModelLoss(
  graph: Graph,
  label: string,
  hidden: Tensor,
  table: Tensor,
  inputs: LossInputs,
): void {
  const rows = maxOf(hidden.rows);
  const vocabSize = maxOf(table.rows);
  const step = chunkRows(vocabSize);
  const training = recordsGradients(graph) && (hidden.requiresGrad || table.requiresGrad) ? graph : undefined;
  const dhidden = training?.gradientOf(hidden);
  const logits = graph.activation(`${label} logits`, Math.min(step, rows), vocabSize);
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    const chunk = rowsOf(hidden, first, count);
    recordTableProduct(graph, label, logits, chunk, table);
    const at = (region: Region) => rowsOf(graph.view(region, rows, 1), first, count);
    graph.record({
      opcode: op.OP_CROSS_ENTROPY,
      label: `${label} cross-entropy`,
      fields: [
        [op.CROSS_ENTROPY_LOGITS, logits],
        [op.CROSS_ENTROPY_TARGETS, at(inputs.targets)],
        [op.CROSS_ENTROPY_LOSSES, at(inputs.losses)],
        [op.CROSS_ENTROPY_CORRECT, at(inputs.correct)],
        [op.CROSS_ENTROPY_ROWS, count],
        [op.CROSS_ENTROPY_COLS, vocabSize],
        [op.CROSS_ENTROPY_SCALE, inputs.scale],
        [op.CROSS_ENTROPY_FLAGS, training ? op.FLAG_GRADIENT : 0],
      ],
      bytes: (training ? 2 : 1) * count * vocabSize * 4,
    });
    if (!training) continue;
    if (dhidden) {
      const target = { ...dhidden, tensor: rowsOf(dhidden.tensor, first, count) };
      recordInputGradient(training, `d ${label}`, target, logits, table, true, count);
    }
    recordWeightGradient(training, chunk, logits, table, true);
  }
}

/** Records the product of rows with a table stored row by output: out = x · tableᵀ. */
function recordTableProduct(graph: Graph, label: string, out: Tensor, x: Tensor, table: Tensor): void {
  const flags = forwardFlags(table, true);
  recordGemm(graph, label, { out, a: x, b: table, m: x.rows, n: maxOf(table.rows), k: x.cols, flags });
}

/** Rows [first, first + rows) of a tensor, in place. */
export function rowsOf(tensor: Tensor, first: number, rows: Extent): Tensor {
  return {
    ...tensor,
    label: `${tensor.label}[${first}…]`,
    rows,
    byteOffset: tensor.byteOffset + first * ldOf(tensor) * 4,
  };
}

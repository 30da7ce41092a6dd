/** Gradients of ops/attention.ts, the probabilities computed again from each row's log-sum-exp: to queries, keys and values, each a tensor of its own or some columns of one. */

import * as op from '../../abi/index.ts';
import { operandsOf } from '../operands.ts';
import { recordCopy } from '../ops/copy.ts';
import { recordFill } from '../ops/fill.ts';
import { columnsOf, firstColumnOf, ldOf, type Tensor } from '../tensor.ts';
import type { GradientRule, ReverseGraph } from './rule.ts';

/** What OP_ATTENTION_BACKWARD reads as the forward operation did. */
const SHARED: ReadonlySet<number> = new Set([
  op.ATTENTION_OUT,
  op.ATTENTION_Q,
  op.ATTENTION_LDQ,
  op.ATTENTION_K,
  op.ATTENTION_LDK,
  op.ATTENTION_V,
  op.ATTENTION_LDV,
  op.ATTENTION_SEGMENTS,
  op.ATTENTION_SEGMENT_COUNT,
  op.ATTENTION_HEADS,
  op.ATTENTION_KEY_VALUE_HEADS,
  op.ATTENTION_HEAD_SIZE,
  op.ATTENTION_SCALE,
  op.ATTENTION_WINDOW,
  op.ATTENTION_FLAGS,
  op.ATTENTION_LSE,
  op.ATTENTION_DROPOUT_THRESHOLD,
  op.ATTENTION_DROPOUT_SCALE,
  op.ATTENTION_SEED,
  op.ATTENTION_STREAM,
]);

export const attention: GradientRule = (graph, operation, output, dout) => {
  const operands = operandsOf(operation);
  const inputs = [op.ATTENTION_Q, op.ATTENTION_K, op.ATTENTION_V].map((word) => operands.tensor(word));
  if (!inputs.some(({ requiresGrad }) => requiresGrad)) return;
  const label = `d ${output.label}`;
  const { targets, finish } = gradientTargets(graph, label, inputs);
  const [dq, dk, dv] = targets as [Tensor, Tensor, Tensor];
  graph.record({
    opcode: op.OP_ATTENTION_BACKWARD,
    label,
    fields: [
      ...operation.fields.filter(([word]) => SHARED.has(word)),
      [op.ATTENTION_DOUT, dout],
      [op.ATTENTION_DQ, dq],
      [op.ATTENTION_LDDQ, ldOf(dq)],
      [op.ATTENTION_DK, dk],
      [op.ATTENTION_LDDK, ldOf(dk)],
      [op.ATTENTION_DV, dv],
      [op.ATTENTION_LDDV, ldOf(dv)],
    ],
    scratchBytes: operation.scratchBytes,
    flops: 2.5 * (operation.flops ?? 0),
  });
  finish();
};

/** Inputs, by their numbers, that the kernel can write in one tensor: columns of the same base that do not overlap. */
interface Shared {
  readonly base: Tensor;
  readonly numbers: number[];
}

/**
 * Where the kernel, which overwrites, writes the gradient of each input. That is the place of the gradient itself where nothing is
 * there yet and the inputs cover all of their base, as those of a fused projection do; else a temporary, which `finish` adds.
 */
function gradientTargets(
  graph: ReverseGraph,
  label: string,
  inputs: readonly Tensor[],
): { targets: readonly Tensor[]; finish: () => void } {
  const targets: Tensor[] = [];
  const sums: { sum: Tensor; summand: Tensor }[] = [];
  for (const { base, numbers } of withoutOverlaps(inputs)) {
    const covered = numbers.reduce((sum, number) => sum + inputs[number]!.cols, 0);
    const target = graph.gradientOf(base);
    const isFirst = target?.accumulate === false;
    const written = isFirst ? target.tensor : graph.activation(`${label} ${base.label}`, base.rows, base.cols);
    if (target && covered < base.cols) recordFill(graph, label, written, 0);
    if (target && !isFirst) sums.push({ sum: target.tensor, summand: written });
    for (const number of numbers) {
      const input = inputs[number]!;
      targets[number] = columnsOf(written, firstColumnOf(input), input.cols);
    }
  }
  const finish = () => {
    for (const { sum, summand } of sums) recordCopy(graph, label, sum, summand, true);
  };
  return { targets, finish };
}

/** Inputs by their bases; one that overlaps an earlier one begins a group of its own. */
function withoutOverlaps(inputs: readonly Tensor[]): Shared[] {
  const shared: Shared[] = [];
  for (const [number, input] of inputs.entries()) {
    const base = input.base ?? input;
    const fits = (other: Shared) => other.base === base && other.numbers.every((one) => !overlap(inputs[one]!, input));
    const found = shared.find(fits);
    if (found) found.numbers.push(number);
    else shared.push({ base, numbers: [number] });
  }
  return shared;
}

function overlap(a: Tensor, b: Tensor): boolean {
  const [first, second] = [firstColumnOf(a), firstColumnOf(b)];
  return first < second + b.cols && second < first + a.cols;
}

/** Gradient of ops/attention.ts: the probabilities are computed again from each row's log-sum-exp. */
import * as op from '../../abi/index.ts';
import { ShapeError } from '../../errors.ts';
import type { FieldValue } from '../graph.ts';
import { operandsOf } from '../operands.ts';
import type { GradientRule } from './rule.ts';

export const attention: GradientRule = (graph, operation, output, dout) => {
  const { label, fields, scratchBytes, flops = 0 } = operation;
  const dqkv = graph.gradientOf(operandsOf(operation).tensor(op.ATTENTION_QKV));
  if (!dqkv) return;
  if (dqkv.accumulate) throw new ShapeError(label, 'uses of qkv', [1], ['more']);
  const shifted = fields
    .filter(([word]) => word !== op.ATTENTION_OUT)
    .map(([word, value]): [number, FieldValue] => [word + op.ATTENTION_BACKWARD_SHIFT, value]);
  graph.record({
    opcode: op.OP_ATTENTION_BACKWARD,
    label: `d ${label}`,
    fields: [
      [op.ATTENTION_BACKWARD_DQKV, dqkv.tensor],
      [op.ATTENTION_BACKWARD_DOUT, dout],
      [op.ATTENTION_BACKWARD_OUT, output],
      ...shifted,
    ],
    scratchBytes,
    flops: 2.5 * flops,
  });
};

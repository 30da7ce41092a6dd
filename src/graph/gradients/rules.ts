/** The gradient of every operation that has one, by opcode. Each stands in the file that is named as its operation's in ops/. */
import * as op from '../../abi/index.ts';
import { attention } from './attention.ts';
import { dropout } from './dropout.ts';
import { activation, add, multiply, scale } from './elementwise.ts';
import { embedding, gatherRows } from './embedding.ts';
import { matmul } from './matmul.ts';
import { layerNorm, rmsNorm } from './norm.ts';
import { rotary } from './rotary.ts';
import type { GradientRule } from './rule.ts';

export const RULES: ReadonlyMap<number, GradientRule> = new Map([
  [op.OP_ACTIVATION, activation],
  [op.OP_ADD, add],
  [op.OP_ATTENTION, attention],
  [op.OP_DROPOUT, dropout],
  [op.OP_EMBEDDING, embedding],
  [op.OP_GATHER_ROWS, gatherRows],
  [op.OP_GEMM, matmul],
  [op.OP_GEMM_PANELS, matmul],
  [op.OP_LAYER_NORM, layerNorm],
  [op.OP_MULTIPLY, multiply],
  [op.OP_RMS_NORM, rmsNorm],
  [op.OP_ROTARY, rotary],
  [op.OP_SCALE, scale],
]);

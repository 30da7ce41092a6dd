/** Dropout: elements that are zero for one run of training. */

import * as op from '../../abi/index.ts';
import { ConfigError } from '../../errors.ts';
import { f32Word, type Graph } from '../graph.ts';
import type { Region, Tensor } from '../tensor.ts';

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
 * The mask is not stored: the reverse pass draws it again.
 * @param source absent, or p = 0: x itself
 */
export function dropout(graph: Graph, label: string, x: Tensor, p: number, source?: DropoutSource): Tensor {
  if (!source || p === 0) return x;
  const { threshold, scale } = dropoutWords(p);
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  graph.record({
    opcode: op.OP_DROPOUT,
    label,
    output: out,
    fields: [
      [op.DROPOUT_OUT, out],
      [op.DROPOUT_INP, x],
      [op.DROPOUT_ROWS, x.rows],
      [op.DROPOUT_COLS, x.cols],
      [op.DROPOUT_THRESHOLD, threshold],
      [op.DROPOUT_SCALE, scale],
      [op.DROPOUT_SEED, source.seed],
      [op.DROPOUT_STREAM, source.nextStream()],
    ],
  });
  return out;
}

/** The end of a training step: global gradient norm, clipping, AdamW. */

import * as op from '../../abi/index.ts';
import { f32Word } from '../graph.ts';
import type { Region } from '../tensor.ts';
import type { TrainingGraph } from '../training-graph.ts';

export interface OptimizerBlocks {
  /** First and second moments, laid out like the weights. */
  readonly m: Region;
  readonly v: Region;
  /** f32[HYPER_COUNT], written by the host before each step. */
  readonly hyper: Region;
  /** f32[2], written: gradient norm before clipping, and the factor applied. */
  readonly norm: Region;
}

/**
 * Clips all gradients to a global norm (Pascanu et al. 2013) and applies AdamW (Loshchilov & Hutter 2019) to all
 * parameters, with decay on those of two or more dimensions.
 * @param clip largest norm; 0 does not clip
 */
export function optimizerStep(
  graph: TrainingGraph,
  blocks: OptimizerBlocks,
  { clip, weightDecay }: { clip: number; weightDecay: number },
): void {
  const { gradients } = graph;
  const { table, weights } = graph.parameters;
  const chunks = Math.ceil(table.blockSize / op.NORM_CHUNK);
  const partials = graph.region('norm partials', chunks * 2);
  graph.record({
    opcode: op.OP_SQUARES,
    label: 'gradient norm',
    fields: [
      [op.SQUARES_PARTIALS, partials],
      [op.SQUARES_INP, gradients],
      [op.SQUARES_COUNT, table.blockSize],
    ],
  });
  graph.record({
    opcode: op.OP_CLIP,
    label: 'clip',
    fields: [
      [op.CLIP_OUT, blocks.norm],
      [op.CLIP_PARTIALS, partials],
      [op.CLIP_COUNT, chunks],
      [op.CLIP_LIMIT, f32Word(clip)],
    ],
  });
  const factor = { ...graph.view(blocks.norm, 1, 1), byteOffset: 4 };
  const update = (first: number, count: number, decay: number) => {
    if (count === 0) return;
    const part = (block: Region) => ({ ...graph.view(block, 1, count), byteOffset: first * 4 });
    graph.record({
      opcode: op.OP_ADAMW,
      label: 'adamw',
      fields: [
        [op.ADAMW_WEIGHT, part(weights)],
        [op.ADAMW_DWEIGHT, part(gradients)],
        [op.ADAMW_M, part(blocks.m)],
        [op.ADAMW_V, part(blocks.v)],
        [op.ADAMW_COUNT, count],
        [op.ADAMW_HYPER, blocks.hyper],
        [op.ADAMW_GRADIENT_SCALE, factor],
        [op.ADAMW_WEIGHT_DECAY, f32Word(decay)],
      ],
      bytes: 7 * count * 4, // weights and moments are read and written
    });
  };
  update(0, table.decayedSize, weightDecay);
  update(table.decayedSize, table.blockSize - table.decayedSize, 0);
}

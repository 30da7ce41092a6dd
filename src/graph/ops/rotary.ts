/** Rotary position embedding (Su et al. 2021, "RoFormer") of queries and keys. */

import * as op from '../../abi/index.ts';
import { ConfigError, ShapeError } from '../../errors.ts';
import { f32Word, type Graph } from '../graph.ts';
import { ldOf, maxOf, type Region, shapeOf, type Tensor } from '../tensor.ts';

export interface RotaryOptions {
  /** Columns of a head. */
  readonly headSize: number;
  /** How many of them turn, from the first on; the others stay as they are. Even, 2 … headSize. Default headSize. */
  readonly rotaryDim?: number;
  /** Pairs of neighbours (2i, 2i + 1), as in GPT-J. Default false: (i, i + rotaryDim / 2), as in Llama and GPT-NeoX. */
  readonly interleaved?: boolean;
  /** Multiplied into what turns (`attention_factor` of YaRN). Default 1. */
  readonly factor?: number;
}

/**
 * Each head of x [rows, heads · headSize], pair by pair turned by positions[row] · frequencies[pair] → [rows, heads · headSize].
 * The angle is rounded to f32, as in transformers; whatever scaling a model has is in the frequencies. x may be a view.
 * @param positions i32[rows], below 2²⁰
 * @param frequencies f32[rotaryDim / 2], radians for each position, at most 1: θ^(−2i / rotaryDim) in the paper
 */
export function rotary(
  graph: Graph,
  label: string,
  x: Tensor,
  positions: Region,
  frequencies: Region,
  { headSize, rotaryDim = headSize, interleaved = false, factor = 1 }: RotaryOptions,
): Tensor {
  if (x.cols % headSize !== 0) throw new ShapeError(label, 'heads', ['rows', `a multiple of ${headSize}`], shapeOf(x));
  if (!(rotaryDim >= 2 && rotaryDim <= headSize && rotaryDim % 2 === 0))
    throw new ConfigError(
      `${label}: expected an even number of rotary columns from 2 to ${headSize}, got ${rotaryDim}.`,
    );
  if (frequencies.bytes !== rotaryDim * 2)
    throw new ShapeError(label, 'frequencies', [rotaryDim / 2], [frequencies.bytes / 4]);
  if (positions.bytes < maxOf(x.rows) * 4)
    throw new ShapeError(label, 'positions', [maxOf(x.rows)], [positions.bytes / 4]);
  const out = graph.activation(label, x.rows, x.cols, x.requiresGrad);
  graph.record({
    opcode: op.OP_ROTARY,
    label,
    output: out,
    fields: [
      [op.ROTARY_OUT, out],
      [op.ROTARY_OUT_LD, ldOf(out)],
      [op.ROTARY_INP, x],
      [op.ROTARY_INP_LD, ldOf(x)],
      [op.ROTARY_POSITIONS, positions],
      [op.ROTARY_FREQUENCIES, frequencies],
      [op.ROTARY_ROWS, x.rows],
      [op.ROTARY_HEADS, x.cols / headSize],
      [op.ROTARY_HEAD_SIZE, headSize],
      [op.ROTARY_DIM, rotaryDim],
      [op.ROTARY_FACTOR, f32Word(factor)],
      [op.ROTARY_FLAGS, interleaved ? op.FLAG_INTERLEAVED : 0],
    ],
    scratchBytes: (rotaryDim / 2) * op.ROTARY_SCRATCH_BYTES,
  });
  return out;
}

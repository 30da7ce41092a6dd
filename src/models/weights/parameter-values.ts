/**
 * A block of parameters, read, replaced and cleared. Lazily loaded by model.ts: loading a model needs none of it, since weights are
 * streamed into their block.
 */

import * as op from '../../abi/index.ts';
import { ConfigError } from '../../errors.ts';
import type { Directory } from '../../files/index.ts';
import { crc32, openWeights } from '../../formats/index.ts';
import type { Parameter, ParameterTable } from '../../graph/parameters.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { TensorNames } from '../family.ts';
import { isStored, ParameterBlock } from './parameter-block.ts';
import { streamWeights } from './stream.ts';
import { codingPlan, WeightEncoder } from './weight-encoder.ts';

/** Values that are copied out of linear memory at a time: 4 MiB. */
const PIECE_VALUES = 1 << 20;

/** A zeroed block of the same layout: gradients, moments. */
export async function zeroedBlock(engine: Engine, table: ParameterTable, label: string): Promise<ParameterBlock> {
  const block = await ParameterBlock.place(engine, table, label);
  // Recycled memory holds old values, and sums include the padding between parameters.
  const { blockSize } = table;
  const zeros = new Float32Array(Math.min(PIECE_VALUES, blockSize));
  for (let at = 0; at < blockSize; at += PIECE_VALUES)
    await engine.write(block.address + at * 4, zeros.subarray(0, Math.min(PIECE_VALUES, blockSize - at)));
  return block;
}

/** A copy of one parameter's values, in file order. */
export async function readValues(block: ParameterBlock, name: string): Promise<Float32Array> {
  const parameter = block.table.get(name);
  const values = new Float32Array(parameter.size);
  let at = 0;
  for await (const piece of valuesOf(block, parameter)) {
    values.set(piece, at);
    at += piece.length;
  }
  return values;
}

/** Replaces one parameter's values. */
export async function writeValues(block: ParameterBlock, name: string, values: Float32Array): Promise<void> {
  const parameter = block.table.get(name);
  if (values.length !== parameter.size)
    throw new ConfigError(
      `${name}: expected ${parameter.size} values of shape [${parameter.shape.join(', ')}], got ${values.length}.`,
    );
  if (parameter.encoding === 'f32') return block.engine.write(block.addressOf(parameter), values);
  const encoder = await WeightEncoder.create(block.engine, block.table, block.region, parameter);
  try {
    await encoder.write(values);
    await encoder.finish();
  } finally {
    encoder.dispose();
  }
}

/** The values of a parameter in file order, piece by piece. */
export async function* valuesOf(
  block: ParameterBlock,
  parameter: Parameter,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  if (parameter.encoding !== 'f32') return yield* decoded(block, parameter);
  for (let at = 0; at < parameter.size; at += PIECE_VALUES)
    yield await block.engine.readF32(block.addressOf(parameter, at), Math.min(PIECE_VALUES, parameter.size - at));
}

async function* decoded({ engine, table, region }: ParameterBlock, parameter: Parameter) {
  const [rows, cols] = parameter.shape as [number, number];
  const { plan, first, count, staging } = await codingPlan(op.OP_DECODE, engine, table, region, parameter);
  try {
    for (let row = 0; row < rows; row += count.max) {
      const some = Math.min(count.max, rows - row);
      plan.setSize(first, row);
      plan.setSize(count, some);
      await plan.run();
      yield await plan.readRegion(staging, some * cols);
    }
  } finally {
    plan.dispose();
  }
}

/** The bytes of a parameter as they lie in memory, piece by piece. */
export async function* bytesOf(block: ParameterBlock, parameter: Parameter): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < parameter.bytes; at += PIECE_VALUES * 4) {
    const count = Math.min(PIECE_VALUES, (parameter.bytes - at) / 4);
    yield new Uint8Array((await block.engine.readF32(block.addressOf(parameter) + at, count)).buffer);
  }
}

/** CRC-32 of the bytes of all parameters, in order. */
export async function checksumOf(block: ParameterBlock): Promise<number> {
  let crc = 0;
  for (const parameter of block.table.list)
    for await (const bytes of bytesOf(block, parameter)) crc = crc32(bytes, crc);
  return crc;
}

/** Replaces all values by those of a folder. */
export async function restore(block: ParameterBlock, directory: Directory, names: TensorNames): Promise<void> {
  const weights = await openWeights(directory);
  try {
    const { encoding } = block.table;
    await streamWeights(block, weights, names, isStored(encoding) ? encoding : undefined);
  } finally {
    await weights.close();
  }
}

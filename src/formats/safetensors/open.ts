/**
 * The weights of a model folder, in one file (`model.safetensors`) or in several (`shards.ts`), behind one interface.
 * Writing: `save.ts`.
 */

import { CheckpointError } from '../../errors.ts';
import type { Directory } from '../../files/directory.ts';
import { FileWeights, locate, type Weights } from './file-weights.ts';
import { readSafetensorsHeader } from './header.ts';

/** The one file of a model that is not sharded. */
export const WEIGHTS_FILE = 'model.safetensors';
/** The list of a sharded model's files. */
export const INDEX_FILE = 'model.safetensors.index.json';

/**
 * Opens the tensors of one safetensors file.
 * @param directory the folder.
 * @param path relative path. Default 'model.safetensors'.
 * @returns its tensors; close them when done.
 * @throws CheckpointError when the file is missing or breaks a rule of the format.
 */
export async function openSafetensors(directory: Directory, path: string = WEIGHTS_FILE): Promise<Weights> {
  const file = await directory.open(path);
  try {
    const { tensors, metadata } = await readSafetensorsHeader(file);
    return new FileWeights(file.name, locate(file, tensors), metadata, [file]);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens the weights of a model folder: `model.safetensors`, else the shards of `model.safetensors.index.json`.
 * @param directory the folder.
 * @returns its tensors; close them when done.
 * @throws CheckpointError when there are none, a file breaks a rule of the format, or the index and the shards disagree.
 */
export async function openWeights(directory: Directory): Promise<Weights> {
  if (await directory.has(WEIGHTS_FILE)) return openSafetensors(directory, WEIGHTS_FILE);
  if (await directory.has(INDEX_FILE)) {
    const { openShards } = await import('./shards.ts');
    return openShards(directory, INDEX_FILE);
  }
  throw new CheckpointError(
    `${directory.name}: expected ${WEIGHTS_FILE} or ${INDEX_FILE}, got neither. Check the folder; PyTorch .bin weights must first be saved as safetensors.`,
    { file: directory.name },
  );
}

/**
 * Weights in several files, listed by `model.safetensors.index.json`:
 * {"metadata": {"total_size"}, "weight_map": {tensor: file}}. Loaded for a folder that has such an index.
 */

import { CheckpointError } from '../../errors.ts';
import type { ByteFile, Directory } from '../../files/directory.ts';
import { describeJsonValue, JsonSyntaxError, type JsonValue, numberOf, parseJsonValue } from '../json.ts';
import { closeAll, FileWeights, type Located, locate, type Weights } from './file-weights.ts';
import { readSafetensorsHeader } from './header.ts';

/**
 * Opens the shards that an index names.
 * @throws CheckpointError when one breaks a rule of the format, or the index and the shards disagree.
 */
export async function openShards(directory: Directory, indexFile: string): Promise<Weights> {
  const indexName = `${directory.name}/${indexFile}`;
  const index = readIndex(await directory.readText(indexFile), indexName);
  const files: ByteFile[] = [];
  const all = new Map<string, Located>();
  let metadata: ReadonlyMap<string, string> | undefined;
  try {
    for (const path of new Set(index.values())) {
      const file = await directory.open(path);
      files.push(file);
      const header = await readSafetensorsHeader(file);
      metadata ??= header.metadata;
      for (const [name, located] of locate(file, header.tensors)) {
        const listed = index.get(name);
        if (listed !== path) {
          throw indexFault(
            indexName,
            `tensor ${JSON.stringify(name)} of ${path} to be listed there`,
            listed ?? 'no entry',
          );
        }
        all.set(name, located);
      }
    }
    for (const [name, path] of index) {
      if (!all.has(name)) throw indexFault(indexName, `tensor ${JSON.stringify(name)} in ${path}`, 'none of that name');
    }
    return new FileWeights(indexName, all, metadata ?? new Map(), files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

function indexFault(file: string, expected: string, found: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${file}: expected ${expected}, got ${found}. Fetch or save the model again, all files of it.`,
    { cause, file },
  );
}

/**
 * Reads the weight map of a sharded model.
 * @returns tensor name → file.
 * @throws CheckpointError when the index is not what it should be. Whether paths are safe is the folder's check.
 */
function readIndex(text: string, file: string): ReadonlyMap<string, string> {
  let index: JsonValue;
  try {
    index = parseJsonValue(text);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw indexFault(file, 'JSON', cause.reason, cause);
  }
  if (!(index instanceof Map)) throw indexFault(file, 'an object', describeJsonValue(index));
  const map = index.get('weight_map');
  if (!(map instanceof Map)) throw indexFault(file, 'weight_map to be an object of file names', describeJsonValue(map));
  const metadata = index.get('metadata') ?? null;
  if (metadata !== null && !(metadata instanceof Map)) {
    throw indexFault(file, 'metadata to be an object', describeJsonValue(metadata));
  }
  const total = metadata?.get('total_size');
  if (total !== undefined && !((numberOf(total) ?? -1) >= 0)) {
    throw indexFault(file, 'metadata.total_size in bytes', describeJsonValue(total));
  }
  for (const [name, path] of map) {
    if (typeof path !== 'string') {
      throw indexFault(file, `weight_map ${JSON.stringify(name)} to name a file`, describeJsonValue(path));
    }
  }
  return map as Map<string, string>;
}

/**
 * Saves weights as one file or as shards with an index.
 *
 * A reader finds either the old model or the new one, whole, even if the process dies in between: shards get names that
 * no old file has, and one rename makes them count (of the index, or of `model.safetensors`, which readers prefer).
 * Only then are the old files removed.
 */

import type { Directory } from '../../files/directory.ts';
import { INDEX_FILE, WEIGHTS_FILE } from './open.ts';
import {
  describedBytes,
  encodeSafetensorsHeader,
  PYTORCH_METADATA,
  type TensorEntry,
  writeSafetensors,
} from './write.ts';

/** Names that this file gives to shards; `-r2` and up where the plain names were taken. */
const SHARD = /^model(-r\d+)?-\d{5,}-of-\d{5,}\.safetensors$/;

/** Options of `saveWeights`. */
export interface SaveWeightsOptions {
  /** Largest file, bytes of tensors; a tensor that is larger gets a file of its own. Default 5e9, as in transformers 4. */
  readonly maxShardBytes?: number;
  /** Strings for `__metadata__`. Default `{format: 'pt'}`. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Fills files in the order given, as transformers does. */
function splitShards(entries: readonly TensorEntry[], maxShardBytes: number): TensorEntry[][] {
  const shards: TensorEntry[][] = [[]];
  let size = 0;
  for (const entry of entries) {
    const bytes = describedBytes(WEIGHTS_FILE, entry);
    if (size > 0 && size + bytes > maxShardBytes) {
      shards.push([]);
      size = 0;
    }
    shards.at(-1)!.push(entry);
    size += bytes;
  }
  return shards;
}

function shardNames(count: number, taken: ReadonlySet<string>): string[] {
  for (let round = 1; ; round++) {
    const prefix = round === 1 ? 'model' : `model-r${round}`;
    const total = String(count).padStart(5, '0');
    const names = Array.from({ length: count }, (_, i) => {
      return `${prefix}-${String(i + 1).padStart(5, '0')}-of-${total}.safetensors`;
    });
    if (!names.some((name) => taken.has(name))) return names;
  }
}

/**
 * Writes the weights of a model folder: `model.safetensors`, or shards and `model.safetensors.index.json`.
 * Weights that the folder held before are replaced; other files stay.
 * @param directory the folder.
 * @param entries the tensors; names must differ.
 * @param options shard size and metadata.
 * @throws CheckpointError for tensors that cannot be written as described; EnvironmentError where writing is not
 *   possible; RangeError for a shard size below 1.
 */
export async function saveWeights(
  directory: Directory,
  entries: readonly TensorEntry[],
  options: SaveWeightsOptions = {},
): Promise<void> {
  const { maxShardBytes = 5e9, metadata = PYTORCH_METADATA } = options;
  if (!(maxShardBytes >= 1))
    throw new RangeError(`saveWeights: expected maxShardBytes of 1 or more, got ${maxShardBytes}.`);
  const shards = splitShards(entries, maxShardBytes);
  const old = (await directory.list()).filter((name) => SHARD.test(name));
  if (shards.length === 1) {
    await writeSafetensors(directory, WEIGHTS_FILE, entries, metadata);
    for (const name of [INDEX_FILE, ...old]) await directory.remove(name);
    return;
  }
  encodeSafetensorsHeader(entries, metadata, WEIGHTS_FILE); // refuses a name twice before anything is written
  const names = shardNames(shards.length, new Set(old));
  const weightMap: [string, string][] = [];
  let totalSize = 0;
  for (const [i, shard] of shards.entries()) {
    await writeSafetensors(directory, names[i]!, shard, metadata);
    for (const entry of shard) {
      weightMap.push([entry.name, names[i]!]);
      totalSize += describedBytes(names[i]!, entry);
    }
  }
  const index = `{
  "metadata": {
    "total_size": ${totalSize}
  },
  "weight_map": {
${weightMap.map(([name, path]) => `    ${JSON.stringify(name)}: ${JSON.stringify(path)}`).join(',\n')}
  }
}
`;
  await directory.write(INDEX_FILE, index);
  for (const name of [WEIGHTS_FILE, ...old]) await directory.remove(name);
}

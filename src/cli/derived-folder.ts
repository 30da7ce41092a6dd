/** A model folder that is made from another one, with other weights: `quantize`, `merge`. */
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { CheckpointError, ConfigError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { INDEX_FILE, openWeights, WEIGHTS_FILE, type Weights } from '../formats/index.ts';

const CONFIG_FILE = 'config.json';

/** Files of a model folder that are the same whatever the weights are. */
const COPIED = ['tokenizer.json', 'tokenizer_config.json', 'vocab.json', 'merges.txt', 'generation_config.json'];

/**
 * The folder to read and the folder to write.
 * @throws ConfigError when both are the same; CheckpointError when the second has a model that is not to be replaced
 */
export async function openDerived(
  dir: string,
  { out, overwrite }: { readonly out: string; readonly overwrite?: boolean },
): Promise<{ source: Directory; target: Directory }> {
  if (whereIs(dir) === whereIs(out))
    throw new ConfigError(`--out: expected another folder than ${dir}, got the same. Choose another --out.`);
  const [source, target] = [await openDirectory(dir), await openDirectory(out)];
  const found = await Promise.all([CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE].map((file) => target.has(file)));
  if (found.includes(true) && !overwrite)
    throw new CheckpointError(
      `${out}: expected a new folder, got one with a model. Replace it with --overwrite, or choose another --out.`,
      { file: out },
    );
  return { source, target };
}

/** Where a path leads, links followed; a folder that is not there yet is where it says. */
function whereIs(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** Copies what does not depend on the weights; what the source lacks is removed, since it belonged to another model. */
export async function copyTokenizer(source: Directory, target: Directory): Promise<void> {
  for (const file of COPIED)
    if (await source.has(file)) await target.write(file, await source.readText(file));
    else await target.remove(file);
}

/** Bytes of a folder's tensors. */
export async function weightBytesOf(directory: Directory): Promise<number> {
  const weights = await openWeights(directory);
  await weights.close();
  return bytesOf(weights);
}

/** Bytes of all tensors. */
export function bytesOf(weights: Weights): number {
  const all = weights.names.map((name) => weights.info(name));
  return all.reduce((sum, { begin, end }) => sum + end - begin, 0);
}

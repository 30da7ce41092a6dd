/** A model folder that is made from another one, with other weights: `quantize`, `merge`. */
import { resolve } from 'node:path';
import { CheckpointError, ConfigError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { INDEX_FILE, openWeights, WEIGHTS_FILE } from '../formats/index.ts';

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
  if (resolve(dir) === resolve(out))
    throw new ConfigError(`--out: expected another folder than ${dir}, got the same. Choose another --out.`);
  const [source, target] = [await openDirectory(dir), await openDirectory(out)];
  const hasModel = (await target.has(WEIGHTS_FILE)) || (await target.has(INDEX_FILE));
  if (hasModel && !overwrite)
    throw new CheckpointError(
      `${out}: expected a new folder, got one with a model. Replace it with --overwrite, or choose another --out.`,
      { file: out },
    );
  return { source, target };
}

/** Copies what does not depend on the weights. */
export async function copyTokenizer(source: Directory, target: Directory): Promise<void> {
  for (const file of COPIED) if (await source.has(file)) await target.write(file, await source.readText(file));
}

/** Bytes of a folder's tensors. */
export async function weightBytesOf(directory: Directory): Promise<number> {
  const weights = await openWeights(directory);
  await weights.close();
  return weights.totalBytes;
}

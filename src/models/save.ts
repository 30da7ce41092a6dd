/** Writing a model folder: weights, config.json, and a tokenizer. */
import type { Directory } from '../files/index.ts';
import { quantizationFields, type SaveWeightsOptions, saveWeights } from '../formats/index.ts';
import type { Family, ModelConfig } from './family.ts';
import { formatConfig } from './read-config.ts';
import { isStored, type ParameterBlock } from './weights/parameter-block.ts';
import { entryOf } from './weights/tensor-entry.ts';

/** What `model.save` writes beside the weights, and how large files may be. */
export interface SaveOptions extends SaveWeightsOptions {
  /** Saved as `tokenizer.json` in the same folder. */
  readonly tokenizer?: { toJSON(): object };
}

/** @param block the weights of the model */
export async function saveModel<C extends ModelConfig>(
  directory: Directory,
  { family, config }: { readonly family: Family<C>; readonly config: C },
  block: ParameterBlock,
  { tokenizer, ...options }: SaveOptions,
): Promise<void> {
  const { encoding, list } = block.table;
  const entries = list.map((parameter) => entryOf(block, parameter));
  await saveWeights(directory, entries, options);
  await directory.write(
    'config.json',
    formatConfig(family, config, isStored(encoding) ? quantizationFields(encoding) : {}),
  );
  if (tokenizer) await saveTokenizer(directory, tokenizer);
}

/** Writes tokenizer.json. */
export async function saveTokenizer(directory: Directory, tokenizer: { toJSON(): object }): Promise<void> {
  await directory.write('tokenizer.json', `${JSON.stringify(tokenizer.toJSON(), null, 2)}\n`);
}

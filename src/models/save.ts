/** Writing a model folder: weights, config.json, and a tokenizer. Loaded when a model is saved. */
import type { Directory } from '../files/index.ts';
import { formatConfig, quantizationFields, type SaveWeightsOptions, saveWeights } from '../formats/index.ts';
import type { GPT } from './gpt.ts';
import { isStored, type ParameterBlock } from './parameter-block.ts';
import { entryOf } from './tensor-entry.ts';

export interface SaveOptions extends SaveWeightsOptions {
  /** Saved as `tokenizer.json` in the same folder. */
  readonly tokenizer?: { toJSON(): object };
}

/** @param block the weights of `model` */
export async function saveGPT(
  directory: Directory,
  { family, config }: GPT,
  block: ParameterBlock,
  { tokenizer, ...options }: SaveOptions,
): Promise<void> {
  const { encoding, list } = block.table;
  await saveWeights(
    directory,
    list.map((parameter) => entryOf(block, parameter)),
    options,
  );
  const extra = isStored(encoding) ? quantizationFields(encoding) : {};
  await directory.write('config.json', formatConfig(family, config, extra));
  if (tokenizer) await directory.write('tokenizer.json', `${JSON.stringify(tokenizer.toJSON(), null, 2)}\n`);
}

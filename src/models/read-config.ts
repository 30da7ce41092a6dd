/** config.json: which family, which configuration, and how the weights are stored. */
import type { Directory } from '../files/directory.ts';
import { ConfigFields } from '../formats/config/fields.ts';
import { checkOptions } from '../formats/config/options.ts';
import { type Quantization, readQuantization } from '../formats/config/quantization.ts';
import { type ConfigRecord, formatFields } from '../formats/config/write-fields.ts';
import type { Family, ModelConfig } from './family.ts';
import { familyEntries, familyNameOf, familyOf } from './registry.ts';

/** The content of a config.json. */
export interface ParsedConfig {
  readonly family: Family;
  readonly config: ModelConfig;
  /** How the weights of products are stored, where that is not as floats. */
  readonly quantization?: Quantization;
}

/**
 * Reads a Hugging Face config.json.
 * @param json text of the file.
 * @param file what messages call it. Default 'config.json'.
 * @returns the family and the configuration in this package's names.
 * @throws ConfigError naming file, field, expected and found value.
 * @example
 * const { family, config } = await parseConfig(await readFile('gpt2/config.json', 'utf8'));
 */
export async function parseConfig(json: string, file = 'config.json'): Promise<ParsedConfig> {
  const fields = ConfigFields.parse(json, file);
  const family = await familyOf(fields);
  const parsed = { family, config: family.readConfig(fields) };
  const quantization = readQuantization(fields);
  return quantization ? { ...parsed, quantization } : parsed;
}

/**
 * Reads a folder's config.json; as `parseConfig`.
 * @throws CheckpointError when it is not there.
 */
export async function readConfig(directory: Directory): Promise<ParsedConfig> {
  return parseConfig(await directory.readText('config.json'), `${directory.name}/config.json`);
}

/**
 * The family of a folder's config.json, whatever else that says; undefined where there is none, or of a model that is no family here:
 * its tokenizer may be read nevertheless.
 * @throws ConfigError when config.json is not a JSON object
 */
export async function readFamily(directory: Directory): Promise<Family | undefined> {
  if (!(await directory.has('config.json'))) return undefined;
  const fields = ConfigFields.parse(await directory.readText('config.json'), `${directory.name}/config.json`);
  const modelType = fields.get('model_type');
  const name = typeof modelType === 'string' ? familyNameOf(modelType) : undefined;
  return name === undefined ? undefined : familyEntries().get(name)!.load();
}

/**
 * Writes a config.json that transformers loads.
 * @param family whose config.json it is
 * @param config the options, which are checked
 * @param extra fields to add or replace, such as `quantization_config`.
 * @returns text of the file.
 * @throws ConfigError when the configuration is not valid, or the family's files cannot express it.
 * @example
 * const json = formatConfig(model.family, model.config);
 */
export function formatConfig<C extends ModelConfig>(family: Family<C>, config: C, extra: ConfigRecord = {}): string {
  return formatFields({ ...family.writeConfig(checkOptions(family.rules, config, 'config.json')), ...extra });
}

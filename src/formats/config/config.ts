/** config.json of any family: `model_type` says whose rules read it. */

import type { TensorShape } from '../tensor-names.ts';
import { type Family, familyOf, type ModelFamily, type ParsedConfig, parseFields } from './family.ts';
import { ConfigFields } from './fields.ts';
import type { GPTConfig } from './gpt-config.ts';
import { gpt2Family } from './gpt2.ts';
import { openAIGPTFamily } from './openai-gpt.ts';
import { type ConfigRecord, formatFields } from './write-fields.ts';
import { gpt2Fields } from './write-gpt2.ts';
import { openAIGPTFields } from './write-openai-gpt.ts';

const RULES: Record<ModelFamily, Family> = { gpt2: gpt2Family, 'openai-gpt': openAIGPTFamily };
const FIELDS: Record<ModelFamily, (config: GPTConfig) => ConfigRecord> = {
  gpt2: gpt2Fields,
  'openai-gpt': openAIGPTFields,
};

/**
 * Reads a Hugging Face config.json.
 * @param json text of the file.
 * @param file what messages call it. Default 'config.json'.
 * @returns the family and the configuration in this package's names.
 * @throws ConfigError naming file, field, expected and found value.
 */
export function parseConfig(json: string, file = 'config.json'): ParsedConfig {
  const fields = ConfigFields.parse(json, file);
  const family = familyOf(fields);
  return parseFields(fields, family, RULES[family]);
}

/**
 * Writes a config.json that transformers loads.
 * @param family the model family.
 * @param config the configuration.
 * @param extra fields to add or replace, such as `architectures`.
 * @returns text of the file.
 * @throws ConfigError when the configuration is not valid, or the family cannot express it.
 */
export function formatConfig(family: ModelFamily, config: GPTConfig, extra: ConfigRecord = {}): string {
  return formatFields({ ...FIELDS[family](config), ...extra });
}

/**
 * Names and shapes of a model's tensors, as Hugging Face writes them.
 * @param family the model family.
 * @param config the configuration.
 * @returns the tensors from input to output.
 */
export function modelTensors(family: ModelFamily, config: GPTConfig): TensorShape[] {
  return RULES[family].tensors(config);
}

/** config.json of any family, read: `model_type` says whose rules read it. */
import { type Family, familyOf, type ModelFamily, type ParsedConfig, parseFields } from './family.ts';
import { ConfigFields } from './fields.ts';
import { gpt2Family } from './gpt2.ts';
import { openAIGPTFamily } from './openai-gpt.ts';

export const FAMILIES: Record<ModelFamily, Family> = { gpt2: gpt2Family, 'openai-gpt': openAIGPTFamily };

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
  return parseFields(fields, family, FAMILIES[family]);
}

/**
 * GPT-1's config.json, read
 * (huggingface/transformers `models/openai/configuration_openai.py`, `modeling_openai.py`, 5.17).
 */

import { checkGPTConfig } from './check-config.ts';
import { type ConfigFields, namesOf, sharedOptions } from './fields.ts';
import { GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';

/** Published sizes and transformers' defaults. */
const DEFAULTS = { ...GPT_DEFAULTS, vocabSize: 40478, blockSize: 512 };

/**
 * Translates the fields of a GPT-1 config.json; absent fields take transformers' defaults.
 * Here `afn: "gelu"` means the tanh form (`ACT_FNS = {"gelu": gelu_new, …}`), unlike in GPT-2's file.
 * @param fields the parsed file.
 * @returns the configuration, checked; nInner is 4 · nEmbd, for the family has no such field.
 * @throws ConfigError naming file, field and value.
 */
export function parseOpenAIGPTConfig(fields: ConfigFields): GPTConfig {
  fields.require('tie_word_embeddings', true, 'An output layer of its own is not supported.');
  const afn = fields.string('afn', 'gelu');
  if (afn !== 'gelu' && afn !== 'gelu_new') {
    throw fields.error('afn', 'gelu (its tanh form)', 'Other activations are not supported.');
  }
  const shared = sharedOptions(fields, DEFAULTS);
  const config = { ...shared, nInner: 4 * shared.nEmbd, activation: 'gelu-tanh' } as const;
  return checkGPTConfig(config, fields.file, namesOf({ nInner: 'n_embd', activation: 'afn' }));
}

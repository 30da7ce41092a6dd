/** config.json of any family, written, and the tensors of its models. */

import type { TensorShape } from '../tensor-names.ts';
import type { ModelFamily } from './family.ts';
import type { GPTConfig } from './gpt-config.ts';
import { gpt2Tensors } from './gpt2-tensors.ts';
import { openAIGPTTensors } from './openai-gpt-tensors.ts';
import { type ConfigRecord, formatFields } from './write-fields.ts';
import { gpt2Fields } from './write-gpt2.ts';
import { openAIGPTFields } from './write-openai-gpt.ts';

const FIELDS: Record<ModelFamily, (config: GPTConfig) => ConfigRecord> = {
  gpt2: gpt2Fields,
  'openai-gpt': openAIGPTFields,
};

const TENSORS: Record<ModelFamily, (config: GPTConfig) => TensorShape[]> = {
  gpt2: gpt2Tensors,
  'openai-gpt': openAIGPTTensors,
};

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
  return TENSORS[family](config);
}

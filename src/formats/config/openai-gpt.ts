/**
 * GPT-1's config.json, read, and its tensor names
 * (huggingface/transformers `models/openai/configuration_openai.py`, `modeling_openai.py`, 5.17).
 */

import type { TensorShape } from '../tensor-names.ts';
import { checkGPTConfig } from './check-config.ts';
import type { Family } from './family.ts';
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

/**
 * Names and shapes of a GPT-1's tensors, as transformers' `OpenAIGPTLMHeadModel` saves them.
 * The weights of linear layers are stored [in, out].
 * @param config the configuration.
 * @returns the tensors from input to output; the output layer is the token embedding again and not listed.
 */
export function openAIGPTTensors(config: GPTConfig): TensorShape[] {
  const { vocabSize, blockSize, nLayer, nEmbd } = config;
  const tensors: TensorShape[] = [
    { name: 'transformer.tokens_embed.weight', shape: [vocabSize, nEmbd] },
    { name: 'transformer.positions_embed.weight', shape: [blockSize, nEmbd] },
  ];
  for (let layer = 0; layer < nLayer; layer++) {
    const at = `transformer.h.${layer}`;
    tensors.push(
      { name: `${at}.attn.c_attn.weight`, shape: [nEmbd, 3 * nEmbd] },
      { name: `${at}.attn.c_attn.bias`, shape: [3 * nEmbd] },
      { name: `${at}.attn.c_proj.weight`, shape: [nEmbd, nEmbd] },
      { name: `${at}.attn.c_proj.bias`, shape: [nEmbd] },
      { name: `${at}.ln_1.weight`, shape: [nEmbd] },
      { name: `${at}.ln_1.bias`, shape: [nEmbd] },
      { name: `${at}.mlp.c_fc.weight`, shape: [nEmbd, 4 * nEmbd] },
      { name: `${at}.mlp.c_fc.bias`, shape: [4 * nEmbd] },
      { name: `${at}.mlp.c_proj.weight`, shape: [4 * nEmbd, nEmbd] },
      { name: `${at}.mlp.c_proj.bias`, shape: [nEmbd] },
      { name: `${at}.ln_2.weight`, shape: [nEmbd] },
      { name: `${at}.ln_2.bias`, shape: [nEmbd] },
    );
  }
  return tensors;
}

export const openAIGPTFamily: Family = {
  parse: parseOpenAIGPTConfig,
  tensors: openAIGPTTensors,
};

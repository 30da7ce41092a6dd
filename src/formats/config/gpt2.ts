/**
 * GPT-2's config.json, read
 * (huggingface/transformers `models/gpt2/configuration_gpt2.py`, `modeling_gpt2.py`, 5.17).
 */

import { checkGPTConfig } from './check-config.ts';
import { type ConfigFields, namesOf, sharedOptions } from './fields.ts';
import { GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';
import { ERF, TANH } from './plain-gpt2.ts';

/**
 * Translates the fields of a GPT-2 config.json; absent fields take transformers' defaults.
 * @param fields the parsed file.
 * @returns the configuration, checked.
 * @throws ConfigError naming file, field and value, also for variants of GPT-2 that this package does not compute.
 */
export function parseGPT2Config(fields: ConfigFields): GPTConfig {
  fields.require('scale_attn_weights', true, 'Attention without the 1/√d scale is not supported.');
  fields.require('scale_attn_by_inverse_layer_idx', false, 'Attention scaled by layer is not supported.');
  fields.require('add_cross_attention', false, 'Only decoders without an encoder are supported.');
  fields.require('tie_word_embeddings', true, 'An output layer of its own is not supported.');
  // reorder_and_upcast_attn only changes the order of work in half precision.
  const name = fields.string('activation_function', 'gelu_new');
  const activation = TANH.includes(name) ? 'gelu-tanh' : 'gelu-erf';
  if (activation === 'gelu-erf' && !ERF.includes(name)) {
    throw fields.error(
      'activation_function',
      `one of ${[...TANH, ...ERF].join(', ')}`,
      'Other activations are not supported.',
    );
  }
  const shared = sharedOptions(fields, GPT_DEFAULTS, 50256);
  const config = { ...shared, nInner: fields.number(['n_inner'], 4 * shared.nEmbd), activation } as const;
  return checkGPTConfig(config, fields.file, namesOf({ nInner: 'n_inner', activation: 'activation_function' }));
}

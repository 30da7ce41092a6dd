/**
 * GPT-2's config.json, read, and its tensor names
 * (huggingface/transformers `models/gpt2/configuration_gpt2.py`, `modeling_gpt2.py`, 5.17).
 */

import type { TensorShape } from '../tensor-names.ts';
import type { Family } from './family.ts';
import { type ConfigFields, namesOf, sharedOptions } from './fields.ts';
import { checkGPTConfig, GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';

/** `activation_function`: what means which formula (transformers `activations.py`, ACT2CLS). */
const TANH = ['gelu_new', 'gelu_pytorch_tanh', 'gelu_python_tanh', 'gelu_fast', 'gelu_accurate'];
const ERF = ['gelu', 'gelu_python'];

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

/**
 * Names and shapes of a GPT-2's tensors, as transformers' `GPT2LMHeadModel` saves them.
 * The weights of linear layers are stored [in, out].
 * @param config the configuration.
 * @returns the tensors from input to output; the output layer is `transformer.wte.weight` again and not listed.
 */
export function gpt2Tensors(config: GPTConfig): TensorShape[] {
  const { vocabSize, blockSize, nLayer, nEmbd, nInner } = config;
  const tensors: TensorShape[] = [
    { name: 'transformer.wte.weight', shape: [vocabSize, nEmbd] },
    { name: 'transformer.wpe.weight', shape: [blockSize, nEmbd] },
  ];
  /** A weight and its bias: those of a linear layer, or of a layer norm where `inputs` is left out. */
  const layer = (name: string, outputs: number, ...inputs: number[]) =>
    tensors.push(
      { name: `transformer.${name}.weight`, shape: [...inputs, outputs] },
      { name: `transformer.${name}.bias`, shape: [outputs] },
    );
  for (let block = 0; block < nLayer; block++) {
    const at = `h.${block}`;
    layer(`${at}.ln_1`, nEmbd);
    layer(`${at}.attn.c_attn`, 3 * nEmbd, nEmbd);
    layer(`${at}.attn.c_proj`, nEmbd, nEmbd);
    layer(`${at}.ln_2`, nEmbd);
    layer(`${at}.mlp.c_fc`, nInner, nEmbd);
    layer(`${at}.mlp.c_proj`, nEmbd, nInner);
  }
  layer('ln_f', nEmbd);
  return tensors;
}

export const gpt2Family: Family = { parse: parseGPT2Config, tensors: gpt2Tensors };

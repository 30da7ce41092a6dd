/**
 * GPT-2's config.json, read, and its tensor names
 * (huggingface/transformers `models/gpt2/configuration_gpt2.py`, `modeling_gpt2.py`, 5.17).
 */

import type { TensorShape } from '../tensor-names.ts';
import type { Family } from './family.ts';
import type { ConfigFields } from './fields.ts';
import { type Activation, checkGPTConfig, GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';

/** `activation_function` → the formula it means (transformers `activations.py`, ACT2CLS). */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
  gelu_python_tanh: 'gelu-tanh',
  gelu_fast: 'gelu-tanh',
  gelu_accurate: 'gelu-tanh',
  gelu: 'gelu-erf',
  gelu_python: 'gelu-erf',
};

const FIELDS: Readonly<Record<keyof GPTConfig, string>> = {
  vocabSize: 'vocab_size',
  blockSize: 'n_positions',
  nLayer: 'n_layer',
  nHead: 'n_head',
  nEmbd: 'n_embd',
  nInner: 'n_inner',
  activation: 'activation_function',
  layerNormEpsilon: 'layer_norm_epsilon',
  embdDropout: 'embd_pdrop',
  attnDropout: 'attn_pdrop',
  residDropout: 'resid_pdrop',
  initializerRange: 'initializer_range',
  bosTokenId: 'bos_token_id',
  eosTokenId: 'eos_token_id',
};

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
  if (!Object.hasOwn(ACTIVATIONS, name)) {
    throw fields.error(
      'activation_function',
      `one of ${Object.keys(ACTIVATIONS).join(', ')}`,
      'Other activations are not supported.',
    );
  }
  const nEmbd = fields.number(['n_embd', 'hidden_size'], GPT_DEFAULTS.nEmbd);
  const vocabSize = fields.number(['vocab_size'], GPT_DEFAULTS.vocabSize);
  const bosTokenId = fields.tokenId('bos_token_id', 50256, vocabSize);
  const eosTokenId = fields.tokenId('eos_token_id', 50256, vocabSize);
  const config = {
    vocabSize,
    blockSize: fields.number(['n_positions', 'max_position_embeddings', 'n_ctx'], GPT_DEFAULTS.blockSize),
    nLayer: fields.number(['n_layer', 'num_hidden_layers'], GPT_DEFAULTS.nLayer),
    nHead: fields.number(['n_head', 'num_attention_heads'], GPT_DEFAULTS.nHead),
    nEmbd,
    nInner: fields.number(['n_inner'], 4 * nEmbd),
    activation: ACTIVATIONS[name]!,
    layerNormEpsilon: fields.number(['layer_norm_epsilon'], GPT_DEFAULTS.layerNormEpsilon),
    embdDropout: fields.number(['embd_pdrop'], GPT_DEFAULTS.embdDropout),
    attnDropout: fields.number(['attn_pdrop'], GPT_DEFAULTS.attnDropout),
    residDropout: fields.number(['resid_pdrop'], GPT_DEFAULTS.residDropout),
    initializerRange: fields.number(['initializer_range'], GPT_DEFAULTS.initializerRange),
    ...(bosTokenId === undefined ? {} : { bosTokenId }),
    ...(eosTokenId === undefined ? {} : { eosTokenId }),
  };
  return checkGPTConfig(config, fields.file, (option) => FIELDS[option]);
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
  for (let layer = 0; layer < nLayer; layer++) {
    const at = `transformer.h.${layer}`;
    tensors.push(
      { name: `${at}.ln_1.weight`, shape: [nEmbd] },
      { name: `${at}.ln_1.bias`, shape: [nEmbd] },
      { name: `${at}.attn.c_attn.weight`, shape: [nEmbd, 3 * nEmbd] },
      { name: `${at}.attn.c_attn.bias`, shape: [3 * nEmbd] },
      { name: `${at}.attn.c_proj.weight`, shape: [nEmbd, nEmbd] },
      { name: `${at}.attn.c_proj.bias`, shape: [nEmbd] },
      { name: `${at}.ln_2.weight`, shape: [nEmbd] },
      { name: `${at}.ln_2.bias`, shape: [nEmbd] },
      { name: `${at}.mlp.c_fc.weight`, shape: [nEmbd, nInner] },
      { name: `${at}.mlp.c_fc.bias`, shape: [nInner] },
      { name: `${at}.mlp.c_proj.weight`, shape: [nInner, nEmbd] },
      { name: `${at}.mlp.c_proj.bias`, shape: [nEmbd] },
    );
  }
  tensors.push({ name: 'transformer.ln_f.weight', shape: [nEmbd] }, { name: 'transformer.ln_f.bias', shape: [nEmbd] });
  return tensors;
}

export const gpt2Family: Family = { parse: parseGPT2Config, tensors: gpt2Tensors };

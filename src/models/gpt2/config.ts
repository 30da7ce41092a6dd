/**
 * GPT-2's configuration: GPT-1's options with other defaults, and config.json both ways
 * (huggingface/transformers `models/gpt2/configuration_gpt2.py`, `modeling_gpt2.py`, 5.17).
 */
import type { ConfigFields } from '../../formats/config/fields.ts';
import type { ConfigRecord } from '../../formats/config/write-fields.ts';
import {
  completeGPT,
  fieldName,
  GPT_DEFAULTS,
  GPT_RULES,
  type GPTConfig,
  readGPTOptions,
  writeGPTOptions,
} from '../gpt1/options.ts';

/** GPT-2 small (124M), as transformers' `GPT2Config()`. */
const DEFAULTS = { ...GPT_DEFAULTS, vocabSize: 50257, blockSize: 1024 };

/** `<|endoftext|>`, which begins and ends texts. */
const END_OF_TEXT = 50256;

/** `activation_function`: what means which formula (transformers `activations.py`, ACT2CLS). */
const TANH = ['gelu_new', 'gelu_pytorch_tanh', 'gelu_python_tanh', 'gelu_fast', 'gelu_accurate'];
const ERF = ['gelu', 'gelu_python'];

export function completeGPT2(options: Partial<GPTConfig>): GPTConfig {
  return completeGPT(options, DEFAULTS);
}

export function readGPT2Config(fields: ConfigFields): GPTConfig {
  fields.require('scale_attn_weights', true, 'Attention without the 1/√d scale is not supported.');
  fields.require('scale_attn_by_inverse_layer_idx', false, 'Attention scaled by layer is not supported.');
  fields.require('add_cross_attention', false, 'Only decoders without an encoder are supported.');
  fields.require('tie_word_embeddings', true, 'An output layer of its own is not supported.');
  // reorder_and_upcast_attn only changes the order of work in half precision.
  const name = fields.string('activation_function', 'gelu_new');
  if (!TANH.includes(name) && !ERF.includes(name)) {
    const expected = `one of ${[...TANH, ...ERF].join(', ')}`;
    throw fields.error('activation_function', expected, 'Other activations are not supported.');
  }
  const shared = readGPTOptions(fields, DEFAULTS, END_OF_TEXT);
  const config: GPTConfig = {
    ...shared,
    nInner: fields.number(['n_inner'], 4 * shared.nEmbd),
    activation: TANH.includes(name) ? 'gelu-tanh' : 'gelu-erf',
  };
  return fields.check(GPT_RULES, config, fieldName({ nInner: 'n_inner', activation: 'activation_function' }));
}

export function writeGPT2Config(config: GPTConfig): ConfigRecord {
  return {
    ...writeGPTOptions(config),
    activation_function: config.activation === 'gelu-tanh' ? 'gelu_new' : 'gelu',
    add_cross_attention: false,
    architectures: ['GPT2LMHeadModel'],
    model_type: 'gpt2',
    n_inner: config.nInner === 4 * config.nEmbd ? null : config.nInner,
    reorder_and_upcast_attn: false,
    scale_attn_by_inverse_layer_idx: false,
    scale_attn_weights: true,
    use_cache: true,
  };
}

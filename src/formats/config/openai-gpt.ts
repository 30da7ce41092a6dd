/**
 * GPT-1's config.json, read, and its tensor names
 * (huggingface/transformers `models/openai/configuration_openai.py`, `modeling_openai.py`, 5.17).
 */

import type { TensorShape } from '../tensor-names.ts';
import type { Family } from './family.ts';
import type { ConfigFields } from './fields.ts';
import { checkGPTConfig, GPT_DEFAULTS, type GPTConfig } from './gpt-config.ts';

const FIELDS: Readonly<Record<keyof GPTConfig, string>> = {
  vocabSize: 'vocab_size',
  blockSize: 'n_positions',
  nLayer: 'n_layer',
  nHead: 'n_head',
  nEmbd: 'n_embd',
  nInner: 'n_embd',
  activation: 'afn',
  layerNormEpsilon: 'layer_norm_epsilon',
  embdDropout: 'embd_pdrop',
  attnDropout: 'attn_pdrop',
  residDropout: 'resid_pdrop',
  initializerRange: 'initializer_range',
  bosTokenId: 'bos_token_id',
  eosTokenId: 'eos_token_id',
};

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
  const nEmbd = fields.number(['n_embd', 'hidden_size'], 768);
  const vocabSize = fields.number(['vocab_size'], 40478);
  const bosTokenId = fields.tokenId('bos_token_id', undefined, vocabSize);
  const eosTokenId = fields.tokenId('eos_token_id', undefined, vocabSize);
  const config: GPTConfig = {
    vocabSize,
    blockSize: fields.number(['n_positions', 'max_position_embeddings', 'n_ctx'], 512),
    nLayer: fields.number(['n_layer', 'num_hidden_layers'], 12),
    nHead: fields.number(['n_head', 'num_attention_heads'], 12),
    nEmbd,
    nInner: 4 * nEmbd,
    activation: 'gelu-tanh',
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

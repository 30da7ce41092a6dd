/** GPT-2's config.json, written; `gpt2.ts` reads it. */

import { checkGPTConfig } from './check-config.ts';
import type { GPTConfig } from './gpt-config.ts';
import { type ConfigRecord, PythonFloat } from './write-fields.ts';

/**
 * Translates a configuration into the fields of a GPT-2 config.json that transformers loads.
 * @param config the configuration.
 * @returns the fields.
 * @throws ConfigError when the configuration is not valid.
 */
export function gpt2Fields(config: GPTConfig): ConfigRecord {
  const checked = checkGPTConfig(config, 'config.json');
  return {
    activation_function: checked.activation === 'gelu-tanh' ? 'gelu_new' : 'gelu',
    add_cross_attention: false,
    architectures: ['GPT2LMHeadModel'],
    attn_pdrop: checked.attnDropout,
    bos_token_id: checked.bosTokenId ?? null,
    dtype: 'float32',
    embd_pdrop: checked.embdDropout,
    eos_token_id: checked.eosTokenId ?? null,
    initializer_range: new PythonFloat(checked.initializerRange),
    layer_norm_epsilon: new PythonFloat(checked.layerNormEpsilon),
    model_type: 'gpt2',
    n_embd: checked.nEmbd,
    n_head: checked.nHead,
    n_inner: checked.nInner === 4 * checked.nEmbd ? null : checked.nInner,
    n_layer: checked.nLayer,
    n_positions: checked.blockSize,
    pad_token_id: null,
    reorder_and_upcast_attn: false,
    resid_pdrop: checked.residDropout,
    scale_attn_by_inverse_layer_idx: false,
    scale_attn_weights: true,
    summary_activation: null,
    summary_first_dropout: 0.1,
    summary_proj_to_labels: true,
    summary_type: 'cls_index',
    summary_use_proj: true,
    tie_word_embeddings: true,
    transformers_version: '5.17.0',
    use_cache: true,
    vocab_size: checked.vocabSize,
  };
}

/** GPT-1's config.json, written; `openai-gpt.ts` reads it. */

import { checkGPTConfig, configError } from './check-config.ts';
import type { GPTConfig } from './gpt-config.ts';
import { type ConfigRecord, PythonFloat } from './write-fields.ts';

/**
 * Translates a configuration into the fields of a GPT-1 config.json that transformers loads.
 * @param config the configuration.
 * @returns the fields.
 * @throws ConfigError when it is not valid, or the family cannot express it: erf GELU, nInner other than 4 · nEmbd.
 */
export function openAIGPTFields(config: GPTConfig): ConfigRecord {
  const checked = checkGPTConfig(config, 'config.json');
  const { activation, nEmbd, nInner } = checked;
  if (activation !== 'gelu-tanh') {
    throw configError(
      'config.json',
      'activation',
      "'gelu-tanh' for openai-gpt",
      activation,
      'Save it as gpt2, or change it.',
    );
  }
  if (nInner !== 4 * nEmbd) {
    throw configError('config.json', 'nInner', `4 · nEmbd = ${4 * nEmbd} for openai-gpt`, nInner);
  }
  return {
    afn: 'gelu',
    architectures: ['OpenAIGPTLMHeadModel'],
    attn_pdrop: checked.attnDropout,
    bos_token_id: checked.bosTokenId ?? null,
    dtype: 'float32',
    embd_pdrop: checked.embdDropout,
    eos_token_id: checked.eosTokenId ?? null,
    initializer_range: new PythonFloat(checked.initializerRange),
    layer_norm_epsilon: new PythonFloat(checked.layerNormEpsilon),
    model_type: 'openai-gpt',
    n_embd: nEmbd,
    n_head: checked.nHead,
    n_layer: checked.nLayer,
    n_positions: checked.blockSize,
    pad_token_id: null,
    resid_pdrop: checked.residDropout,
    summary_activation: null,
    summary_first_dropout: 0.1,
    summary_proj_to_labels: true,
    summary_type: 'cls_index',
    summary_use_proj: true,
    tie_word_embeddings: true,
    transformers_version: '5.17.0',
    vocab_size: checked.vocabSize,
  };
}

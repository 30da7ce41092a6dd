/**
 * The options that GPT-1 and GPT-2 have in common: ranges, and their fields of config.json both ways. What is GPT-1's alone stands in
 * config-json.ts, which programs that run a GPT-2 do not load.
 */
import type { ConfigFields } from '../../formats/config/fields.ts';
import {
  count,
  DROPOUT,
  EPSILON,
  multipleOf,
  numberUpTo,
  type OptionRules,
  oneOf,
  TOKEN_ID,
} from '../../formats/config/options.ts';
import { type ConfigRecord, PythonFloat } from '../../formats/config/write-fields.ts';
import type { ModelConfig, Options } from '../family.ts';

/** Shape and hyperparameters of a GPT-1 or GPT-2. */
export interface GPTConfig extends ModelConfig {
  /** Number of token ids, 1 … 2^24. */
  readonly vocabSize: number;
  /** Longest context, tokens, 1 … 2^24. */
  readonly blockSize: number;
  /** Number of blocks, 1 … 4096. */
  readonly nLayer: number;
  /** Attention heads per block, 1 … nEmbd; divides nEmbd. */
  readonly nHead: number;
  /** Width of the residual stream, 1 … 2^20. */
  readonly nEmbd: number;
  /** Width of the hidden layer of each feed-forward network, 1 … 2^24. Default 4 · nEmbd. */
  readonly nInner: number;
  /** GELU as 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))), or as x·Φ(x) by the error function. */
  readonly activation: 'gelu-tanh' | 'gelu-erf';
  /** Added to the variance in layer norms, above 0 and at most 1. */
  readonly layerNormEpsilon: number;
  /** Dropout after the embeddings, 0 ≤ p < 1. */
  readonly embdDropout: number;
  /** Dropout of attention weights, 0 ≤ p < 1. */
  readonly attnDropout: number;
  /** Dropout after attention and feed-forward network, 0 ≤ p < 1. */
  readonly residDropout: number;
  /** Standard deviation of new weights, 0 … 100. */
  readonly initializerRange: number;
}

/** Options that depend on no other one. */
export type Independent = Omit<GPTConfig, 'nInner' | 'bosTokenId' | 'eosTokenId'>;

/** The largest of each is more than 4 GiB hold. */
export const GPT_RULES: OptionRules<GPTConfig> = {
  vocabSize: [count(2 ** 24)],
  blockSize: [count(2 ** 24)],
  nLayer: [count(4096)],
  nHead: [count(2 ** 20)],
  nEmbd: [count(2 ** 20), multipleOf('nHead')],
  nInner: [count(2 ** 24)],
  activation: [oneOf('gelu-tanh', 'gelu-erf')],
  layerNormEpsilon: [EPSILON],
  embdDropout: [DROPOUT],
  attnDropout: [DROPOUT],
  residDropout: [DROPOUT],
  initializerRange: [numberUpTo(100)],
  bosTokenId: [TOKEN_ID],
  eosTokenId: [TOKEN_ID],
};

export const GPT_DROPOUTS = ['embdDropout', 'attnDropout', 'residDropout'] as const;

/** Completes options with defaults. */
export function completeGPT(options: Options<GPTConfig>, defaults: Independent): GPTConfig {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const merged: Independent & Options<GPTConfig> = { ...defaults, ...given };
  return { ...merged, nInner: merged.nInner ?? 4 * merged.nEmbd } as GPTConfig;
}

/** What the files of GPT-1 and GPT-2 call an option; the first name is the one that messages use. */
export const FIELD_NAMES = {
  vocabSize: ['vocab_size'],
  blockSize: ['n_positions', 'max_position_embeddings', 'n_ctx'],
  nLayer: ['n_layer', 'num_hidden_layers'],
  nHead: ['n_head', 'num_attention_heads'],
  nEmbd: ['n_embd', 'hidden_size'],
  layerNormEpsilon: ['layer_norm_epsilon'],
  embdDropout: ['embd_pdrop'],
  attnDropout: ['attn_pdrop'],
  residDropout: ['resid_pdrop'],
  initializerRange: ['initializer_range'],
} as const;

type NumberOption = keyof typeof FIELD_NAMES;
type TokenOptions = Pick<GPTConfig, 'bosTokenId' | 'eosTokenId'>;

/**
 * The options that the files of GPT-1 and GPT-2 name alike, unchecked.
 * @param defaults what transformers takes where a field is absent
 * @param tokenId of the beginning and the end of a text
 */
export function readGPTOptions(
  fields: ConfigFields,
  defaults: Independent,
  tokenId?: number,
): Pick<GPTConfig, NumberOption> & TokenOptions {
  const read = (option: NumberOption) => fields.number(FIELD_NAMES[option], defaults[option]);
  const vocabSize = read('vocabSize');
  const bosTokenId = fields.tokenId('bos_token_id', tokenId, vocabSize);
  const eosTokenId = fields.tokenId('eos_token_id', tokenId, vocabSize);
  return {
    vocabSize,
    blockSize: read('blockSize'),
    nLayer: read('nLayer'),
    nHead: read('nHead'),
    nEmbd: read('nEmbd'),
    layerNormEpsilon: read('layerNormEpsilon'),
    embdDropout: read('embdDropout'),
    attnDropout: read('attnDropout'),
    residDropout: read('residDropout'),
    initializerRange: read('initializerRange'),
    ...(bosTokenId !== undefined && { bosTokenId }),
    ...(eosTokenId !== undefined && { eosTokenId }),
  };
}

/** The fields that both families write alike. */
export function writeGPTOptions(config: GPTConfig): ConfigRecord {
  return {
    attn_pdrop: config.attnDropout,
    bos_token_id: config.bosTokenId ?? null,
    dtype: 'float32',
    embd_pdrop: config.embdDropout,
    eos_token_id: config.eosTokenId ?? null,
    initializer_range: new PythonFloat(config.initializerRange),
    layer_norm_epsilon: new PythonFloat(config.layerNormEpsilon),
    n_embd: config.nEmbd,
    n_head: config.nHead,
    n_layer: config.nLayer,
    n_positions: config.blockSize,
    pad_token_id: null,
    resid_pdrop: config.residDropout,
    summary_activation: null,
    summary_first_dropout: 0.1,
    summary_proj_to_labels: true,
    summary_type: 'cls_index',
    summary_use_proj: true,
    tie_word_embeddings: true,
    transformers_version: '5.17.0',
    vocab_size: config.vocabSize,
  };
}

/** What a message calls an option in a config.json. */
export function fieldName(own: Readonly<Record<string, string>>): (option: string) => string {
  return (option) => own[option] ?? FIELD_NAMES[option as NumberOption]?.[0] ?? `${option.slice(0, 3)}_token_id`;
}

export function shapeOfGPT({ nLayer, nHead, nEmbd }: GPTConfig): string {
  return `${nLayer} layers, ${nHead} heads, ${nEmbd} wide`;
}

export function describeGPT(config: GPTConfig): string[] {
  const { activation, layerNormEpsilon, embdDropout, attnDropout, residDropout } = config;
  return [
    `Activation: ${activation}; layer norm ε ${layerNormEpsilon}`,
    `Dropout: embeddings ${embdDropout}, attention ${attnDropout}, residual ${residDropout}`,
  ];
}

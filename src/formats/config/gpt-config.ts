/**
 * The options of a GPT, under the names this package uses, with their defaults (GPT-2 small) and ranges.
 * The output layer always shares the token embedding. Hugging Face's names are translated in `gpt2.ts` and
 * `openai-gpt.ts`, one file per family.
 */

import { ConfigError } from '../../errors.ts';

/** The two forms of GELU: 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))), and x·Φ(x) by the error function. */
export type Activation = 'gelu-tanh' | 'gelu-erf';

/** Shape and hyperparameters of a GPT-1 or GPT-2 model. */
export interface GPTConfig {
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
  /** Width of the hidden layer of each MLP, 1 … 2^24. */
  readonly nInner: number;
  readonly activation: Activation;
  /** Added to the variance in layer norms, above 0 and at most 1. */
  readonly layerNormEpsilon: number;
  /** Dropout after the embeddings, 0 ≤ p < 1. */
  readonly embdDropout: number;
  /** Dropout of attention weights, 0 ≤ p < 1. */
  readonly attnDropout: number;
  /** Dropout after attention and MLP, 0 ≤ p < 1. */
  readonly residDropout: number;
  /** Standard deviation of new weights, 0 … 100. */
  readonly initializerRange: number;
  /** Token id that begins a text, below vocabSize. */
  readonly bosTokenId?: number;
  /** Token id that ends a text, below vocabSize. */
  readonly eosTokenId?: number;
}

/** GPT-2 small (124M), as transformers' `GPT2Config()`; nInner is 4 · nEmbd unless it is given. */
export const GPT_DEFAULTS: Omit<GPTConfig, 'nInner' | 'bosTokenId' | 'eosTokenId'> = {
  vocabSize: 50257,
  blockSize: 1024,
  nLayer: 12,
  nHead: 12,
  nEmbd: 768,
  activation: 'gelu-tanh',
  layerNormEpsilon: 1e-5,
  embdDropout: 0.1,
  attnDropout: 0.1,
  residDropout: 0.1,
  initializerRange: 0.02,
};

/** Largest value of each whole-number option; a model near any of these would not fit 4 GiB. */
const MAXIMA = {
  vocabSize: 2 ** 24,
  blockSize: 2 ** 24,
  nLayer: 4096,
  nHead: 2 ** 20,
  nEmbd: 2 ** 20,
  nInner: 2 ** 24,
};

/** What an option is called in the messages, such as `n_embd` for nEmbd in a config.json. */
export type NameOption = (option: keyof GPTConfig) => string;

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

/** The error for an option that is missing or wrong. */
export function configError(
  where: string,
  option: string,
  expected: string,
  value: unknown,
  hint?: string,
): ConfigError {
  return new ConfigError(
    `${where}: expected ${option} to be ${expected}, got ${show(value)}. ${hint ?? `Change ${option}.`}`,
  );
}

/**
 * Checks every option of a complete configuration.
 * @param config the options; values of any type are survived.
 * @param where what the message names: a file, a function. Default 'GPTConfig'.
 * @param nameOption how the message calls an option. Default: as here.
 * @returns a frozen copy with exactly the options of `GPTConfig`.
 * @throws ConfigError naming the option, its range and its value.
 */
export function checkGPTConfig(
  config: GPTConfig,
  where = 'GPTConfig',
  nameOption: NameOption = (option) => option,
): GPTConfig {
  const fail = (option: keyof GPTConfig, expected: string): never => {
    throw configError(where, nameOption(option), expected, config[option]);
  };
  for (const option of ['vocabSize', 'blockSize', 'nLayer', 'nHead', 'nEmbd', 'nInner'] as const) {
    const value = config[option];
    if (!Number.isInteger(value) || value < 1 || value > MAXIMA[option]) {
      fail(option, `a whole number from 1 to ${MAXIMA[option]}`);
    }
  }
  if (config.nEmbd % config.nHead !== 0) {
    fail('nEmbd', `a multiple of ${nameOption('nHead')} = ${config.nHead}`);
  }
  if (config.activation !== 'gelu-tanh' && config.activation !== 'gelu-erf') {
    fail('activation', "'gelu-tanh' or 'gelu-erf'");
  }
  const epsilon = config.layerNormEpsilon;
  if (typeof epsilon !== 'number' || !(Math.fround(epsilon) > 0 && epsilon <= 1)) {
    fail('layerNormEpsilon', 'a number above 0 and at most 1');
  }
  for (const option of ['embdDropout', 'attnDropout', 'residDropout'] as const) {
    const value = config[option];
    if (typeof value !== 'number' || !(value >= 0 && Math.fround(value) < 1))
      fail(option, 'a number from 0 to below 1');
  }
  const range = config.initializerRange;
  if (typeof range !== 'number' || !(range >= 0 && range <= 100)) fail('initializerRange', 'a number from 0 to 100');
  for (const option of ['bosTokenId', 'eosTokenId'] as const) {
    const value = config[option];
    if (value !== undefined && (!Number.isInteger(value) || value < 0 || value >= config.vocabSize)) {
      fail(option, `a token id below ${nameOption('vocabSize')} = ${config.vocabSize}`);
    }
  }
  return Object.freeze({
    vocabSize: config.vocabSize,
    blockSize: config.blockSize,
    nLayer: config.nLayer,
    nHead: config.nHead,
    nEmbd: config.nEmbd,
    nInner: config.nInner,
    activation: config.activation,
    layerNormEpsilon: epsilon,
    embdDropout: config.embdDropout,
    attnDropout: config.attnDropout,
    residDropout: config.residDropout,
    initializerRange: range,
    ...(config.bosTokenId === undefined ? {} : { bosTokenId: config.bosTokenId }),
    ...(config.eosTokenId === undefined ? {} : { eosTokenId: config.eosTokenId }),
  });
}

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
  const check = (options: readonly (keyof GPTConfig)[], expected: string, isRight: (value: never) => boolean) => {
    for (const option of options)
      if (!isRight(config[option] as never)) throw configError(where, nameOption(option), expected, config[option]);
  };
  for (const [option, most] of Object.entries(MAXIMA) as [keyof GPTConfig, number][])
    check(
      [option],
      `a whole number from 1 to ${most}`,
      (value) => Number.isInteger(value) && value >= 1 && value <= most,
    );
  const { nHead, nEmbd, vocabSize } = config;
  check(['nEmbd'], `a multiple of ${nameOption('nHead')} = ${nHead}`, () => nEmbd % nHead === 0);
  check(['activation'], "'gelu-tanh' or 'gelu-erf'", (value) => value === 'gelu-tanh' || value === 'gelu-erf');
  const within = (value: unknown, most: number): value is number =>
    typeof value === 'number' && value >= 0 && value <= most;
  check(['layerNormEpsilon'], 'a number above 0 and at most 1', (value) => within(value, 1) && Math.fround(value) > 0);
  const dropouts = ['embdDropout', 'attnDropout', 'residDropout'] as const;
  check(dropouts, 'a number from 0 to below 1', (value) => within(value, 1) && Math.fround(value) < 1);
  check(['initializerRange'], 'a number from 0 to 100', (value) => within(value, 100));
  const ids = ['bosTokenId', 'eosTokenId'] as const;
  const expected = `a token id below ${nameOption('vocabSize')} = ${vocabSize}`;
  check(ids, expected, (value) => value === undefined || (Number.isInteger(value) && value >= 0 && value < vocabSize));
  const options = [...Object.keys({ ...MAXIMA, ...GPT_DEFAULTS }), ...ids] as (keyof GPTConfig)[];
  const given = options.filter((option) => config[option] !== undefined);
  return Object.freeze(Object.fromEntries(given.map((option) => [option, config[option]]))) as unknown as GPTConfig;
}

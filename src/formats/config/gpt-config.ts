/**
 * The options of a GPT, under the names this package uses, with their defaults (GPT-2 small) and ranges.
 * The output layer always shares the token embedding. Hugging Face's names are translated in `gpt2.ts` and
 * `openai-gpt.ts`, one file per family.
 */

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
export const MAXIMA = {
  vocabSize: 2 ** 24,
  blockSize: 2 ** 24,
  nLayer: 4096,
  nHead: 2 ** 20,
  nEmbd: 2 ** 20,
  nInner: 2 ** 24,
};

type Rule = readonly [
  options: readonly (keyof GPTConfig)[],
  isRight: (value: never, config: GPTConfig, option: keyof typeof MAXIMA) => boolean,
];

const within = (value: unknown, most: number) => typeof value === 'number' && value >= 0 && value <= most;

/** What options must be, which check-config.ts says in words. */
export const RULES: readonly Rule[] = [
  [
    Object.keys(MAXIMA) as (keyof typeof MAXIMA)[],
    (value, _config, option) => Number.isInteger(value) && value >= 1 && value <= MAXIMA[option],
  ],
  [['nEmbd'], (value, { nHead }) => value % nHead === 0],
  [['activation'], (value) => value === 'gelu-tanh' || value === 'gelu-erf'],
  [['layerNormEpsilon'], (value) => within(value, 1) && Math.fround(value) > 0],
  [['embdDropout', 'attnDropout', 'residDropout'], (value) => within(value, 1) && Math.fround(value) < 1],
  [['initializerRange'], (value) => within(value, 100)],
  [
    ['bosTokenId', 'eosTokenId'],
    (value, { vocabSize }) => value === undefined || (Number.isInteger(value) && value >= 0 && value < vocabSize),
  ],
];

/** Whether an option of this configuration is as its rule says. */
export function obeys(config: GPTConfig, [, isRight]: Rule, option: keyof GPTConfig): boolean {
  return isRight(config[option] as never, config, option as keyof typeof MAXIMA);
}

/** A frozen copy with exactly the options of `GPTConfig`. */
export function frozenConfig(config: GPTConfig): GPTConfig {
  const options = new Set(RULES.flatMap(([options]) => options));
  const given = [...options].filter((option) => config[option] !== undefined);
  return Object.freeze(Object.fromEntries(given.map((option) => [option, config[option]]))) as unknown as GPTConfig;
}

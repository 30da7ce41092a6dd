/** The options of sampling and generation: their names, defaults and ranges, in one place. */
import { ConfigError } from '../errors.ts';
import { checkNames } from '../formats/config/options.ts';
import type { CacheDtype } from '../graph/ops/cached-attention.ts';
import { checkSeed } from '../random/index.ts';

/**
 * How a token is chosen from logits.
 *
 * @example
 * ```ts
 * const options: SamplingOptions = { temperature: 0.8, topK: 40, topP: 0.95, repetitionPenalty: 1.1, seed: 7 };
 * ```
 */
export interface SamplingOptions {
  /** Logits are divided by it: below 1 likely tokens become likelier; 0 always takes the likeliest. Default 1. */
  readonly temperature?: number | undefined;
  /** Only the k likeliest tokens are drawn from, 1 or more; above the vocabulary's size all are. Default all. */
  readonly topK?: number | undefined;
  /** Only the fewest likeliest tokens whose probabilities sum to this much are drawn from, above 0 to 1. Default 1: all. */
  readonly topP?: number | undefined;
  /** Above 1 tokens that the sequence already holds become less likely, below 1 likelier; above 0. Default 1. */
  readonly repetitionPenalty?: number | undefined;
  /** Draws the tokens, 0 … 2^53 − 1: the same seed gives the same tokens. Default 0. */
  readonly seed?: number | undefined;
}

/** Why a sequence ended: enough tokens, a stop token or string, the document's end, or a full context. */
export type FinishReason = 'length' | 'stop' | 'endOfText' | 'context';

/**
 * How token ids are generated.
 *
 * @example
 * ```ts
 * const options: GenerateOptions = { maxNewTokens: 64, temperature: 0, whenFull: 'stop' };
 * ```
 */
export interface GenerateOptions extends SamplingOptions {
  /** Tokens to generate at most for each prompt, 1 or more. Default 128. */
  readonly maxNewTokens?: number | undefined;
  /** Ids that end a sequence; they are not part of what was generated. Default none. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /**
   * The id that stands between documents: it ends a sequence (and is not part of what was generated), and an empty prompt
   * starts from it. null: there is none. Default: the tokenizer's, or the model's `eosTokenId`.
   */
  readonly endOfText?: number | null | undefined;
  /** Whether `endOfText` ends a sequence. Default true. */
  readonly stopAtEndOfText?: boolean | undefined;
  /**
   * What happens at the end of the model's context. `slide`: the last half of the context is read again as a new prompt, and
   * generation goes on; of a longer prompt only the last blockSize tokens are read. `stop`: the sequence ends, and a longer
   * prompt is an error. Default `slide`.
   */
  readonly whenFull?: 'slide' | 'stop' | undefined;
  /** Cancels: the generator then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Prompts that are kept in memory side by side; the others wait for a place. Default 8. */
  readonly batchSize?: number | undefined;
  /**
   * What keys and values of read tokens are kept as; bf16 takes half the memory, and is faster after long texts. Default: bf16 for
   * weights in q8 or q4, unless the precision is `exact`; else f32.
   */
  readonly cacheDtype?: CacheDtype | undefined;
  /**
   * Where the draws of the first prompt come from; prompt i draws from sequence `sequence + i` of the seed. So prompt 3 of
   * several gives the same tokens alone with `sequence: 3`. Default 0.
   */
  readonly sequence?: number | undefined;
  /** Whether each token comes with the logarithm of its probability. Default false. */
  readonly logProbabilities?: boolean | undefined;
  /** How many of the likeliest tokens come with each token, those that could have been drawn instead; 0 … 100. Default 0. */
  readonly alternatives?: number | undefined;
}

/** Sampling options with every default filled in. */
export type CheckedSampling = { readonly [K in keyof SamplingOptions]-?: number };

function wrong(where: string, expected: string, got: unknown, advice: string): ConfigError {
  const text = typeof got === 'string' ? JSON.stringify(got) : String(got);
  return new ConfigError(`${where}: expected ${expected}, got ${text}. ${advice}`);
}

/**
 * Fills in the defaults of sampling options and checks them.
 *
 * @param options - As the user gave them.
 * @param where - What the message names.
 * @throws {ConfigError} Naming the option, its range and its value.
 */
export function checkSampling(options: SamplingOptions, where = 'generate'): CheckedSampling {
  const { temperature = 1, topK = Number.POSITIVE_INFINITY, topP = 1, repetitionPenalty = 1, seed = 0 } = options;
  if (!(Number.isFinite(temperature) && temperature >= 0))
    throw wrong(where, 'temperature ≥ 0', temperature, 'Use 0 for the likeliest token, 1 for the model as it is.');
  if (!(topK === Number.POSITIVE_INFINITY || (Number.isInteger(topK) && topK >= 1)))
    throw wrong(where, 'topK to be a whole number ≥ 1', topK, 'Leave it out to draw from all tokens.');
  if (!(topP > 0 && topP <= 1))
    throw wrong(where, 'topP above 0 and at most 1', topP, 'Leave it out to draw from all tokens.');
  if (!(Number.isFinite(repetitionPenalty) && repetitionPenalty > 0))
    throw wrong(
      where,
      'repetitionPenalty above 0',
      repetitionPenalty,
      'Use 1 for none, 1.1 to 1.3 against repetition.',
    );
  return { temperature, topK, topP, repetitionPenalty, seed: checkSeed(seed, where) };
}

const MAX_ALTERNATIVES = 100;

const GENERATE_OPTIONS: Readonly<Record<keyof GenerateOptions, true>> = {
  maxNewTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  repetitionPenalty: true,
  seed: true,
  stopTokenIds: true,
  endOfText: true,
  stopAtEndOfText: true,
  whenFull: true,
  signal: true,
  batchSize: true,
  cacheDtype: true,
  sequence: true,
  logProbabilities: true,
  alternatives: true,
};

/** Generation options with every default filled in. */
export interface CheckedGeneration extends CheckedSampling {
  readonly maxNewTokens: number;
  readonly stopTokenIds: ReadonlySet<number>;
  readonly endOfText: number | undefined;
  readonly stopAtEndOfText: boolean;
  readonly whenFull: 'slide' | 'stop';
  readonly signal: AbortSignal | undefined;
  readonly batchSize: number;
  readonly cacheDtype: CacheDtype | undefined;
  readonly sequence: number;
  readonly logProbabilities: boolean;
  readonly alternatives: number;
}

/**
 * Fills in the defaults of generation options and checks them.
 *
 * @param options - As the user gave them.
 * @param vocabSize - Ids must be below it.
 * @param endOfText - The default of that option.
 * @param otherOptions - An object with the names that the caller takes besides. Default: none.
 * @throws {ConfigError} Naming the option, its range and its value.
 */
export function checkGeneration(
  options: GenerateOptions,
  vocabSize: number,
  endOfText: number | undefined,
  otherOptions: object = {},
): CheckedGeneration {
  checkNames({ ...GENERATE_OPTIONS, ...otherOptions }, options, 'generate');
  const { maxNewTokens = 128, stopTokenIds = [], whenFull = 'slide', batchSize = 8, sequence = 0, signal } = options;
  const { alternatives = 0 } = options;
  const where = 'generate';
  const isId = (id: number) => Number.isInteger(id) && id >= 0 && id < vocabSize;
  if (!(Number.isSafeInteger(maxNewTokens) && maxNewTokens >= 1))
    throw wrong(where, 'maxNewTokens to be a whole number ≥ 1', maxNewTokens, 'Say how many tokens to generate.');
  for (const id of stopTokenIds)
    if (!isId(id)) throw wrong(where, `stopTokenIds from 0 to ${vocabSize - 1}`, id, 'Use ids of the tokenizer.');
  if (options.endOfText !== undefined && options.endOfText !== null && !isId(options.endOfText))
    throw wrong(where, `endOfText from 0 to ${vocabSize - 1}`, options.endOfText, 'Use null where there is none.');
  if (whenFull !== 'slide' && whenFull !== 'stop')
    throw wrong(where, "whenFull to be 'slide' or 'stop'", whenFull, 'Name one of them.');
  if (!(Number.isInteger(batchSize) && batchSize >= 1))
    throw wrong(where, 'batchSize to be a whole number ≥ 1', batchSize, 'It is how many prompts run side by side.');
  if (!(Number.isInteger(sequence) && sequence >= 0 && sequence < 2 ** 31))
    throw wrong(where, 'sequence from 0 to 2^31 − 1', sequence, 'Leave it out for 0.');
  if (!(Number.isInteger(alternatives) && alternatives >= 0 && alternatives <= MAX_ALTERNATIVES))
    throw wrong(where, `alternatives from 0 to ${MAX_ALTERNATIVES}`, alternatives, 'Leave it out for none.');
  return {
    ...checkSampling(options, where),
    maxNewTokens,
    stopTokenIds: new Set(stopTokenIds),
    endOfText: options.endOfText === null ? undefined : (options.endOfText ?? endOfText),
    stopAtEndOfText: options.stopAtEndOfText ?? true,
    whenFull,
    signal,
    batchSize,
    cacheDtype: options.cacheDtype,
    sequence,
    logProbabilities: options.logProbabilities ?? false,
    alternatives,
  };
}

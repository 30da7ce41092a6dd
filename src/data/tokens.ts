/** One long text as training data: crops at random places to train on, consecutive windows to evaluate on. */
import { ConfigError, DataError } from '../errors.ts';
import { Random, randomInteger } from '../random/index.ts';
import type { BatchRequest, BatchShape, Dataset, TokenBatch, TokenSequence } from './batch.ts';

/** Which stream of the seed draws the crops. */
const CROP_STREAM = 0x64617461;

/** Options of `tokenDataset`. */
export interface TokenDatasetOptions {
  /** Share of the tokens, at the end, that is kept for evaluation, 0 to below 1. Default 0.1. */
  readonly evalFraction?: number;
}

/** A piece of a text: `targets[i]` follows `tokens[i]`. */
export interface TokenCrop extends TokenSequence {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** One text as batches: random crops to train on, windows to evaluate on. */
export interface TokenDataset extends Dataset<TokenBatch> {
  readonly trainTokens: Uint32Array;
  readonly evalTokens: Uint32Array;
  batch(request: BatchRequest): TokenCrop[];
  evaluation?(shape: BatchShape): Iterable<TokenCrop[]>;
}

/**
 * A dataset of a token sequence.
 * Training crops are drawn with replacement, by a counter: batch `index` of a seed is always the same.
 * Evaluation windows cover the last tokens without overlap; every token but the split's first is predicted once.
 * @param ids token ids of the whole text
 * @param options `evalFraction`: share of the ids, at the end, that is kept for evaluation, 0 ≤ x < 1, default 0.1
 * @returns the dataset
 * @throws TypeError for a text, which the tokenizer has to encode first
 * @throws DataError when either split is too short to predict anything
 * @example
 * const data = tokenDataset(tokenizer.encode(text), { evalFraction: 0.1 });
 */
export function tokenDataset(ids: ArrayLike<number>, { evalFraction = 0.1 }: TokenDatasetOptions = {}): TokenDataset {
  if (typeof ids !== 'object' || ids === null)
    throw new TypeError(
      `tokenDataset: expected token ids, got ${ids === null ? 'null' : `a ${typeof ids}`}. Encode text first: tokenizer.encode(text).`,
    );
  if (!(evalFraction >= 0 && evalFraction < 1))
    throw new ConfigError(`tokenDataset: expected evalFraction from 0 to below 1, got ${evalFraction}.`);
  const tokens = Uint32Array.from(ids);
  const trainCount = Math.floor(tokens.length * (1 - evalFraction));
  const trainTokens = tokens.subarray(0, trainCount);
  const evalTokens = tokens.subarray(trainCount);
  if (trainTokens.length < 2 || (evalFraction > 0 && evalTokens.length < 2))
    throw new DataError(
      `tokenDataset: expected at least 2 tokens to train on and 2 to evaluate on, got ${trainTokens.length} and ${evalTokens.length}. Use a longer text.`,
    );

  function batch({ batchSize, length, seed, index }: BatchRequest): TokenCrop[] {
    if (trainTokens.length < length + 1)
      throw new DataError(
        `tokenDataset: expected more than ${length} training tokens, as the context is ${length}, got ${trainTokens.length}. Use a longer text or a shorter context.`,
      );
    const random = new Random(seed);
    return Array.from({ length: batchSize }, (_, row) => {
      const start = randomInteger(random, trainTokens.length - length, CROP_STREAM, index * batchSize + row);
      return crop(trainTokens, start, length);
    });
  }

  function* evaluation({ batchSize, length }: BatchShape): Generator<TokenCrop[]> {
    for (let start = 0; start < evalTokens.length - 1; ) {
      const windows: TokenCrop[] = [];
      for (; windows.length < batchSize && start < evalTokens.length - 1; start += length)
        windows.push(crop(evalTokens, start, Math.min(length, evalTokens.length - 1 - start)));
      yield windows;
    }
  }

  const fingerprint = `${tokens.length} tokens, fnv1a ${fnv1a(tokens).toString(16).padStart(8, '0')}, evaluation ${evalFraction}`;
  const dataset = { trainTokens, evalTokens, fingerprint, batch };
  return evalFraction > 0 ? { ...dataset, evaluation } : dataset;
}

function crop(tokens: Uint32Array, start: number, length: number): TokenCrop {
  return {
    tokens: Int32Array.from(tokens.subarray(start, start + length)),
    targets: Int32Array.from(tokens.subarray(start + 1, start + 1 + length)),
  };
}

/** FNV-1a over 32-bit words: tells texts apart, not attackers. */
function fnv1a(words: Uint32Array): number {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return hash >>> 0;
}

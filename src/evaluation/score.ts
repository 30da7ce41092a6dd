/** How well a model predicts given tokens: loss, perplexity, and the probability of each. */

import type { TokenSequence } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { type CausalLM, checkTokens } from '../models/index.ts';
import { exp } from '../random/index.ts';
import { packedLoss, packSequences } from './packed.ts';

/** How tokens are scored. */
export interface ScoreOptions {
  /** Cancels: the promise then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What scoring gives.
 *
 * @example
 * ```ts
 * const { loss, logProbabilities } = await scoreTokens(model, [[464, 3290, 318]]);
 * logProbabilities[0]; // log p(3290 | 464), log p(318 | 464, 3290)
 * ```
 */
export interface ScoreResult {
  /** Mean of −ln p over all predicted tokens. */
  readonly loss: number;
  /** e^loss. */
  readonly perplexity: number;
  /** How many tokens were predicted: all but the first of each row. */
  readonly tokens: number;
  /** The share of tokens that the model found likeliest, 0 … 1. */
  readonly accuracy: number;
  /** For each row ln p of its second, third, … token. */
  readonly logProbabilities: readonly Float32Array[];
  /** For each row whether its second, third, … token was the likeliest: 1 or 0. */
  readonly correct: readonly Uint8Array[];
}

/** A part of a row that fits the context; its targets stand from `at` of the row's results. */
interface Window extends TokenSequence {
  readonly row: number;
  readonly at: number;
}

/**
 * Scores rows of tokens, each on its own.
 *
 * A row of more than blockSize + 1 tokens is cut into windows of blockSize tokens, which do not overlap and do not see each
 * other: every token but a row's first is predicted exactly once, those at the start of a window from little context.
 * The results of a row do not depend on the other rows. Means are summed in double precision, in the order of the tokens.
 *
 * @param model - Any causal language model.
 * @param rows - Token ids, each 0 … vocabSize − 1; a row of fewer than two tokens has nothing to predict.
 * @param options - See {@link ScoreOptions}.
 * @returns Loss, perplexity and accuracy over all predicted tokens, and the log-probabilities of each row.
 * @throws {DataError} For ids outside the vocabulary, or when no row has two tokens.
 * @throws {MemoryError} When the activations do not fit beside the model: those of 512 rows, or of one context.
 * @throws {DisposedError} When the model was disposed.
 * @example
 * ```ts
 * const { perplexity } = await scoreTokens(model, [tokenizer.encode(text)]);
 * ```
 */
export async function scoreTokens(
  model: CausalLM,
  rows: readonly ArrayLike<number>[],
  { signal }: ScoreOptions = {},
): Promise<ScoreResult> {
  const { blockSize, vocabSize } = model.config;
  const logProbabilities = rows.map(({ length }) => new Float32Array(Math.max(0, length - 1)));
  const correct = logProbabilities.map(({ length }) => new Uint8Array(length));
  const windows = rows.flatMap((row, index) => {
    checkTokens(row, vocabSize, `score: row ${index}`);
    return windowsOf(row, index, blockSize);
  });
  if (windows.length === 0)
    throw new DataError(
      `score: expected a row of at least 2 tokens, got ${rows.length} shorter ones. The first token of a row is not predicted; put the end-of-text token in front to have it predicted too.`,
    );
  signal?.throwIfAborted();
  const { runs, maxRows } = packSequences(windows);
  const program = await packedLoss(model, maxRows, Math.max(...runs.map(({ length }) => length)));
  try {
    for (const run of runs) {
      const result = await program.run(run);
      signal?.throwIfAborted();
      let from = 0;
      for (const { row, at, targets } of run) {
        for (let i = 0; i < targets.length; i++) {
          logProbabilities[row]![at + i] = 0 - result.losses[from + i]!;
          correct[row]![at + i] = result.correct[from + i]!;
        }
        from += targets.length;
      }
    }
  } finally {
    program.dispose();
  }
  const tokens = logProbabilities.reduce((count, { length }) => count + length, 0);
  const loss = -sum(logProbabilities) / tokens;
  return { loss, perplexity: exp(loss), tokens, accuracy: sum(correct) / tokens, logProbabilities, correct };
}

function windowsOf(tokens: ArrayLike<number>, row: number, blockSize: number): Window[] {
  const ids = Array.from(tokens);
  const windows: Window[] = [];
  for (let at = 0; at < ids.length - 1; at += blockSize) {
    const targets = ids.slice(at + 1, at + 1 + blockSize);
    windows.push({ row, at, tokens: ids.slice(at, at + targets.length), targets });
  }
  return windows;
}

function sum(rows: readonly ArrayLike<number>[]): number {
  let total = 0;
  for (const row of rows) for (let i = 0; i < row.length; i++) total += row[i]!;
  return total;
}

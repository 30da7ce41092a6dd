/** From logits to single tokens: the likeliest, and their probabilities. */
import { exp, log } from '../random/index.ts';

/** A token that could come next. */
export interface LikelyToken {
  readonly tokenId: number;
  /** 0 … 1, under the model itself: no temperature, penalty or limit. */
  readonly probability: number;
}

/**
 * Finds the likeliest tokens.
 * @param logits of all tokens
 * @param count how many are wanted; fewer come where there are fewer tokens
 * @returns the likeliest first; of equal ones the lower id first
 */
export function likeliestTokens(logits: Float32Array, count: number): LikelyToken[] {
  const ids: number[] = [];
  let max = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    max = Math.max(max, logit);
    if (ids.length === count && !(count > 0 && logit > logits[ids[count - 1]!]!)) continue;
    let at = ids.length;
    while (at > 0 && logits[ids[at - 1]!]! < logit) at--;
    ids.splice(at, 0, id);
    ids.length = Math.min(ids.length, count);
  }
  let sum = 0;
  for (const logit of logits) sum += exp(logit - max);
  return ids.map((tokenId) => ({ tokenId, probability: exp(logits[tokenId]! - max) / sum }));
}

/**
 * Computes the logarithm of a token's probability under the model itself: no temperature, penalty or limit.
 *
 * @param logits - All logits, finite or −∞.
 * @param id - The token.
 * @returns A number of 0 or less.
 */
export function logProbability(logits: Float32Array, id: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const logit of logits) max = Math.max(max, logit);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += exp(logits[i]! - max);
  return logits[id]! - max - log(sum);
}

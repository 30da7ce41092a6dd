/** The sampler: its distribution, what can be drawn at all, the repetition penalty, and draws as a function of their place. */
import { describe, expect, it } from 'vitest';
import { ConfigError, LanewiseError } from '../../src/errors.ts';
import type { SamplingOptions } from '../../src/generation/options.ts';
import { Sampler } from '../../src/generation/sampler.ts';
import { findBorder, orderedKeys } from '../../src/generation/top.ts';
import { logProbability } from '../../src/models/token-probabilities.ts';
import { Random, randomInteger } from '../../src/random/index.ts';

const SEED = 20;

function draws(logits: readonly number[], options: SamplingOptions, count: number, seen: number[] = []): number[] {
  const sampler = new Sampler(logits.length, { seed: SEED, ...options });
  const values = new Float32Array(logits);
  return Array.from({ length: count }, (_, position) => sampler.sample(values, { sequence: 0, position, seen }));
}

/** Tokens that ever come out of many draws. */
const support = (logits: readonly number[], options: SamplingOptions, count = 400) =>
  [...new Set(draws(logits, options, count))].sort((a, b) => a - b);

function chiSquare(logits: readonly number[], options: SamplingOptions, probabilities: readonly number[]): number {
  const count = 30_000;
  const seen = new Array<number>(probabilities.length).fill(0);
  for (const id of draws(logits, options, count)) seen[id]!++;
  return probabilities.reduce((sum, p, id) => {
    if (p === 0) expect(seen[id]).toBe(0);
    return p === 0 ? sum : sum + (seen[id]! - p * count) ** 2 / (p * count);
  }, 0);
}

function softmax(logits: readonly number[], temperature = 1): number[] {
  const weights = logits.map((logit) => Math.exp(logit / temperature));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const LOGITS = [0.3, 2, -1, 1.5, 0, -0.5, 2, 1];

describe(`distribution (seed ${SEED})`, () => {
  // 7 degrees of freedom at most: p = 0.001 at 24.3.
  it.each([1, 0.7, 2.5])('is the softmax at temperature %d', (temperature) => {
    expect(chiSquare(LOGITS, { temperature }, softmax(LOGITS, temperature))).toBeLessThan(24.3);
  });

  it('is the softmax over the top k', () => {
    const kept = LOGITS.map((logit) => (logit >= 1.5 ? logit : Number.NEGATIVE_INFINITY));
    expect(chiSquare(LOGITS, { topK: 3 }, softmax(kept))).toBeLessThan(13.9); // 2 degrees
  });

  it('is the softmax over the nucleus', () => {
    // Probabilities, largest first: 0.29, 0.29, 0.17, 0.11, …
    const kept = LOGITS.map((logit) => (logit >= 1.5 ? logit : Number.NEGATIVE_INFINITY));
    expect(chiSquare(LOGITS, { topP: 0.7 }, softmax(kept))).toBeLessThan(13.9);
  });
});

describe('what can be drawn', () => {
  it('is the first of the likeliest at temperature 0', () => {
    expect(support(LOGITS, { temperature: 0 }, 5)).toEqual([1]);
    expect(support([-0, 0, -0], { temperature: 0 }, 5)).toEqual([0]);
  });

  it('is the same one for k = 1 and for the smallest p', () => {
    expect(support(LOGITS, { topK: 1 })).toEqual([1]);
    expect(support(LOGITS, { topP: 1e-300 })).toEqual([1]);
    expect(support(LOGITS, { temperature: 1e-300, topK: 1 })).toEqual([1]);
    expect(support(LOGITS, { temperature: 5e-324 })).toEqual([1, 6]);
  });

  it('takes ties from the lowest id on', () => {
    expect(support([1, 1, 1, 1], { topK: 2 })).toEqual([0, 1]);
    expect(support([0, 1, 1, 1], { topP: 0.5 })).toEqual([1, 2]);
    expect(support([-1, 0, -0, 0], { topK: 2 })).toEqual([1, 2]);
  });

  it('is everything for k above the vocabulary and p = 1', () => {
    expect(support(LOGITS, { topK: 100, topP: 1, temperature: 5 })).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(draws(LOGITS, { topK: 8 }, 50)).toEqual(draws(LOGITS, {}, 50));
  });

  it('lets top-p work on what top-k left', () => {
    // Of the top two, each has half; of all, token 1 has 0.29.
    expect(support(LOGITS, { topK: 2, topP: 0.45 })).toEqual([1]);
    expect(support(LOGITS, { topK: 2, topP: 0.55 })).toEqual([1, 6]);
  });

  it('never is a token at −∞, and there may be one token only', () => {
    expect(support([Number.NEGATIVE_INFINITY, 0, Number.NEGATIVE_INFINITY], {})).toEqual([1]);
    expect(support([Number.NEGATIVE_INFINITY, 0, 0], { topK: 3, topP: 0.999999 })).toEqual([1, 2]);
    expect(support([-3], {})).toEqual([0]);
  });

  it('never lies behind vocabSize', () => {
    const sampler = new Sampler(2, { temperature: 0 });
    expect(sampler.sample(new Float32Array([0, 1, 9, Number.NaN]), { sequence: 0, position: 0 })).toBe(1);
  });
});

describe('repetition penalty', () => {
  it('divides positive and multiplies negative logits of seen tokens', () => {
    const greedy = { temperature: 0, repetitionPenalty: 2 };
    expect(draws([3, 1.6, 0], greedy, 1, [0])).toEqual([1]); // 3 / 2 < 1.6
    expect(draws([3, 1.4, 0], greedy, 1, [0])).toEqual([0]);
    expect(draws([-1, -1.9], greedy, 1, [0])).toEqual([1]); // −1 · 2 < −1.9
    expect(draws([-1, -2.1], greedy, 1, [0])).toEqual([0]);
    expect(draws([1, 0.4], { temperature: 0, repetitionPenalty: 0.5 }, 1, [1])).toEqual([0]);
  });

  it('leaves the logits of the caller alone', () => {
    const logits = new Float32Array([1, 2]);
    new Sampler(2, { repetitionPenalty: 3 }).sample(logits, { sequence: 0, position: 0, seen: [0, 1] });
    expect([...logits]).toEqual([1, 2]);
  });
});

describe('determinism', () => {
  it('draws by seed, sequence and position alone', () => {
    const logits = new Float32Array(LOGITS);
    const sampler = new Sampler(8, { seed: 5 });
    const at = (sequence: number, position: number) => sampler.sample(logits, { sequence, position });
    const first = Array.from({ length: 30 }, (_, position) => at(1, position));
    at(0, 99);
    expect(Array.from({ length: 30 }, (_, i) => at(1, 29 - i)).reverse()).toEqual(first);
    expect(Array.from({ length: 30 }, (_, position) => at(2, position))).not.toEqual(first);
  });

  it('keeps its draws: these ids never change', () => {
    expect(draws(LOGITS, { temperature: 0.9, topK: 5, topP: 0.95 }, 24).join(' ')).toMatchInlineSnapshot(
      `"6 3 7 6 7 1 3 1 1 7 6 1 6 3 7 1 3 1 7 1 6 6 1 1"`,
    );
  });
});

describe('selection by radix', () => {
  it('agrees with a sort, on many ties and signs', () => {
    const random = new Random(SEED);
    for (let round = 0; round < 60; round++) {
      const size = 1 + randomInteger(random, 300, 0, round);
      const levels = 1 + randomInteger(random, 40, 1, round);
      const scores = Float32Array.from(
        { length: size },
        (_, i) => (randomInteger(random, levels, 2, round * 1000 + i) - levels / 2) * (round % 3 ? 0.37 : 1e-30),
      );
      const k = 1 + randomInteger(random, size + 3, 3, round);
      const keys = new Uint32Array(size);
      orderedKeys(keys, scores);
      const { key, ties } = findBorder(keys, undefined, k);
      let left = ties;
      const top = [...keys.keys()].filter((i) => keys[i]! > key || (keys[i] === key && left-- > 0));
      const sorted = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b).slice(0, k);
      expect(top, `seed ${SEED}, round ${round}`).toEqual(sorted.sort((a, b) => a - b));
    }
  });

  it('takes all when they do not reach the target', () => {
    const border = findBorder(new Uint32Array([5, 9, 5]), new Float64Array([0.1, 0.1, 0.1]), 1);
    expect(border).toEqual({ key: 5, ties: 2 });
  });
});

describe('errors', () => {
  it.each([
    [
      { temperature: -1 },
      'generate: expected temperature ≥ 0, got -1. Use 0 for the likeliest token, 1 for the model as it is.',
    ],
    [
      { temperature: Number.NaN },
      'generate: expected temperature ≥ 0, got NaN. Use 0 for the likeliest token, 1 for the model as it is.',
    ],
    [{ topK: 0 }, 'generate: expected topK to be a whole number ≥ 1, got 0. Leave it out to draw from all tokens.'],
    [{ topK: 2.5 }, 'generate: expected topK to be a whole number ≥ 1, got 2.5. Leave it out to draw from all tokens.'],
    [{ topP: 0 }, 'generate: expected topP above 0 and at most 1, got 0. Leave it out to draw from all tokens.'],
    [{ topP: 1.1 }, 'generate: expected topP above 0 and at most 1, got 1.1. Leave it out to draw from all tokens.'],
    [
      { repetitionPenalty: 0 },
      'generate: expected repetitionPenalty above 0, got 0. Use 1 for none, 1.1 to 1.3 against repetition.',
    ],
    [
      { seed: -3 },
      'generate: expected seed to be a whole number from 0 to 2^53 − 1, got -3. Give such a number, or leave it out for 0.',
    ],
  ])('%j', (options, message) => {
    expect(() => new Sampler(4, options)).toThrow(new ConfigError(message));
    expect(() => new Sampler(4, options)).toThrow(ConfigError);
  });

  it('refuses logits that are not finite', () => {
    const message = (logit: number, id: number) =>
      new LanewiseError(
        `generate: expected finite logits, got ${logit} for token ${id}. The weights are damaged, or their training diverged.`,
      );
    const { NaN: nan, POSITIVE_INFINITY: inf } = Number;
    expect(() => draws([0, nan], {}, 1)).toThrow(message(nan, 1));
    expect(() => draws([nan, 0], { temperature: 0 }, 1)).toThrow(message(nan, 0));
    expect(() => draws([0, 1, inf], {}, 1)).toThrow(message(inf, 2));
    expect(() => draws([-inf, -inf], {}, 1)).toThrow(message(-inf, 0));
  });
});

describe('logProbability', () => {
  it('is the log-softmax', () => {
    const expected = softmax([1, -2, 1000 - 1000 + 3]).map(Math.log);
    const logits = new Float32Array([1, -2, 3]);
    for (const id of [0, 1, 2]) expect(logProbability(logits, id)).toBeCloseTo(expected[id]!, 12);
    expect(logProbability(new Float32Array([1000, 0]), 1)).toBe(-1000);
  });
});

/** Token datasets: crops by seed and index, evaluation windows that cover their split once, what is refused. */
import { describe, expect, it } from 'vitest';
import { tokenDataset } from '../../src/data/index.ts';
import { ConfigError, DataError } from '../../src/errors.ts';

const counting = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('batch', () => {
  it('is crops of the training tokens, each target the token behind', () => {
    const data = tokenDataset(counting(100), { evalFraction: 0.2 });
    for (let index = 0; index < 50; index++)
      for (const { tokens, targets } of data.batch({ batchSize: 3, length: 7, seed: 1, index })) {
        const start = tokens[0]!;
        expect([...tokens]).toEqual(counting(7).map((i) => start + i));
        expect([...targets]).toEqual(counting(7).map((i) => start + i + 1));
        expect(targets.at(-1)).toBeLessThan(80);
      }
  });

  it('is a function of seed and index; batches of a step are consecutive crops', () => {
    const data = tokenDataset(counting(1000));
    const starts = (batchSize: number, index: number, seed = 4) =>
      data.batch({ batchSize, length: 5, seed, index }).map(({ tokens }) => tokens[0]);
    expect(starts(4, 9)).toEqual(starts(4, 9));
    expect(starts(4, 9)).not.toEqual(starts(4, 10));
    expect(starts(4, 9)).not.toEqual(starts(4, 9, 5));
    expect(starts(4, 9, 2 ** 40)).not.toEqual(starts(4, 9, 0));
    expect([...starts(2, 18), ...starts(2, 19)]).toEqual(starts(4, 9));
  });

  it('reaches every start, the first and the last', () => {
    const data = tokenDataset(counting(12), { evalFraction: 0 });
    const starts = new Set<number>();
    for (let index = 0; index < 100; index++)
      for (const { tokens } of data.batch({ batchSize: 2, length: 4, seed: 0, index })) starts.add(tokens[0]!);
    expect([...starts].sort((a, b) => a - b)).toEqual(counting(8));
  });

  it('needs a training split longer than the context', () => {
    const data = tokenDataset(counting(20));
    const batch = (length: number) => data.batch({ batchSize: 1, length, seed: 0, index: 0 });
    expect(batch(17)[0]!.tokens[0]).toBe(0);
    expect(() => batch(18)).toThrow(
      new DataError(
        'tokenDataset: expected more than 18 training tokens, as the context is 18, got 18. Use a longer text or a shorter context.',
      ),
    );
  });
});

describe('evaluation', () => {
  it.each([
    [1, 1],
    [2, 3],
    [3, 10],
    [64, 64],
    [1, 49],
    [1, 50],
  ])('predicts every token of the split but its first, once: batches of %i, context %i', (batchSize, length) => {
    const data = tokenDataset(counting(100), { evalFraction: 0.5 });
    const predicted: number[] = [];
    for (const batch of data.evaluation!({ batchSize, length })) {
      expect(batch.length).toBeLessThanOrEqual(batchSize);
      for (const { tokens, targets } of batch) {
        expect(tokens.length).toBeLessThanOrEqual(length);
        expect([...targets]).toEqual([...tokens].map((token) => token + 1));
        predicted.push(...targets);
      }
    }
    expect(predicted).toEqual(counting(49).map((i) => 51 + i));
  });

  it('is the last tenth unless it is said otherwise, and absent at 0', () => {
    const data = tokenDataset(counting(1000));
    expect([data.trainTokens.length, data.evalTokens.length]).toEqual([900, 100]);
    expect(tokenDataset(counting(9), { evalFraction: 0 }).evaluation).toBeUndefined();
  });
});

it('the fingerprint tells other data apart', () => {
  const changed = counting(50);
  changed[20] = 7;
  const prints = [
    ...[counting(50), counting(51), changed].map((ids) => tokenDataset(ids).fingerprint),
    tokenDataset(counting(50), { evalFraction: 0.2 }).fingerprint,
  ];
  expect(new Set(prints).size).toBe(4);
  expect(tokenDataset(new Uint32Array(counting(50))).fingerprint).toBe(prints[0]);
});

it('refuses text, which the tokenizer has to encode first', () => {
  for (const [ids, got] of [
    ['Call me Ishmael.', 'string'],
    [undefined, 'undefined'],
    [null, 'null'],
  ] as const)
    expect(() => tokenDataset(ids as never)).toThrow(
      new TypeError(`tokenDataset: expected token ids, got ${got}. Encode text first: tokenizer.encode(text).`),
    );
});

it('refuses what cannot be split', () => {
  for (const [ids, fraction] of [
    [[], 0.1],
    [[1], 0],
    [counting(3), 0.1],
    [counting(10), 0.1],
    [counting(10), 0.95],
  ] as const)
    expect(() => tokenDataset(ids, { evalFraction: fraction }), `${ids.length}, ${fraction}`).toThrow(DataError);
  expect(() => tokenDataset(counting(3))).toThrow(
    'tokenDataset: expected at least 2 tokens to train on and 2 to evaluate on, got 2 and 1. Use a longer text.',
  );
  for (const evalFraction of [1, -0.1, Number.NaN])
    expect(() => tokenDataset(counting(50), { evalFraction })).toThrow(
      new ConfigError(`tokenDataset: expected evalFraction from 0 to below 1, got ${evalFraction}.`),
    );
});

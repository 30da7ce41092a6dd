/** Attention maps and predictions after each block, against the same computed from hidden states and parameters in plain loops. */

import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { createModel } from '../../src/models/create.ts';
import { forward } from '../../src/models/forward.ts';
import { inspect } from '../../src/models/inspect.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { likeliestTokens } from '../../src/models/token-probabilities.ts';

const OPTIONS = { nLayer: 3, nHead: 2, nEmbd: 16, blockSize: 12, vocabSize: 40, seed: 5, initializerRange: 0.5 };
const TOKENS = [3, 9, 27, 1, 3, 39, 0];
const T = TOKENS.length;
const C = OPTIONS.nEmbd;

const MODELS = [
  ['GPT-2', () => createModel('gpt2', { ...OPTIONS, precision: 'exact' })],
  ['GPT-1', () => createModel('gpt1', { ...OPTIONS, precision: 'exact' })],
] as const;

function layerNorm(row: Float32Array, weight: Float32Array, bias: Float32Array): number[] {
  const mean = row.reduce((sum, x) => sum + x, 0) / C;
  const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / C;
  return Array.from(row, (x, i) => ((x - mean) / Math.sqrt(variance + 1e-5)) * weight[i]! + bias[i]!);
}

const softmax = (values: readonly number[]) => {
  const max = Math.max(...values);
  const sum = values.reduce((total, x) => total + Math.exp(x - max), 0);
  return values.map((x) => Math.exp(x - max) / sum);
};

const rowOf = (state: Float32Array, t: number) => state.subarray(t * C, (t + 1) * C);

/** The layer norm of GPT-2 in front of a block or the output layer; GPT-1 has none there. */
async function normed(model: CausalLM, name: string, row: Float32Array): Promise<number[]> {
  if (model.family.modelType !== 'gpt2') return [...row];
  return layerNorm(row, await model.readParameter(`${name}.weight`), await model.readParameter(`${name}.bias`));
}

describe.each(MODELS)('%s', (_, create) => {
  it('attends as its parameters say, and never to what comes later', async () => {
    using model = await create();
    const { attention } = await inspect(model, TOKENS);
    const { hidden } = await forward(model, TOKENS);
    expect(attention).toHaveLength(OPTIONS.nLayer);
    for (const [layer, maps] of attention.entries()) {
      const at = `transformer.h.${layer}`;
      const weight = await model.readParameter(`${at}.attn.c_attn.weight`);
      const bias = await model.readParameter(`${at}.attn.c_attn.bias`);
      const qkv: number[][] = [];
      for (let t = 0; t < T; t++) {
        const x = await normed(model, `${at}.ln_1`, rowOf(hidden[layer]!, t));
        qkv.push(Array.from(bias, (b, out) => x.reduce((sum, value, i) => sum + value * weight[i * 3 * C + out]!, b)));
      }
      const size = C / OPTIONS.nHead;
      for (let head = 0; head < OPTIONS.nHead; head++) {
        for (let i = 0; i < T; i++) {
          const scores = qkv.slice(0, i + 1).map((row) => {
            const key = row.slice(C + head * size, C + (head + 1) * size);
            return key.reduce((sum, k, d) => sum + k * qkv[i]![head * size + d]!, 0) / Math.sqrt(size);
          });
          const expected = [...softmax(scores), ...Array<number>(T - i - 1).fill(0)];
          const row = Array.from(maps.subarray((head * T + i) * T, (head * T + i + 1) * T));
          for (let j = 0; j < T; j++)
            expect(row[j], `block ${layer}, head ${head}, ${i} → ${j}`).toBeCloseTo(expected[j]!, 5);
          expect(row.slice(i + 1).every((value) => value === 0)).toBe(true);
        }
      }
    }
  });

  it('predicts after each block, and at the end what the model says', async () => {
    using model = await create();
    const { predictions } = await inspect(model, TOKENS, { top: 3 });
    const { hidden, logits } = await forward(model, TOKENS);
    const table = await model.readParameter(model.head.table);
    expect(predictions).toHaveLength(OPTIONS.nLayer + 1);
    for (let k = 0; k <= OPTIONS.nLayer; k++) {
      for (let t = 0; t < T; t++) {
        const isLast = k === OPTIONS.nLayer;
        const state = isLast ? [] : await normed(model, 'transformer.ln_f', rowOf(hidden[k]!, t));
        const scores = isLast
          ? Array.from(logits.subarray(t * 40, (t + 1) * 40))
          : Array.from({ length: 40 }, (_, id) => state.reduce((sum, x, i) => sum + x * table[id * C + i]!, 0));
        const expected = softmax(scores).map((probability, tokenId) => ({ tokenId, probability }));
        expected.sort((a, b) => b.probability - a.probability);
        const found = predictions[k]![t]!;
        expect(found.map(({ tokenId }) => tokenId)).toEqual(expected.slice(0, 3).map(({ tokenId }) => tokenId));
        for (const [i, { probability }] of found.entries())
          expect(probability).toBeCloseTo(expected[i]!.probability, 5);
      }
    }
  });
});

it('refuses what it cannot look at', async () => {
  using model = await createModel('gpt2', OPTIONS);
  await expect(inspect(model, [])).rejects.toThrow('inspect: expected 1 to 12 tokens, got 0.');
  await expect(inspect(model, Array(13).fill(1))).rejects.toThrow(RangeError);
  await expect(inspect(model, [40])).rejects.toThrow(DataError);
  await expect(inspect(model, [1], { top: 0 })).rejects.toThrow(RangeError);
});

it('finds the likeliest tokens, of equal ones the first', () => {
  const logits = new Float32Array([0, 2, 1, 2, Number.NEGATIVE_INFINITY]);
  expect(likeliestTokens(logits, 3).map(({ tokenId }) => tokenId)).toEqual([1, 3, 2]);
  expect(likeliestTokens(logits, 9).map(({ tokenId }) => tokenId)).toEqual([1, 3, 2, 0, 4]);
  expect(likeliestTokens(logits, 0)).toEqual([]);
  expect(likeliestTokens(logits, 9).reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
});

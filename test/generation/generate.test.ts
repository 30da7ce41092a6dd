/** Generation on ids: cached against uncached, alone against together, and every way to end. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError, DisposedError } from '../../src/errors.ts';
import { type GeneratedToken, type GenerationSummary, generateTokens } from '../../src/generation/generate.ts';
import type { GenerateOptions } from '../../src/generation/options.ts';
import { createModel } from '../../src/models/create.ts';
import { forward } from '../../src/models/forward.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { oracle, randomTokens, scriptedModel, tinyModel } from './models.ts';

type Prompts = readonly (readonly number[])[];

async function generate(
  model: CausalLM,
  prompts: Prompts,
  options: GenerateOptions = {},
): Promise<{ events: GeneratedToken[]; summary: GenerationSummary }> {
  const generation = generateTokens(model, prompts, options);
  const events: GeneratedToken[] = [];
  for (;;) {
    const step = await generation.next();
    if (step.done) return { events, summary: step.value };
    events.push(step.value);
  }
}

const idsOf = async (model: CausalLM, prompts: Prompts, options: GenerateOptions) =>
  (await generate(model, prompts, options)).summary.sequences.map(({ tokenIds }) => tokenIds);

/** Greedy continuation without a cache: the last row of `forward` on ever longer sequences. */
async function greedyByForward(model: CausalLM, prompt: readonly number[], count: number): Promise<number[]> {
  const tokens = [...prompt];
  for (let i = 0; i < count; i++) {
    const { logits } = await forward(model, tokens);
    const last = logits.subarray(-model.config.vocabSize);
    tokens.push(last.indexOf(Math.max(...last)));
  }
  return tokens.slice(prompt.length);
}

let model: CausalLM;
beforeAll(async () => {
  model = await tinyModel();
});
afterAll(() => model.dispose());

const SAMPLED: GenerateOptions = { maxNewTokens: 12, temperature: 0.9, topK: 50, topP: 0.95, seed: 3 };

describe('generateTokens', () => {
  it('continues greedily as transformers does', async () => {
    const { values } = await oracle('greedy');
    const { events, summary } = await generate(model, [values.slice(0, 7)], { temperature: 0, maxNewTokens: 24 });
    expect(events.map(({ tokenId }) => tokenId)).toEqual(values.slice(7));
    expect(summary.sequences).toEqual([{ tokenIds: values.slice(7), finishReason: 'length', promptTokens: 7 }]);
    expect(summary).toMatchObject({ prefillTokens: 7, decodeTokens: 23 });
    expect(summary.decodeTokensPerSecond).toBeCloseTo(23 / summary.decodeSeconds);
    expect(summary.prefillTokensPerSecond).toBeCloseTo(7 / summary.prefillSeconds);
  });

  it.each([1, 2, 9, 40])('gives what forward gives, from %d tokens', async (length) => {
    const prompt = randomTokens(length, length);
    const expected = await greedyByForward(model, prompt, 10);
    expect(await idsOf(model, [prompt], { temperature: 0, maxNewTokens: 10 })).toEqual([expected]);
  });

  it('gives what forward gives with a GPT-1', async () => {
    const options = { threads: 1, precision: 'exact', seed: 4, initializerRange: 0.2 } as const;
    using gpt1 = await createModel('gpt1', {
      nLayer: 2,
      nHead: 2,
      nEmbd: 32,
      blockSize: 32,
      vocabSize: 512,
      ...options,
    });
    const prompt = randomTokens(6, 6);
    const expected = await greedyByForward(gpt1, prompt, 10);
    expect(await idsOf(gpt1, [prompt], { temperature: 0, maxNewTokens: 10 })).toEqual([expected]);
    expect(new Set(expected).size).toBeGreaterThan(2);
  });

  it('gives several prompts what each gives alone', async () => {
    const prompts = [5, 1, 17, 30, 3].map((length, i) => randomTokens(length, i));
    const together = await idsOf(model, prompts, SAMPLED);
    for (const [sequence, prompt] of prompts.entries())
      expect(await idsOf(model, [prompt], { ...SAMPLED, sequence })).toEqual([together[sequence]]);
    expect(await idsOf(model, prompts, { ...SAMPLED, batchSize: 2 })).toEqual(together);
    expect(new Set(together.map(String)).size).toBe(5);
  });

  it('gives many prompts the bits that each has alone', async () => {
    const options = { ...SAMPLED, maxNewTokens: 3, batchSize: 20, logProbabilities: true };
    const prompts = Array.from({ length: 20 }, (_, i) => randomTokens(3 + i, i));
    const { sequences } = (await generate(model, prompts, options)).summary;
    for (const sequence of [0, 11, 19])
      expect((await generate(model, [prompts[sequence]!], { ...options, sequence })).summary.sequences).toEqual([
        sequences[sequence],
      ]);
  });

  it('draws other tokens for the same prompt in another sequence', async () => {
    const prompt = randomTokens(4, 1);
    const [a, b] = await idsOf(model, [prompt, prompt], SAMPLED);
    expect(a).not.toEqual(b);
  });

  it('goes on where an earlier generation ended', async () => {
    const prompt = randomTokens(6, 2);
    const [all] = await idsOf(model, [prompt], SAMPLED);
    const [rest] = await idsOf(model, [[...prompt, ...all!.slice(0, 5)]], { ...SAMPLED, maxNewTokens: 7 });
    expect(rest).toEqual(all!.slice(5));
  });

  it('yields the tokens of a step in the order of the prompts, with their probabilities', async () => {
    const prompts = [randomTokens(2, 1), randomTokens(9, 2)];
    const { events, summary } = await generate(model, prompts, { ...SAMPLED, maxNewTokens: 3, logProbabilities: true });
    expect(events.map(({ index }) => index)).toEqual([0, 1, 0, 1, 0, 1]);
    const { logits } = await forward(model, prompts[1]!);
    const last = Array.from(logits.subarray(-512));
    const sum = last.reduce((total, logit) => total + Math.exp(logit), 0);
    expect(events[1]!.logProbability).toBeCloseTo(last[events[1]!.tokenId]! - Math.log(sum), 5);
    expect(summary.sequences[1]!.logProbabilities).toEqual(
      events.filter(({ index }) => index === 1).map(({ logProbability }) => logProbability),
    );
  });

  it('comes with the likeliest tokens where they are wanted', async () => {
    const prompt = randomTokens(9, 2);
    const { events } = await generate(model, [prompt], { ...SAMPLED, maxNewTokens: 2, alternatives: 4, topK: 1 });
    const { logits } = await forward(model, prompt);
    const last = Array.from(logits.subarray(-512));
    const sum = last.reduce((total, logit) => total + Math.exp(logit), 0);
    const expected = last.map((logit, id) => ({ id, p: Math.exp(logit) / sum })).sort((a, b) => b.p - a.p);
    expect(events[0]!.alternatives!.map(({ tokenId }) => tokenId)).toEqual(expected.slice(0, 4).map(({ id }) => id));
    for (const [i, { probability }] of events[0]!.alternatives!.entries())
      expect(probability).toBeCloseTo(expected[i]!.p, 6);
    expect(events[0]!.alternatives![0]!.tokenId).toBe(events[0]!.tokenId);
    expect((await generate(model, [prompt], { maxNewTokens: 1 })).events[0]).not.toHaveProperty('alternatives');
    for (const alternatives of [-1, 0.5, 101])
      await expect(generate(model, [prompt], { alternatives })).rejects.toThrow(ConfigError);
  });

  it('gives nothing for no prompts', async () => {
    expect((await generate(model, [])).summary).toMatchObject({ sequences: [], decodeTokensPerSecond: 0 });
  });

  it('gives the same tokens on any number of threads', async () => {
    const prompts = [randomTokens(5, 1), randomTokens(33, 2)];
    const options = { ...SAMPLED, maxNewTokens: 40 };
    const expected = await idsOf(model, prompts, options);
    for (const threads of [2, 3]) {
      using other = await tinyModel({ threads, precision: 'exact' });
      expect(await idsOf(other, prompts, options), `${threads} threads`).toEqual(expected);
    }
  });
});

describe('ends', () => {
  it('ends at stop tokens and the end of text, which are not part of it', async () => {
    using scripted = await scriptedModel([0, 1, 2, 3, 4, 5, 6], 10);
    const prompt = [9];
    const base = { temperature: 0, maxNewTokens: 6 };
    const finish = async (options: GenerateOptions) => {
      const { events, summary } = await generate(scripted, [prompt], { ...base, ...options });
      const { tokenIds, finishReason } = summary.sequences[0]!;
      expect(events.map(({ tokenId }) => tokenId)).toEqual(tokenIds);
      return [tokenIds.join(), finishReason];
    };
    expect(await finish({})).toEqual(['0,1,2,3,4,5', 'length']);
    expect(await finish({ stopTokenIds: [4, 2] })).toEqual(['0,1', 'stop']);
    expect(await finish({ endOfText: 3 })).toEqual(['0,1,2', 'endOfText']);
    expect(await finish({ endOfText: 3, stopAtEndOfText: false })).toEqual(['0,1,2,3,4,5', 'length']);
    expect(await finish({ endOfText: 0 })).toEqual(['', 'endOfText']);
  });

  it('lets the others go on when one ends, and fills its place', async () => {
    using scripted = await scriptedModel([0, 1, 2, 3, 4, 5, 6, 7, 8], 10);
    const prompts = [[9], [9, 9, 9, 9], [9, 9], [9, 9, 9, 9, 9]];
    const options = { temperature: 0, maxNewTokens: 9, stopTokenIds: [6], batchSize: 2 };
    const ids = await idsOf(scripted, prompts, options);
    expect(ids.map((tokens) => tokens.join(''))).toEqual(['012345', '345', '12345', '45']);
  });

  it('starts an empty prompt from the end of text', async () => {
    const { summary } = await generate(model, [[], [5]], { ...SAMPLED, endOfText: 5, stopAtEndOfText: false });
    expect(summary.sequences.map(({ promptTokens }) => promptTokens)).toEqual([1, 1]);
    expect(await idsOf(model, [[5]], SAMPLED)).toEqual([summary.sequences[0]!.tokenIds]);
    expect(() => generateTokens(model, [[]])).toThrow(
      new ConfigError(
        'generate: expected a prompt of at least one token, got none. Give some text, or set endOfText to the id that begins a document.',
      ),
    );
  });
});

describe('a full context', () => {
  it('slides: the last half is read again', async () => {
    const prompt = randomTokens(60, 4);
    const [ids] = await idsOf(model, [prompt], { temperature: 0, maxNewTokens: 45 });
    // What a reader without a cache does: up to 64 tokens of context, then on with the last 32.
    let context = [...prompt];
    const expected: number[] = [];
    while (expected.length < 45) {
      if (context.length > 64) context = context.slice(-32);
      const [next] = await greedyByForward(model, context, 1);
      expected.push(next!);
      context.push(next!);
    }
    expect(ids).toEqual(expected);
  });

  it('reads the last tokens of a longer prompt', async () => {
    const prompt = randomTokens(100, 5);
    const [ids] = await idsOf(model, [prompt], { temperature: 0, maxNewTokens: 3 });
    expect(await idsOf(model, [prompt.slice(-64)], { temperature: 0, maxNewTokens: 3 })).toEqual([ids]);
  });

  it('ends the sequence when asked to', async () => {
    const options: GenerateOptions = { temperature: 0, maxNewTokens: 45, whenFull: 'stop' };
    const { summary } = await generate(model, [randomTokens(60, 4), randomTokens(64, 4)], options);
    // 64 tokens can be read; the one that they predict is the last.
    expect(summary.sequences.map(({ tokenIds, finishReason }) => [tokenIds.length, finishReason])).toEqual([
      [5, 'context'],
      [1, 'context'],
    ]);
    expect(
      (await generate(model, [randomTokens(64, 4)], { ...options, maxNewTokens: 1 })).summary.sequences[0],
    ).toMatchObject({ finishReason: 'length' });
    expect(() => generateTokens(model, [randomTokens(65, 4)], options)).toThrow(
      new ConfigError(
        "generate: expected a prompt of at most 64 tokens, got 65. Shorten it, or use whenFull: 'slide'.",
      ),
    );
  });

  it('works with a context of one token', async () => {
    using scripted = await scriptedModel([3], 10, 1);
    expect(await idsOf(scripted, [[9, 9]], { temperature: 0, maxNewTokens: 4 })).toEqual([[3, 3, 3, 3]]);
  });
});

describe('stopping early', () => {
  it('frees its memory at the end, on break, and on errors', async () => {
    const used = model.engine.usedBytes;
    await generate(model, [[1]], SAMPLED);
    expect(model.engine.usedBytes).toBe(used);
    for await (const _ of generateTokens(model, [[1], [2]], SAMPLED)) {
      expect(model.engine.usedBytes).toBeGreaterThan(used);
      break;
    }
    expect(model.engine.usedBytes).toBe(used);
    const generation = generateTokens(model, [[1]], SAMPLED);
    await generation.next();
    await expect(generation.throw(new Error('reader failed'))).rejects.toThrow('reader failed');
    expect(model.engine.usedBytes).toBe(used);
  });

  it('throws the reason of its signal', async () => {
    const used = model.engine.usedBytes;
    const controller = new AbortController();
    const reason = new Error('enough');
    let count = 0;
    const aborted = (async () => {
      for await (const _ of generateTokens(model, [[1]], { ...SAMPLED, signal: controller.signal }))
        if (++count === 4) controller.abort(reason);
    })();
    await expect(aborted).rejects.toBe(reason);
    expect(count).toBe(4);
    expect(model.engine.usedBytes).toBe(used);
    await expect(generateTokens(model, [[1]], { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason);
  });

  it('is stopped by a timer while the model computes', async () => {
    const options = { maxNewTokens: 1e9, signal: AbortSignal.timeout(60) };
    await expect(generate(model, [[1]], options)).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('throws DisposedError when the model goes away', async () => {
    const other = await tinyModel();
    const generation = generateTokens(other, [[1]], SAMPLED);
    await generation.next();
    other.dispose();
    await expect(generation.next()).rejects.toThrow(DisposedError);
    await expect(generateTokens(other, [[1]]).next()).rejects.toThrow(
      'engine: expected a live model, got a disposed one. Load or create it again.',
    );
  });
});

describe('errors', () => {
  it.each<[GenerateOptions, string]>([
    [
      { maxNewTokens: 0 },
      'generate: expected maxNewTokens to be a whole number ≥ 1, got 0. Say how many tokens to generate.',
    ],
    [
      { maxNewTokens: Number.POSITIVE_INFINITY },
      'generate: expected maxNewTokens to be a whole number ≥ 1, got Infinity. Say how many tokens to generate.',
    ],
    [{ stopTokenIds: [1, 512] }, 'generate: expected stopTokenIds from 0 to 511, got 512. Use ids of the tokenizer.'],
    [{ endOfText: -1 }, 'generate: expected endOfText from 0 to 511, got -1. Use null where there is none.'],
    [
      { whenFull: 'halt' as 'stop' },
      "generate: expected whenFull to be 'slide' or 'stop', got \"halt\". Name one of them.",
    ],
    [
      { batchSize: 0 },
      'generate: expected batchSize to be a whole number ≥ 1, got 0. It is how many prompts run side by side.',
    ],
    [
      { maxTokens: 5 } as GenerateOptions,
      'generate: expected one of maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stopTokenIds, endOfText, stopAtEndOfText, whenFull, signal, batchSize, cacheDtype, sequence, logProbabilities, alternatives, got maxTokens. Check the spelling.',
    ],
    [{ sequence: -1 }, 'generate: expected sequence from 0 to 2^31 − 1, got -1. Leave it out for 0.'],
    [
      { temperature: -1 },
      'generate: expected temperature ≥ 0, got -1. Use 0 for the likeliest token, 1 for the model as it is.',
    ],
  ])('%j', (options, message) => {
    expect(() => generateTokens(model, [[1]], options)).toThrow(new ConfigError(message));
    expect(() => generateTokens(model, [[1]], options)).toThrow(ConfigError);
  });

  it('refuses ids outside the vocabulary', () => {
    expect(() => generateTokens(model, [[1], [2, 512]])).toThrow(DataError);
  });
});

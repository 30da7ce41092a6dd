/** Sessions: what keys and values are kept as, and where logits go. */

import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { generateTokens } from '../../src/generation/index.ts';
import { DTYPES } from '../../src/models/dtype.ts';
import { Session, type SessionOptions } from '../../src/models/inference/session.ts';
import { type LoadOptions, loadCausalLM } from '../../src/models/load.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { concat, type Oracle, readOracle } from './oracles.ts';

const NAMES = ['gpt2-odd', 'gpt2-one-layer', 'openai-gpt-lm'] as const;

async function withModel<T>(oracle: Oracle, options: LoadOptions, use: (model: CausalLM) => Promise<T>): Promise<T> {
  const model = await loadCausalLM(oracle.directory, { threads: 1, precision: 'exact', ...options });
  try {
    return await use(model);
  } finally {
    model.dispose();
  }
}

/** Logits behind every `piece` tokens of three texts side by side. */
async function logitsOf(
  model: CausalLM,
  oracle: Oracle,
  piece: number,
  options: SessionOptions,
): Promise<Float32Array> {
  const texts = oracle.ids.slice(0, 3);
  const session = await Session.create(model, { sequences: texts.length, ...options });
  const results: Float32Array[] = [];
  for (let at = 0; at < texts[0]!.length; at += piece)
    results.push(
      ...(await session.append(texts.map((ids, slot) => ({ tokens: ids.slice(at, at + piece), position: at, slot })))),
    );
  session.dispose();
  return concat(results);
}

describe('cacheDtype', () => {
  it.each(NAMES)('%s: bf16 gives logits near those of f32, whatever the weights', async (name) => {
    const oracle = await readOracle(name);
    for (const dtype of DTYPES)
      await withModel(oracle, { dtype }, async (model) => {
        const [exact, rounded] = [
          await logitsOf(model, oracle, 1, { cacheDtype: 'f32' }),
          await logitsOf(model, oracle, 1, { cacheDtype: 'bf16' }),
        ];
        const error = Math.hypot(...rounded.map((value, i) => value - exact[i]!)) / Math.hypot(...exact);
        // Keys and values are rounded to 2⁻⁹, which attention averages; where rows are quantized, that moves some by a step.
        expect(error, dtype).toBeLessThan(dtype === 'q8' || dtype === 'q4' ? 0.01 : 0.005);
        expect(error, dtype).toBeGreaterThan(0);
      });
  });

  it.each(NAMES)('%s: bf16 gives the same bits in any pieces, on any number of threads', async (name) => {
    const oracle = await readOracle(name);
    for (const dtype of ['f32', 'q8'] as const) {
      const last = (values: Float32Array, model: CausalLM) =>
        values.slice(-Math.min(3, oracle.ids.length) * model.config.vocabSize);
      const load = { dtype };
      const expected = await withModel(oracle, load, async (model) =>
        last(await logitsOf(model, oracle, 1, { cacheDtype: 'bf16' }), model),
      );
      for (const threads of [1, 2, 3])
        await withModel(oracle, { ...load, threads }, async (model) => {
          for (const maxRows of [5, 64]) {
            const length = oracle.ids[0]!.length;
            const whole = await logitsOf(model, oracle, length, { cacheDtype: 'bf16', maxRows });
            expect(last(whole, model), `${dtype}, ${threads} threads, ${maxRows} rows`).toEqual(expected);
          }
        });
    }
  });

  it('is bf16 by default for quantized weights, unless the precision is exact', async () => {
    const oracle = await readOracle('gpt2-odd');
    for (const precision of ['exact', 'fast'] as const)
      for (const dtype of DTYPES)
        await withModel(oracle, { precision, dtype }, async (model) => {
          const isQuantized = dtype === 'q8' || dtype === 'q4';
          const isFast = model.engine.info.precision === 'fast'; // where there is relaxed SIMD
          const { cacheDtype } = await Session.create(model);
          expect(cacheDtype, `${dtype}, ${precision}`).toBe(isQuantized && isFast ? 'bf16' : 'f32');
        });
  });

  it('is an option of generating, and its values are checked', async () => {
    const oracle = await readOracle('gpt2-odd');
    await withModel(oracle, {}, async (model) => {
      const generate = async (cacheDtype?: 'f32' | 'bf16') => {
        const options = { cacheDtype, maxNewTokens: 6, temperature: 0, logProbabilities: true };
        const found: number[] = [];
        for await (const { logProbability } of generateTokens(model, [oracle.ids[0]!.slice(0, 3)], options))
          found.push(logProbability!);
        return found;
      };
      expect(await generate('f32')).toEqual(await generate());
      expect(await generate('bf16')).not.toEqual(await generate());
      const unknown = 'f8' as 'f32';
      const message = 'session: expected cacheDtype f32 or bf16, got f8. Leave it out for the default.';
      await expect(generate(unknown)).rejects.toThrow(new ConfigError(message));
      await expect(Session.create(model, { cacheDtype: unknown })).rejects.toThrow(new ConfigError(message));
    });
  });
});

describe('logits', () => {
  it('go where the caller says, in the order of the groups', async () => {
    const oracle = await readOracle('gpt2-odd');
    await withModel(oracle, {}, async (model) => {
      const { vocabSize } = model.config;
      const session = await Session.create(model, { sequences: 2, maxRows: 4 }); // so that runs end inside of groups
      const [a, b] = oracle.ids as [number[], number[]];
      const groups = [a.slice(0, 9), b.slice(0, 2), a.slice(0, 5)].map((tokens, i) => ({ tokens, slot: i % 2 }));
      const own = await session.append(groups.slice(0, 2));
      const third = await session.append(groups.slice(2));
      const logits = new Float32Array(2 * vocabSize + 3).fill(7);
      const parts = await session.append(groups.slice(0, 2), { logits });
      expect(parts.map((part) => part.buffer)).toEqual([logits.buffer, logits.buffer]);
      expect(parts).toEqual(own);
      expect(logits.slice(0, 2 * vocabSize)).toEqual(concat(own));
      expect(Array.from(logits.slice(-3))).toEqual([7, 7, 7]);
      const again = await session.append(groups.slice(2), { logits });
      expect(again).toEqual(third);
      expect(logits.slice(vocabSize, 2 * vocabSize)).toEqual(own[1]);
      await expect(session.append(groups.slice(0, 2), { logits: logits.subarray(4) })).rejects.toThrow(
        `session: expected room for 2 × ${vocabSize} logits, got ${2 * vocabSize - 1}. Leave it out, or make it larger.`,
      );
    });
  });
});

it('refuses slots and positions that the cache does not have, before anything is written', async () => {
  const oracle = await readOracle('gpt2-odd');
  await withModel(oracle, {}, async (model) => {
    const session = await Session.create(model, { sequences: 2, capacity: 8 });
    const tokens = [1, 2];
    for (const slot of [2, -1, 0.5, Number.NaN])
      await expect(session.append([{ tokens, slot }])).rejects.toThrow(
        new RangeError(`session: expected slots from 0 to 1, each once, got ${slot}.`),
      );
    await expect(
      session.append([
        { tokens, slot: 1 },
        { tokens, slot: 1, position: 2 },
      ]),
    ).rejects.toThrow(new RangeError('session: expected slots from 0 to 1, each once, got 1 twice.'));
    for (const position of [-1, 0.5, 9])
      await expect(session.append([{ tokens, position }])).rejects.toThrow(
        new RangeError(`session: expected a position from 0 to 8, got ${position}.`),
      );
    await expect(session.append([{ tokens, position: 7 }])).rejects.toThrow(
      new RangeError('session: expected 1 to 1 tokens after position 7, got 2.'),
    );
  });
});

/**
 * What rounding costs a model that has learned something: a small GPT-2 after some hundred steps on Moby-Dick, and its
 * perplexity on the last tenth of the book in every dtype. Weights that were trained are what quantization is made for:
 * those of the oracles are random, and lose more.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenDataset } from '../../src/data/index.ts';
import { scoreTokens } from '../../src/evaluation/index.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import { createModel } from '../../src/models/create.ts';
import { DTYPES } from '../../src/models/dtype.ts';
import { Session } from '../../src/models/inference/session.ts';
import { loadCausalLM } from '../../src/models/load.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { trainTokenizer } from '../../src/tokenizer/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { mobyDick } from '../tokenizer/support.ts';

/** Perplexity may grow by so much, relative to f32. */
const LIMITS = { f32: 0, f16: 1e-4, bf16: 1e-3, q8: 0.005, q4: 0.04 };

/** `fast` falls back to `exact` where there is no relaxed SIMD (Node 20): what runs stands in the titles. */
const PRECISIONS = await Promise.all(
  (['exact', 'fast'] as const).map(async (precision) => {
    const engine = await Engine.create({ precision, threads: 1 });
    engine.dispose();
    return { precision, binary: engine.info.binary };
  }),
);

const folder: Directory = memoryDirectory();
let unseen: number[];
/** Perplexities, printed at the end. */
const report: Record<string, Record<string, string>> = {};

beforeAll(async () => {
  const text = mobyDick().slice(0, 200_000);
  const tokenizer = await trainTokenizer(text, { kind: 'char' });
  const ids = Array.from(tokenizer.encode(text));
  const seen = ids.slice(0, 180_000);
  unseen = ids.slice(180_000, 180_000 + 8_193);
  const model = await createModel('gpt2', {
    ...{ nLayer: 2, nHead: 4, nEmbd: 128, blockSize: 64, vocabSize: tokenizer.vocabSize, seed: 1 },
    ...{ embdDropout: 0, attnDropout: 0, residDropout: 0, precision: 'exact', threads: 2 },
  });
  const options = { batchSize: 8, length: 64, steps: 400, learningRate: 3e-3, warmupSteps: 20, seed: 1 };
  const trainer = new Trainer(causalLanguageModel(model), tokenDataset(seen, { evalFraction: 0 }), options);
  for await (const _ of trainer.run());
  await model.save(folder);
  model.dispose();
});
afterAll(() => console.table(report));

describe.each(PRECISIONS)('$precision ($binary)', ({ precision, binary }) => {
  it('perplexity on unseen text', async () => {
    const row: Record<string, string> = {};
    report[`${precision} (${binary})`] = row;
    let exact = Number.NaN;
    for (const dtype of DTYPES) {
      const model = await loadCausalLM(folder, { precision, dtype, threads: 2 });
      const { perplexity, tokens } = await scoreTokens(model, [unseen]);
      model.dispose();
      expect(tokens).toBe(8192);
      if (dtype === 'f32') exact = perplexity;
      const change = perplexity / exact - 1;
      row[dtype] =
        dtype === 'f32' ? perplexity.toFixed(4) : `${change < 0 ? '−' : '+'}${(100 * Math.abs(change)).toFixed(3)} %`;
      expect(change, dtype).toBeLessThanOrEqual(LIMITS[dtype]);
      // Nor better by more than noise: then it would not be the same model.
      expect(change, dtype).toBeGreaterThanOrEqual(-LIMITS[dtype]);
    }
    expect(exact).toBeLessThan(12);
  });

  it('perplexity with a cache of bf16', async () => {
    for (const dtype of ['f32', 'q8', 'q4'] as const) {
      const model = await loadCausalLM(folder, { precision, dtype, threads: 2 });
      const exact = await cachedPerplexity(model, 'f32');
      const change = (await cachedPerplexity(model, 'bf16')) / exact - 1;
      model.dispose();
      report[`${precision} (${binary})`]![`${dtype}, bf16 cache`] =
        `${change < 0 ? '−' : '+'}${(100 * Math.abs(change)).toFixed(3)} %`;
      expect(Math.abs(change), dtype).toBeLessThan(5e-4);
      expect(change, dtype).not.toBe(0);
    }
  });
});

/** Perplexity of the unseen text, token by token through caches, in windows of the model's context. */
async function cachedPerplexity(model: CausalLM, cacheDtype: 'f32' | 'bf16'): Promise<number> {
  const { blockSize } = model.config;
  const windows = Array.from({ length: 64 }, (_, i) => unseen.slice(i * blockSize, (i + 1) * blockSize + 1));
  const session = await Session.create(model, { sequences: windows.length, cacheDtype });
  let sum = 0;
  for (let at = 0; at < blockSize; at++) {
    const logits = await session.append(windows.map((ids, slot) => ({ tokens: [ids[at]!], position: at, slot })));
    for (const [i, row] of logits.entries()) {
      const total = row.reduce((total, value) => total + Math.exp(value), 0);
      sum += Math.log(total) - row[windows[i]![at + 1]!]!;
    }
  }
  session.dispose();
  return Math.exp(sum / (windows.length * blockSize));
}

/** The evaluation split: covered once, at the right times; patience. */

import { describe, expect, it } from 'vitest';
import { tokenDataset } from '../../src/data/index.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { forward } from '../../src/models/index.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { dropout, keep, randomIds, smallData, smallModel, train, weightsOf } from './support.ts';

describe('evaluate', () => {
  it.each([
    [1, 8],
    [3, 8],
    [3, 5],
    [50, 8],
    [7, 1],
  ])('counts each target of the split once: batches of %i, context %i', async (batchSize, length) => {
    const model = keep(await smallModel(dropout(0.2)));
    const data = tokenDataset(randomIds(300), { evalFraction: 0.25 });
    const trainer = new Trainer(causalLanguageModel(model), data, { batchSize, length });
    const { targets, loss, accuracy } = await trainer.evaluate();
    expect(targets).toBe(74);
    // The same windows one by one, in f64 behind the logits.
    let [sum, hits] = [0, 0];
    for (let start = 0; start < 74; start += length) {
      const window = data.evalTokens.subarray(start, Math.min(start + length, 74) + 1);
      const { logits } = await forward(model, window.subarray(0, -1));
      for (let row = 0; row + 1 < window.length; row++) {
        const scores = logits.subarray(row * 13, (row + 1) * 13);
        sum += Math.log(scores.reduce((total, x) => total + Math.exp(x), 0)) - scores[window[row + 1]!]!;
        if (scores.indexOf(Math.max(...scores)) === window[row + 1]) hits++;
      }
    }
    expect(loss).toBeCloseTo(sum / 74, 5);
    expect(accuracy).toBe(hits / 74);
    trainer.dispose();
  });

  it('changes nothing: a run that evaluates has the bits of one that does not', async () => {
    const digests = [];
    for (const evalEvery of [0, 1]) {
      const model = await smallModel(dropout(0.1));
      await train(new Trainer(causalLanguageModel(model), smallData(), { batchSize: 2, steps: 5, evalEvery }));
      digests.push(await weightsOf(model));
      model.dispose();
    }
    expect(digests[1]).toBe(digests[0]);
  });

  it('comes every evalEvery steps and at the end, and stands in the result', async () => {
    const model = keep(await smallModel());
    const trainer = new Trainer(causalLanguageModel(model), smallData(), { batchSize: 2, steps: 7, evalEvery: 3 });
    const { steps, result } = await train(trainer);
    expect(steps.filter(({ evaluation }) => evaluation).map(({ step }) => step)).toEqual([3, 6, 7]);
    expect(result!.evaluation).toEqual(steps.at(-1)!.evaluation);
    expect(result).toMatchObject({ step: 7, loss: steps.at(-1)!.loss, reason: 'steps' });
    expect(result!.tokensPerSecond).toBeGreaterThan(0);
    expect(await trainer.evaluate()).toEqual(result!.evaluation);
    trainer.dispose();
    const last = await train(new Trainer(causalLanguageModel(model), smallData(), { batchSize: 2, steps: 3 }));
    expect(last.steps.map(({ evaluation }) => evaluation !== undefined)).toEqual([false, false, true]);
  });

  it('without a split there is none', async () => {
    const model = keep(await smallModel());
    const data = tokenDataset(randomIds(100), { evalFraction: 0 });
    const { steps, result } = await train(new Trainer(causalLanguageModel(model), data, { batchSize: 2, steps: 2 }));
    expect(steps.some((step) => 'evaluation' in step)).toBe(false);
    expect('evaluation' in result!).toBe(false);
  });
});

describe('patience', () => {
  // A model that does not learn: its first evaluation is its best.
  const still = { batchSize: 2, steps: 50, learningRate: 0, minLearningRate: 0, evalEvery: 2, patience: 2 };

  it('stops when as many evaluations in a row were no better', async () => {
    const model = keep(await smallModel());
    const trainer = new Trainer(causalLanguageModel(model), smallData(), still);
    const { steps, result } = await train(trainer);
    expect(steps.length).toBe(6); // best at 2, no better at 4 and 6
    expect(result).toMatchObject({ step: 6, reason: 'patience' });
    expect(result!.evaluation).toEqual(steps.at(-1)!.evaluation);
    trainer.dispose();
  });

  it('goes on while evaluations get better', async () => {
    const model = keep(await smallModel());
    const data = tokenDataset(randomIds(6).concat(...Array.from({ length: 50 }, () => randomIds(6))));
    const trainer = new Trainer(causalLanguageModel(model), data, {
      ...still,
      steps: 12,
      learningRate: 1e-2,
      patience: 1,
    });
    expect((await train(trainer)).result).toMatchObject({ step: 12, reason: 'steps' });
    trainer.dispose();
  });

  it('counts on in a resumed run, and a run that it ended stays ended', async () => {
    const model = keep(await smallModel());
    const directory = memoryDirectory();
    const options = { ...still, saveEvery: 1, directory };
    const first = new Trainer(causalLanguageModel(model), smallData(), options);
    await train(first, { until: 5 });
    first.dispose();
    const second = new Trainer(causalLanguageModel(model), smallData(), options);
    expect(await second.resume()).toBe(5);
    expect((await train(second)).result).toMatchObject({ step: 6, reason: 'patience' });
    second.dispose();
    const third = new Trainer(causalLanguageModel(model), smallData(), options);
    expect(await third.resume()).toBe(6);
    const { steps, result } = await train(third);
    expect(steps).toEqual([]);
    expect(result).toMatchObject({ step: 6, reason: 'patience', loss: Number.NaN });
    expect(result!.evaluation!.targets).toBe(29);
    third.dispose();
  });
});

/** A loss that is not finite: the error names the step, weights, moments and checkpoints stay good. */

import { describe, expect, it } from 'vitest';
import { TrainingError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { dropout, errorOf, keep, parametersOf, smallData, smallModel, train, weightsOf } from './support.ts';

const options = { batchSize: 3, steps: 8, accumulate: 2 };
const TABLE = 'transformer.wte.weight';

describe.each([Number.NaN, Number.POSITIVE_INFINITY, 3e38])('a weight of %d', (poison) => {
  it.each([0, 1])('clip %i: names the step and touches neither weights nor moments', async (clip) => {
    const whole = await smallModel(dropout(0.1));
    const expected = await train(new Trainer(causalLanguageModel(whole), smallData(), { ...options, clip }));
    const end = await weightsOf(whole);
    whole.dispose();

    const model = keep(await smallModel(dropout(0.1)));
    const directory = memoryDirectory();
    const trainer = new Trainer(causalLanguageModel(model), smallData(), { ...options, clip, directory, saveEvery: 2 });
    await train(trainer, { until: 5 });
    const good = await model.readParameter(TABLE);
    await model.writeParameter(
      TABLE,
      good.map((value, i) => (i % 16 === 3 ? poison : value)),
    );
    const before = await weightsOf(model);
    const error = (await errorOf(train(trainer))) as TrainingError;
    expect(error).toBeInstanceOf(TrainingError);
    expect(error.step).toBe(6);
    expect(error.message).toMatch(
      /^train: expected a finite loss and gradient at step 6, got loss \S+ and gradient norm (NaN|Infinity)\. Lower the learning rate or raise the warm-up; the weights are those of step 5\.$/,
    );
    expect(await weightsOf(model)).toBe(before);
    expect(await directory.list()).toEqual(['step-00000002/', 'step-00000004/']);

    // With the weight put right, the run goes on as if nothing had been: the moments are those of step 5.
    await model.writeParameter(TABLE, good);
    expect((await train(trainer)).steps.map(({ loss }) => loss)).toEqual(
      expected.steps.slice(5).map(({ loss }) => loss),
    );
    expect(await weightsOf(model)).toBe(end);
    trainer.dispose();
  });
});

describe('a huge learning rate', () => {
  const huge = { ...options, learningRate: 1e30, warmupSteps: 0 };

  it('ends at the first step whose loss is not finite, with the weights of the step before', async () => {
    const model = keep(await smallModel());
    const trainer = new Trainer(causalLanguageModel(model), smallData(), huge);
    await train(trainer, { until: 1 });
    const before = await parametersOf(model);
    const error = (await errorOf(train(trainer))) as TrainingError;
    expect(error).toBeInstanceOf(TrainingError);
    expect(error.step).toBe(2);
    expect(trainer.step).toBe(1);
    expect(await parametersOf(model)).toEqual(before);
    trainer.dispose();
  });

  it('is not saved over a good checkpoint', async () => {
    const model = keep(await smallModel());
    const directory = memoryDirectory();
    const calm = { ...options, warmupSteps: 7, steps: 100, learningRate: 1e30, schedule: 'constant' as const };
    // A warm-up from nothing: learning rates of the first run are 0, those of the second are not.
    const first = new Trainer(causalLanguageModel(model), smallData(), {
      ...calm,
      learningRate: 0,
      directory,
      saveEvery: 1,
    });
    await train(first, { until: 2 });
    first.dispose();
    const good = await weightsOf(model);
    const second = new Trainer(causalLanguageModel(model), smallData(), {
      ...calm,
      directory,
      saveEvery: 3,
      keepCheckpoints: 1,
    });
    const error = (await errorOf(train(second))) as TrainingError;
    expect(error).toBeInstanceOf(TrainingError);
    second.dispose();
    const third = new Trainer(causalLanguageModel(model), smallData(), { ...calm, learningRate: 0, directory });
    expect(await third.resume()).toBe(2);
    expect(await weightsOf(model)).toBe(good);
    third.dispose();
  });

  it('a checkpoint, an evaluation and an explicit save of such weights are refused', async () => {
    const messages = [];
    for (const more of [{ saveEvery: 1 }, { evalEvery: 1 }, { steps: 1, saveEvery: 1 }, { steps: 1 }]) {
      const model = await smallModel();
      const directory = memoryDirectory();
      const error = await errorOf(
        train(new Trainer(causalLanguageModel(model), smallData(), { ...huge, ...more, directory })),
      );
      expect(error).toBeInstanceOf(TrainingError);
      expect((error as TrainingError).step).toBe(1);
      messages.push(/in (an? \w+) after step 1, got \S+\. Lower/.exec(error.message)?.[1]);
      expect(await directory.list()).toEqual([]);
      model.dispose();
    }
    expect(messages).toEqual(['a checkpoint', 'an evaluation', 'an evaluation', 'an evaluation']);
  });
});

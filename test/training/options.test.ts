/** The options of a run: defaults, and what is refused in which words. */

import { expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { completeTrainerOptions, Trainer, type TrainerOptions, trainingBytes } from '../../src/training/index.ts';
import { keep, smallData, smallModel } from './support.ts';

it('has defaults that train a small model', () => {
  expect(completeTrainerOptions({ steps: 2000, batchSize: undefined }, 64)).toEqual({
    batchSize: 12,
    length: 64,
    steps: 2000,
    learningRate: 1e-3,
    minLearningRate: 1e-4,
    schedule: 'cosine',
    warmupSteps: 100,
    weightDecay: 0.1,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    clip: 1,
    accumulate: 1,
    seed: 0,
    evalEvery: 0,
    patience: 0,
    saveEvery: 0,
    keepCheckpoints: 2,
  });
  expect(completeTrainerOptions({}, 64)).toMatchObject({ steps: 1000, warmupSteps: 50 });
  expect(completeTrainerOptions({ learningRate: 2e-4 }, 64).minLearningRate).toBeCloseTo(2e-5, 12);
});

const refused: [TrainerOptions, string][] = [
  [{ batchSize: 0 }, 'batchSize to be a whole number from 1 to 65536, got 0. Change batchSize.'],
  [{ batchSize: 1.5 }, 'batchSize to be a whole number from 1 to 65536, got 1.5. Change batchSize.'],
  [{ length: 9 }, "length to be at most the model's blockSize 8, got 9. Change length."],
  [{ steps: 0 }, 'steps to be a whole number from 1 to 9007199254740991, got 0. Change steps.'],
  [{ learningRate: -1 }, 'learningRate to be a number from 0 to 1e+30, got -1. Change learningRate.'],
  [{ learningRate: Number.NaN }, 'learningRate to be a number from 0 to 1e+30, got NaN. Change learningRate.'],
  [{ weightDecay: 11 }, 'weightDecay to be a number from 0 to 10, got 11. Change weightDecay.'],
  [{ beta1: 1 }, 'beta1 to be a number from 0 to 0.9999999, got 1. Change beta1.'],
  [{ epsilon: 0 }, 'epsilon to be a number from 1e-30 to 1, got 0. Change epsilon.'],
  [{ seed: -1 }, 'seed to be a whole number from 0 to 9007199254740991, got -1. Change seed.'],
  [{ keepCheckpoints: 0 }, 'keepCheckpoints to be a whole number from 1 to 1000, got 0. Change keepCheckpoints.'],
  [{ clip: '1' as never }, 'clip to be a number from 0 to 1000000000, got "1". Change clip.'],
  [{ schedule: 'step' as never }, `schedule to be 'cosine', 'linear' or 'constant', got "step". Change schedule.`],
  [{ patience: 2 }, 'evalEvery to be above 0 where there is patience, got 0. Change evalEvery.'],
];

it.each(refused)('refuses %o', (options, message) => {
  const refuse = () => completeTrainerOptions(options, 8);
  expect(refuse).toThrow(ConfigError);
  expect(refuse).toThrow(`Trainer: expected ${message}`);
});

it('refuses a model in the place of an objective, and data that is none', async () => {
  const model = keep(await smallModel());
  const message = (where: string, got: string) => `${where}: expected an objective, got ${got}.`;
  const wrap = 'a model. Pass causalLanguageModel(model)';
  expect(() => new Trainer(model as never, smallData())).toThrow(TypeError);
  expect(() => new Trainer(model as never, smallData())).toThrow(message('Trainer', wrap));
  expect(() => trainingBytes(model as never, { batchSize: 1, length: 8 }, 1, { clip: 1, weightDecay: 0 })).toThrow(
    message('trainingBytes', wrap),
  );
  expect(() => new Trainer(undefined as never, smallData())).toThrow(
    message('Trainer', 'undefined. Pass one, such as causalLanguageModel(model)'),
  );
  expect(() => new Trainer(causalLanguageModel(model), [] as never)).toThrow(
    'Trainer: expected a dataset, such as tokenDataset(ids), got object.',
  );
  for (const [other, got] of [
    [undefined, 'none'],
    [{ head: { kind: 'masked' } }, 'a masked model'],
  ] as const) {
    expect(() => causalLanguageModel(other as never)).toThrow(ConfigError);
    expect(() => causalLanguageModel(other as never)).toThrow(
      `causalLanguageModel: expected a causal language model, got ${got}. Create or load one.`,
    );
  }
});

it('names the options when one is misspelt', () => {
  expect(() => completeTrainerOptions({ batchsize: 3 } as TrainerOptions, 8)).toThrow(
    /^Trainer: expected one of batchSize, length, .*, schedule, got batchsize\. Check the spelling\.$/,
  );
});

it('refuses what needs a folder or an evaluation split without one', async () => {
  const model = keep(await smallModel());
  expect(() => new Trainer(causalLanguageModel(model), smallData(), { saveEvery: 5 })).toThrow(
    new ConfigError('Trainer: expected a directory for checkpoints, got saveEvery without one. Pass { directory }.'),
  );
  const { evaluation: _, ...data } = smallData();
  expect(() => new Trainer(causalLanguageModel(model), data, { evalEvery: 5 })).toThrow(
    new ConfigError(
      'Trainer: expected a dataset with an evaluation split, got evalEvery 5 without one. Pass { evalFraction } to it.',
    ),
  );
  const trainer = new Trainer(causalLanguageModel(model), data);
  await expect(trainer.evaluate()).rejects.toThrow(ConfigError);
  await expect(trainer.resume()).rejects.toThrow('Trainer: expected a directory to resume from, got none.');
  await expect(trainer.save()).rejects.toThrow('Trainer: expected a directory for checkpoints, got none.');
  trainer.dispose();
});

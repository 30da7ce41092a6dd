/** The trainer's life: break and go on, abort, one run at a time, dispose, several trainers. */

import { describe, expect, it } from 'vitest';
import { ConfigError, DisposedError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import type { CausalLM } from '../../src/models/index.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer, type TrainerFiles, type TrainerOptions, type TrainStep } from '../../src/training/index.ts';
import { dropout, errorOf, keep, type Numbers, smallData, smallModel, train, weightsOf } from './support.ts';

const options = { batchSize: 2, steps: 8, accumulate: 2, evalEvery: 3 };
const newTrainer = (model: CausalLM, more: TrainerOptions & TrainerFiles = {}) =>
  new Trainer(causalLanguageModel(model), smallData(), { ...options, ...more });

/** The run that was not interrupted. */
async function whole(): Promise<{ steps: Numbers[]; weights: string }> {
  const model = await smallModel(dropout(0.1));
  const { steps } = await train(newTrainer(model));
  const weights = await weightsOf(model);
  model.dispose();
  return { steps, weights };
}

it('is an async iterator: break and run again go on with the same bits', async () => {
  const expected = await whole();
  const model = keep(await smallModel(dropout(0.1)));
  const trainer = newTrainer(model);
  const steps: Numbers[] = [];
  for (const stop of [1, 3, 4]) {
    for await (const { tokensPerSecond, ...step } of trainer.run()) {
      expect(tokensPerSecond).toBeGreaterThan(0);
      steps.push(step);
      if (step.step === stop) break;
    }
    expect(trainer.step).toBe(stop);
  }
  steps.push(...(await train(trainer)).steps);
  expect(steps).toEqual(expected.steps);
  expect(await weightsOf(model)).toBe(expected.weights);
  expect((await train(trainer)).steps).toEqual([]);
  trainer.dispose();
});

it('learns', async () => {
  const model = keep(await smallModel());
  const pattern = Array.from({ length: 300 }, (_, i) => [3, 1, 4, 1, 5, 9, 2, 6][i % 8]!);
  const { tokenDataset } = await import('../../src/data/index.ts');
  const trainer = new Trainer(causalLanguageModel(model), tokenDataset(pattern), {
    batchSize: 4,
    steps: 150,
    learningRate: 1e-2,
  });
  const { steps, result } = await train(trainer);
  expect(steps[0]!.loss).toBeCloseTo(Math.log(13), 1);
  expect(result!.evaluation!.loss).toBeLessThan(0.2);
  expect(result!.evaluation!.accuracy).toBeGreaterThan(0.9);
  trainer.dispose();
});

it('the seed draws the order of the data', async () => {
  const model = keep(await smallModel());
  const first = async (seed: number) => {
    const trainer = newTrainer(model, { seed, learningRate: 0, steps: 1 });
    const [step] = (await train(trainer)).steps;
    trainer.dispose();
    return step!.loss;
  };
  const losses = [await first(1), await first(2), await first(1 + 2 ** 32), await first(1)];
  expect(new Set(losses).size).toBe(3);
  expect(losses[3]).toBe(losses[0]);
});

it('reports a step before it saves its checkpoint', async () => {
  const directory = memoryDirectory();
  const trainer = newTrainer(keep(await smallModel()), { steps: 4, directory, saveEvery: 2 });
  const reported: [TrainStep, string[]][] = [];
  const yielded: TrainStep[] = [];
  const onStep = async (step: TrainStep) => void reported.push([step, await directory.list()]);
  for await (const step of trainer.run({ onStep })) yielded.push(step);
  expect(reported.map(([, files]) => files)).toEqual([[], [], ['step-00000002/'], ['step-00000002/']]);
  expect(yielded.map(({ checkpoint }) => checkpoint)).toEqual([undefined, 'step-00000002', undefined, 'step-00000004']);
  expect(reported.map(([step]) => step)).toEqual(yielded.map(({ checkpoint: _, ...step }) => step));
});

describe('signal', () => {
  it('stops behind a step, saves a checkpoint, throws the reason; resumed, the run is as if nothing had been', async () => {
    const expected = await whole();
    const model = keep(await smallModel(dropout(0.1)));
    const directory = memoryDirectory();
    const trainer = newTrainer(model, { directory });
    const controller = new AbortController();
    const reason = new Error('enough');
    const steps: Numbers[] = [];
    const error = await errorOf(async () => {
      for await (const { tokensPerSecond: _, ...step } of trainer.run({ signal: controller.signal })) {
        steps.push(step);
        if (step.step === 4) controller.abort(reason);
      }
    });
    expect(error).toBe(reason);
    expect(await directory.list()).toEqual(['step-00000004/']);
    trainer.dispose();
    const second = newTrainer(model, { directory });
    expect(await second.resume()).toBe(4);
    steps.push(...(await train(second)).steps);
    expect(steps).toEqual(expected.steps);
    expect(await weightsOf(model)).toBe(expected.weights);
    second.dispose();
  });

  it('aborted before the first step: nothing is saved', async () => {
    const directory = memoryDirectory();
    const trainer = newTrainer(keep(await smallModel()), { directory });
    expect(await errorOf(train(trainer, { signal: AbortSignal.abort('no') }))).toBe('no');
    expect(await directory.list()).toEqual([]);
    expect(trainer.step).toBe(0);
  });

  it('without a directory it only stops', async () => {
    const trainer = newTrainer(keep(await smallModel()));
    await train(trainer, { until: 2 });
    expect(await errorOf(train(trainer, { signal: AbortSignal.abort('no') }))).toBe('no');
    expect((await train(trainer)).result!.step).toBe(8);
  });

  it('stops an evaluation too: the step before it is saved', async () => {
    const directory = memoryDirectory();
    const data = smallData();
    const controller = new AbortController();
    const evaluation = function* (shape: { batchSize: number; length: number }) {
      for (const batch of data.evaluation!(shape)) {
        controller.abort('stop');
        yield batch;
      }
    };
    const trainer = new Trainer(
      causalLanguageModel(keep(await smallModel())),
      { ...data, evaluation },
      { ...options, directory },
    );
    const reported: string[] = [];
    const onStep = async ({ step }: TrainStep) => void reported.push(`${step} ${await directory.list()}`);
    const error = await errorOf(async () => {
      for await (const { step } of trainer.run({ signal: controller.signal, onStep })) reported.push(`${step}`);
    });
    expect(error).toBe('stop');
    expect(await directory.list()).toEqual(['step-00000003/']);
    // The step that was saved was reported before that, though it is never yielded.
    expect(reported).toEqual(['1 ', '1', '2 ', '2', '3 ']);
  });

  it('does not save again what is saved', async () => {
    const inner = memoryDirectory();
    const trainer = newTrainer(keep(await smallModel()), { directory: inner, saveEvery: 2 });
    await train(trainer, { until: 4 });
    await inner.write('step-00000004/untouched', '');
    expect(await errorOf(train(trainer, { signal: AbortSignal.abort('no') }))).toBe('no');
    expect(await inner.has('step-00000004/untouched')).toBe(true);
  });
});

it('runs one at a time', async () => {
  const trainer = newTrainer(keep(await smallModel()));
  const first = trainer.run();
  await first.next();
  await expect(trainer.run().next()).rejects.toThrow(
    new ConfigError('Trainer: expected one run at a time, got a second. Finish or break off the first.'),
  );
  await first.return(undefined as never);
  expect((await trainer.run().next()).value).toMatchObject({ step: 2 });
});

describe('dispose', () => {
  it('gives all memory back, and the model stays; twice is harmless', async () => {
    const model = keep(await smallModel());
    const before = model.engine.usedBytes;
    for (const until of [0, 2, 8]) {
      const trainer = newTrainer(model, { directory: memoryDirectory(), saveEvery: 4 });
      if (until > 0) await train(trainer, { until });
      if (until > 0) expect(model.engine.usedBytes).toBeGreaterThan(before);
      trainer.dispose();
      trainer.dispose();
      expect(model.engine.usedBytes).toBe(before);
    }
    await model.readParameter('transformer.wte.weight');
  });

  it('using it afterwards is refused', async () => {
    const trainer = newTrainer(keep(await smallModel()), { directory: memoryDirectory() });
    await train(trainer, { until: 3 });
    await trainer.save();
    trainer.dispose();
    for (const use of [
      () => trainer.run().next(),
      () => trainer.evaluate(),
      () => trainer.save(),
      () => trainer.resume(),
    ])
      await expect(use()).rejects.toThrow(
        new DisposedError('Trainer: expected a live trainer, got a disposed one. Make a new one.'),
      );
  });

  it('in the middle of a run ends the run', async () => {
    const trainer = newTrainer(keep(await smallModel()));
    const run = trainer.run();
    await run.next();
    trainer.dispose();
    await expect(run.next()).rejects.toThrow(DisposedError);
  });

  it('a disposed model ends the run; the trainer can then be disposed', async () => {
    const model = await smallModel();
    const trainer = newTrainer(model);
    const run = trainer.run();
    await run.next();
    model.dispose();
    await expect(run.next()).rejects.toThrow(DisposedError);
    trainer.dispose();
  });
});

it('two trainers on one model, one after the other', async () => {
  const model = keep(await smallModel());
  const first = newTrainer(model, { seed: 1 });
  await train(first);
  const between = await weightsOf(model);
  first.dispose();
  const second = newTrainer(model, { seed: 2 });
  const { steps } = await train(second);
  second.dispose();
  // As a fresh model with these weights: nothing of the first trainer is left in the second.
  const directory = memoryDirectory();
  await model.save(directory);
  const twin = keep(await smallModel());
  const warm = newTrainer(twin, { seed: 1 });
  await train(warm);
  expect(await weightsOf(twin)).toBe(between);
  const other = newTrainer(twin, { seed: 2 });
  expect((await train(other)).steps).toEqual(steps);
});

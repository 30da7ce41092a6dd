/** What a run takes, computed beforehand: exact, refused above 4 GiB with advice that holds. */

import { describe, expect, it } from 'vitest';
import { tokenDataset } from '../../src/data/index.ts';
import { MemoryError } from '../../src/errors.ts';
import { completeConfig } from '../../src/models/create.ts';
import { gpt2 } from '../../src/models/gpt2/family.ts';
import { GPT2_SIZES } from '../../src/models/gpt2/sizes.ts';
import { blueprint } from '../../src/models/model.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { MEMORY_LIMIT_BYTES } from '../../src/runtime/allocator.ts';
import { checkTrainingFits, Trainer, trainingBytes } from '../../src/training/index.ts';
import { dropout, errorOf, keep, randomIds, smallData, smallModel, train } from './support.ts';

const settings = { clip: 1, weightDecay: 0.1 };
type GPT2Size = keyof typeof GPT2_SIZES;
const sizeOf = (size: GPT2Size) => blueprint(gpt2, completeConfig(gpt2, GPT2_SIZES[size], 'test'));
const objectiveOf = (size: GPT2Size) => causalLanguageModel(sizeOf(size));
const bytesOf = (size: GPT2Size, batchSize: number, length: number, threads = 1) =>
  trainingBytes(objectiveOf(size), { batchSize, length }, threads, settings).total;

describe('trainingBytes', () => {
  it.each([
    [1, true],
    [3, true],
    [2, false],
  ])('is what a run with %i threads takes, to the byte (evaluation: %s)', async (threads, evaluation) => {
    const model = keep(await smallModel({ threads, ...dropout(0.1) }));
    const data = evaluation ? smallData() : tokenDataset(randomIds(100), { evalFraction: 0 });
    const shape = { batchSize: 3, length: 7 };
    const trainer = new Trainer(causalLanguageModel(model), data, { ...shape, steps: 2, accumulate: 2 });
    const { engine } = model;
    const before = engine.usedBytes;
    const bytes = trainingBytes(causalLanguageModel(model), shape, threads, { ...settings, evaluation });
    expect(engine.usedBytes).toBe(before);
    expect(bytes.weights).toBe(before);
    await train(trainer);
    expect(engine.usedBytes).toBe(bytes.total);
    const { weights, gradients, moments, plan } = bytes;
    expect(weights + gradients + moments + plan.total + bytes.evaluation).toBe(bytes.total);
    trainer.dispose();
  });

  it('has the weights, gradients and moments of GPT-2 124M', () => {
    const { weights, gradients, moments } = trainingBytes(objectiveOf('124M'), { batchSize: 1, length: 8 }, 1, {
      ...settings,
    });
    expect(weights).toBe(124439808 * 4);
    expect([gradients, moments]).toEqual([weights, 2 * weights]);
  });
});

function refusal(size: GPT2Size, batchSize: number, length: number, threads = 1): MemoryError {
  try {
    checkTrainingFits(objectiveOf(size), { batchSize, length }, threads, settings);
  } catch (error) {
    return error as MemoryError;
  }
  throw new Error('not refused');
}

const inMessage = (bytes: number) => Math.ceil(bytes / 2 ** 20).toLocaleString('en-US');

describe('checkTrainingFits', () => {
  it.each(['355M', '774M', '1.5B'] as const)('refuses %s at any size, saying what it takes by itself', (size) => {
    const started = performance.now();
    const error = refusal(size, 1, 1024);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(error).toBeInstanceOf(MemoryError);
    const blocks = sizeOf(size).parameters.count * 16;
    expect(error.requestedBytes / blocks).toBeCloseTo(1, 3);
    expect(error.limitBytes).toBe(MEMORY_LIMIT_BYTES);
    expect(error.message).toBe(
      `train: expected at most 4,096 MiB, got ${inMessage(error.requestedBytes)} MiB for weights, gradients and moments alone. ` +
        'No batch fits: use a smaller model.',
    );
  });

  it.each([
    [12, 1024, 1],
    [40, 200, 7],
    [1, 1024, 1],
  ])(
    '124M, batch %i, context %i, %i threads: what it advises fits, and one more does not',
    (batch, context, threads) => {
      if (bytesOf('124M', batch, context, threads) <= MEMORY_LIMIT_BYTES) {
        checkTrainingFits(objectiveOf('124M'), { batchSize: batch, length: context }, threads, settings);
        return;
      }
      const { message } = refusal('124M', batch, context, threads);
      const choices = [...message.matchAll(/batch (\d+) with context (\d+)(?=[,. ])/g)].slice(1);
      expect(choices.length, message).toBeGreaterThan(0);
      for (const [, b, c] of choices) {
        const [batchSize, length] = [Number(b), Number(c)];
        checkTrainingFits(objectiveOf('124M'), { batchSize, length }, threads, settings);
        if (batchSize < batch) refusal('124M', batchSize + 1, length, threads);
        if (length < context) refusal('124M', batchSize, length + 1, threads);
      }
    },
  );
});

it('a trainer refuses before anything is allocated', async () => {
  const model = keep(await smallModel({ nEmbd: 64, blockSize: 64 }));
  const before = model.engine.usedBytes;
  const error = (await errorOf(
    () => new Trainer(causalLanguageModel(model), smallData(), { batchSize: 65536 }),
  )) as MemoryError;
  expect(error).toBeInstanceOf(MemoryError);
  expect(error.message).toMatch(
    /^train: expected at most 4,096 MiB, got [\d,]+ MiB for batch 65536 with context 64\. What fits: batch \d+ with context 64, or batch 65536 with context \d+\.$/,
  );
  expect(error.requestedBytes).toBeGreaterThan(error.limitBytes);
  expect(model.engine.usedBytes).toBe(before);
});

it('where another trainer has the memory, the second one gets an error and leaves nothing behind', async () => {
  const model = keep(await smallModel());
  const { engine } = model;
  const hoard = await engine.allocate(engine.availableBytes - model.weights.bytes * 2, 'a hoard');
  const before = engine.usedBytes;
  const trainer = new Trainer(causalLanguageModel(model), smallData(), { batchSize: 2, steps: 1 });
  await expect(train(trainer)).rejects.toThrow(MemoryError);
  expect(engine.usedBytes).toBe(before);
  engine.release(hoard);
  expect((await train(trainer)).result!.step).toBe(1);
});

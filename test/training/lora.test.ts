/** Training adapters: resumed runs, checkpoints of another base or other adapters, and what a run takes of memory. */

import { describe, expect, it } from 'vitest';
import { CheckpointError, MemoryError } from '../../src/errors.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import { gpt2 } from '../../src/models/gpt2/family.ts';
import { GPT2_SIZES } from '../../src/models/gpt2/sizes.ts';
import {
  type AddLoraOptions,
  addLora,
  blueprint,
  completeConfig,
  type Dtype,
  LoraModel,
  loadCausalLM,
} from '../../src/models/index.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import {
  checkTrainingFits,
  Trainer,
  type TrainerFiles,
  type TrainerOptions,
  trainingBytes,
} from '../../src/training/index.ts';
import {
  dropout,
  errorOf,
  keep,
  type Numbers,
  parametersOf,
  smallData,
  smallModel,
  temporaryFolder,
  train,
} from './support.ts';

const options = { batchSize: 2, steps: 9, evalEvery: 4, learningRate: 5e-3 };

/** The folder of the base model. */
const folder = memoryDirectory();
await (await smallModel({ nLayer: 2, ...dropout(0.1) })).save(folder);

interface Setting {
  readonly dtype?: Dtype;
  readonly threads?: number;
  readonly lora?: AddLoraOptions;
  readonly base?: Directory;
}
async function model({ dtype = 'q8', threads = 1, lora, base = folder }: Setting = {}): Promise<LoraModel> {
  const loaded = await loadCausalLM(base, { dtype, threads, precision: 'exact' });
  return keep(await addLora(loaded, { rank: 2, alpha: 4, dropout: 0.1, ...lora }));
}
const newTrainer = (lora: LoraModel, more: TrainerOptions & TrainerFiles = {}) =>
  new Trainer(causalLanguageModel(lora), smallData(), { ...options, ...more });

describe('resume', () => {
  it.each<Dtype>(['f32', 'f16', 'q8', 'q4'])('on %s is bit for bit the run that was not interrupted', async (dtype) => {
    const whole = await model({ dtype });
    const expected = await train(newTrainer(whole));
    const directory = await temporaryFolder();
    const steps: Numbers[] = [];
    for (const [part, until] of [3, 7, 9].entries()) {
      // Other adapters, which the checkpoint replaces, on other numbers of threads.
      const lora = await model({ dtype, threads: part + 1, lora: { seed: part === 0 ? 0 : 99 } });
      const trainer = newTrainer(lora, { directory, saveEvery: 1 });
      expect(await trainer.resume()).toBe([0, 3, 7][part]);
      steps.push(...(await train(trainer, { until })).steps);
      if (until === 9) expect(await parametersOf(lora)).toEqual(await parametersOf(whole));
      trainer.dispose();
    }
    expect(steps).toEqual(expected.steps);
  });

  it('a checkpoint has the adapters, their moments and no base; its adapters load', async () => {
    const directory = memoryDirectory();
    const lora = await model();
    const trainer = newTrainer(lora, { directory, saveEvery: 9, tokenizer: { toJSON: () => ({}) } });
    await train(trainer);
    const checkpoint = await directory.subdirectory('step-00000009');
    expect(await checkpoint.list()).toEqual([
      ...[
        'adapter_config.json',
        'adapter_model.safetensors',
        'optimizer.safetensors',
        'tokenizer.json',
        'trainer.json',
      ],
    ]);
    const again = keep(
      await loadCausalLM(folder, { dtype: 'q8', threads: 1, precision: 'exact', adapter: checkpoint }),
    );
    expect(await parametersOf(again)).toEqual(await parametersOf(lora));
  });

  it.each<[string, Setting]>([
    ['expected model.rank 3, got a checkpoint with 2', { lora: { rank: 3 } }],
    ['expected model.alpha 2, got a checkpoint with 4', { lora: { alpha: 2 } }],
    ['expected model.dropout 0, got a checkpoint with 0.1', { lora: { dropout: 0 } }],
    [
      'expected model.targetModules "c_attn,c_fc", got a checkpoint with "c_attn"',
      { lora: { targetModules: ['c_attn', 'c_fc'] } },
    ],
    ['expected model.useRslora true, got a checkpoint with false', { lora: { useRslora: true } }],
    ['expected model.base "q4, crc32 ', { dtype: 'q4' }],
  ])('refuses other adapters and another base: %s', async (message, other) => {
    const directory = memoryDirectory();
    await newTrainer(await model(), { directory }).save();
    const lora = await model(other);
    const before = await parametersOf(lora);
    const error = await errorOf(newTrainer(lora, { directory }).resume());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(`memory:/step-00000000: ${message}`);
    expect(error.message).toMatch(/Resume with the options the run began with, or choose another directory\.$/);
    expect(await parametersOf(lora)).toEqual(before);
  });

  it('refuses a base of the same shape with other weights', async () => {
    const directory = memoryDirectory();
    await newTrainer(await model(), { directory }).save();
    const other = memoryDirectory();
    await (await smallModel({ nLayer: 2, ...dropout(0.1), seed: 2 })).save(other);
    const error = await errorOf(newTrainer(await model({ base: other }), { directory }).resume());
    expect(error.message).toMatch(
      /expected model\.base "q8, crc32 [0-9a-f]{8}", got a checkpoint with "q8, crc32 [0-9a-f]{8}"/,
    );
  });

  it('refuses a checkpoint of a whole model', async () => {
    const directory = memoryDirectory();
    const whole = keep(await loadCausalLM(folder, { trainable: true, threads: 1, precision: 'exact' }));
    await new Trainer(causalLanguageModel(whole), smallData(), { ...options, directory }).save();
    const error = await errorOf(newTrainer(await model(), { directory }).resume());
    expect(error.message).toContain('expected model.rank 2, got a checkpoint with undefined');
  });
});

describe('memory', () => {
  it.each<[Dtype, number, boolean]>([
    ['f32', 1, true],
    ['f16', 3, true],
    ['q8', 2, false],
    ['q4', 2, true],
  ])(
    'a run on %s with %i threads takes what trainingBytes says, to the byte (evaluation: %s)',
    async (dtype, threads, evaluation) => {
      const lora = await model({ dtype, threads, lora: { targetModules: ['c_attn', 'c_proj', 'c_fc'] } });
      const { engine } = lora;
      const before = engine.usedBytes;
      const { evaluation: _, ...data } = smallData();
      const shape = { batchSize: 3, length: 7 };
      const trainer = new Trainer(causalLanguageModel(lora), evaluation ? smallData() : data, {
        ...shape,
        steps: 2,
        accumulate: 2,
      });
      const settings = { clip: 1, weightDecay: 0.1 };
      const bytes = trainingBytes(causalLanguageModel(lora), shape, threads, { ...settings, evaluation });
      expect(bytes.weights + bytes.frozen).toBe(before);
      await train(trainer);
      expect(engine.usedBytes).toBe(bytes.total);
      trainer.dispose();
    },
  );

  /** GPT-2 355M with adapters of rank 8 on a base in `dtype`. */
  const medium = (dtype: Dtype, targetModules = ['c_attn']) => {
    const config = completeConfig(gpt2, GPT2_SIZES['355M'], 'test');
    return LoraModel.blueprint(blueprint(gpt2, config, dtype === 'f32' ? 'packed' : dtype), { rank: 8, targetModules });
  };
  const settings = { clip: 1, weightDecay: 0.1, evaluation: true };

  it('GPT-2 355M fine-tunes in 4 GiB: rank 8, whole contexts, on q8 and on f16, evaluating too', () => {
    for (const targetModules of [['c_attn'], ['c_attn', 'c_proj', 'c_fc']])
      for (const dtype of ['q8', 'f16', 'bf16', 'q4'] as const)
        checkTrainingFits(
          causalLanguageModel(medium(dtype, targetModules)),
          { batchSize: 1, length: 1024 },
          16,
          settings,
        );
    const { frozen, weights, gradients, moments } = trainingBytes(
      causalLanguageModel(medium('q8')),
      { batchSize: 1, length: 1024 },
      2,
      settings,
    );
    expect(weights).toBe(24 * 8 * (1024 + 3072) * 4);
    expect([gradients, moments]).toEqual([weights, 2 * weights]);
    expect(frozen).toBeLessThan(405 * 2 ** 20);
    // Without adapters weights, gradients and moments alone take more than that.
    const whole = causalLanguageModel(blueprint(gpt2, completeConfig(gpt2, GPT2_SIZES['355M'], 'test')));
    expect(() => checkTrainingFits(whole, { batchSize: 1, length: 1024 }, 2, settings)).toThrow(MemoryError);
  });
});

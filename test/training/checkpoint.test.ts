/** Checkpoints: resumed runs have the bits of uninterrupted ones; other runs, damaged files and full disks are named. */

import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { tokenDataset } from '../../src/data/index.ts';
import { CheckpointError, EnvironmentError, LanewiseError } from '../../src/errors.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import { type CausalLM, loadCausalLM } from '../../src/models/index.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer, type TrainerFiles, type TrainerOptions } from '../../src/training/index.ts';
import {
  dropout,
  errorOf,
  keep,
  type Numbers,
  randomIds,
  smallData,
  smallModel,
  temporaryFolder,
  train,
  weightsOf,
} from './support.ts';

const options = { batchSize: 2, steps: 9, evalEvery: 4 };
const newTrainer = (model: CausalLM, more: TrainerOptions & TrainerFiles = {}) =>
  new Trainer(causalLanguageModel(model), smallData(), { ...options, ...more });

/** Folders with a checkpoint every two steps up to 6. */
async function checkpoints(more: TrainerOptions = {}): Promise<string> {
  const directory = await temporaryFolder();
  const model = await smallModel();
  await train(newTrainer(model, { ...more, directory, saveEvery: 2, keepCheckpoints: 3 }), { until: 6 });
  model.dispose();
  return directory;
}

/** Makes the newest checkpoint one as they were before they had checksums. */
async function withoutChecksums(directory: string): Promise<void> {
  const file = `${directory}/step-00000006/trainer.json`;
  const { crc32, files, ...state } = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...state, format: 'lanewise-trainer-1' }));
}

describe('resume', () => {
  it.each<[string, TrainerOptions, number, readonly number[]]>([
    ['plain', {}, 0, [1, 1, 1]],
    ['accumulation and dropout', { accumulate: 3 }, 0.2, [1, 1, 1]],
    ['on other numbers of threads', { accumulate: 2 }, 0.1, [1, 3, 2]],
    ['linear schedule, no clipping, epsilon 1e-3', { schedule: 'linear', clip: 0, epsilon: 1e-3 }, 0, [2, 7, 1]],
  ])('is bit for bit the run that was not interrupted: %s', async (_, more, p, threads) => {
    const whole = await smallModel(dropout(p));
    const expected = await train(newTrainer(whole, more));
    const end = await weightsOf(whole);
    whole.dispose();

    const directory = await temporaryFolder();
    const steps: Numbers[] = [];
    for (const [part, until] of [3, 7, 9].entries()) {
      // Other weights, which the checkpoint replaces.
      const model = await smallModel({ ...dropout(p), threads: threads[part]!, seed: part === 0 ? 1 : 99 });
      const trainer = newTrainer(model, { ...more, directory, saveEvery: 1 });
      expect(await trainer.resume()).toBe([0, 3, 7][part]);
      steps.push(...(await train(trainer, { until })).steps);
      if (until === 9) expect(await weightsOf(model)).toBe(end);
      trainer.dispose();
      model.dispose();
    }
    expect(steps).toEqual(expected.steps);
  });

  it('goes back to the newest checkpoint, and the steps behind it come out as before', async () => {
    const directory = await temporaryFolder();
    const model = keep(await smallModel());
    const first = newTrainer(model, { directory, saveEvery: 4 });
    const before = await train(first, { until: 7 });
    expect(await first.resume()).toBe(4); // the same trainer
    const again = await train(first, { until: 7 });
    expect(again.steps).toEqual(before.steps.slice(4));
    first.dispose();
  });

  it('starts at 0 where there is no checkpoint, or no folder', async () => {
    const model = keep(await smallModel());
    for (const directory of [memoryDirectory(), `${await temporaryFolder()}/not/there`]) {
      const trainer = newTrainer(model, { directory });
      expect(await trainer.resume()).toBe(0);
      trainer.dispose();
    }
  });

  it('a finished run evaluates and does no step; with more steps it goes on', async () => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    const constant = { schedule: 'constant', warmupSteps: 0 } as const;
    const { result } = await train(newTrainer(model, { ...constant, directory, saveEvery: 9 }));
    const finished = newTrainer(model, { ...constant, directory });
    expect(await finished.resume()).toBe(9);
    const second = await train(finished);
    expect(second.steps).toEqual([]);
    expect(second.result).toMatchObject({ step: 9, loss: Number.NaN, reason: 'steps' });
    expect(second.result!.evaluation).toEqual(result!.evaluation);
    const longer = newTrainer(model, { ...constant, directory, steps: 12 });
    expect(await longer.resume()).toBe(9);
    const rest = await train(longer);
    const whole = keep(await smallModel());
    expect((await train(newTrainer(whole, { ...constant, steps: 12 }))).steps.slice(9)).toEqual(rest.steps);
  });

  it('with more steps the warm-up stays what the run began with, unless another is asked for', async () => {
    const directory = await temporaryFolder();
    const model = keep(await smallModel());
    await train(newTrainer(model, { directory, steps: 40, saveEvery: 3 }), { until: 3 });
    const longer = newTrainer(model, { directory, steps: 2000 });
    expect(longer.settings.warmupSteps).toBe(100);
    expect(await longer.resume()).toBe(3);
    expect(longer.settings.warmupSteps).toBe(2);
    const other = newTrainer(model, { directory, steps: 2000, warmupSteps: 100 });
    await expect(other.resume()).rejects.toThrow('expected warmupSteps 100, got a checkpoint with 2.');
  });

  it.each<[string, string, TrainerOptions]>([
    ['learningRate 0.002', '0.001', { learningRate: 0.002, minLearningRate: 1e-4 }],
    ['batchSize 3', '2', { batchSize: 3 }],
    ['length 5', '8', { length: 5 }],
    ['seed 1', '0', { seed: 1 }],
    ['accumulate 2', '1', { accumulate: 2 }],
    ['schedule "linear"', '"cosine"', { schedule: 'linear' }],
    ['clip 0', '1', { clip: 0 }],
    ['weightDecay 0', '0.1', { weightDecay: 0 }],
    ['beta2 0.9', '0.99', { beta2: 0.9 }],
  ])('refuses other settings: %s', async (asked, found, more) => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    await newTrainer(model, { directory }).save();
    const before = await weightsOf(model);
    const error = await errorOf(newTrainer(model, { ...more, directory }).resume());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toBe(
      `memory:/step-00000000: expected ${asked}, got a checkpoint with ${found}. Resume with the options the run began with, or choose another directory.`,
    );
    expect(await weightsOf(model)).toBe(before);
  });

  it('refuses the other precision', async () => {
    const directory = memoryDirectory();
    await newTrainer(keep(await smallModel()), { directory }).save();
    const file = (await directory.subdirectory('step-00000000')) as Directory;
    const state = JSON.parse(await file.readText('trainer.json'));
    expect(state.settings.precision).toBe('exact');
    state.settings.precision = 'fast';
    await file.write('trainer.json', JSON.stringify({ ...state, format: 'lanewise-trainer-1' }));
    const error = await errorOf(newTrainer(keep(await smallModel()), { directory }).resume());
    expect(error.message).toContain(
      'expected precision "exact", got a checkpoint with "fast". Resume with the options',
    );
  });

  it('refuses another model and other data', async () => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    await newTrainer(model, { directory }).save();
    const resume = (other: CausalLM, data = smallData()) =>
      errorOf(new Trainer(causalLanguageModel(other), data, { ...options, directory }).resume());
    expect((await resume(keep(await smallModel({ nEmbd: 32 })))).message).toBe(
      'memory:/step-00000000: expected model.nEmbd 32, got a checkpoint with 16. Resume with the options the run began with, or choose another directory.',
    );
    expect((await resume(keep(await smallModel(dropout(0.5))))).message).toContain('expected model.embdDropout 0.5');
    const error = await resume(model, tokenDataset(randomIds(300, 6)));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(
      /^memory:\/step-00000000: expected the data 300 tokens, fnv1a [0-9a-f]{8}, evaluation 0\.1, got a checkpoint of 300 tokens, fnv1a [0-9a-f]{8}, evaluation 0\.1\. Resume with the data the run began with, or choose another directory\.$/,
    );
  });
});

describe('folders', () => {
  it.each([1, 2, 3])('the newest %i are kept', async (keepCheckpoints) => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    const seen: (string | undefined)[] = [];
    const trainer = newTrainer(model, { directory, saveEvery: 2, keepCheckpoints });
    for await (const { checkpoint } of trainer.run()) seen.push(checkpoint);
    const names = [2, 4, 6, 8, 9].map((step) => `step-0000000${step}`);
    expect(seen.filter(Boolean)).toEqual(names);
    expect(await directory.list()).toEqual(names.slice(-keepCheckpoints).map((name) => `${name}/`));
  });

  it('each is a model that loads by itself, with its tokenizer', async () => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    const trainer = newTrainer(model, { directory, tokenizer: { toJSON: () => ({ version: '1.0' }) } });
    await train(trainer, { until: 3 });
    const name = await trainer.save();
    expect(name).toBe('step-00000003');
    const folder = await directory.subdirectory(name);
    expect(await folder.list()).toEqual([
      ...['config.json', 'model.safetensors', 'optimizer.safetensors', 'tokenizer.json', 'trainer.json'],
    ]);
    const loaded = keep(await loadCausalLM(folder, { threads: 1, precision: 'exact' }));
    expect(await weightsOf(loaded)).toBe(await weightsOf(model));
  });

  it('incomplete ones do not count, and are written anew when the run gets there', async () => {
    const directory = await checkpoints();
    await rm(`${directory}/step-00000006/trainer.json`);
    await writeFile(`${directory}/step-00000006/.lanewise-0123456789abcdef.tmp`, 'half a file');
    await writeFile(`${directory}/step-00000099`, 'a file');
    const model = keep(await smallModel());
    const trainer = newTrainer(model, { directory, saveEvery: 2, keepCheckpoints: 2 });
    expect(await trainer.resume()).toBe(4);
    await train(trainer, { until: 6 });
    expect((await readdir(directory)).sort()).toEqual(['step-00000004', 'step-00000006', 'step-00000099']);
    expect((await readdir(`${directory}/step-00000006`)).sort()).toEqual([
      ...['config.json', 'model.safetensors', 'optimizer.safetensors', 'trainer.json'],
    ]);
    expect(await trainer.resume()).toBe(6);
  });
});

describe('damage', () => {
  const files = ['model.safetensors', 'optimizer.safetensors', 'trainer.json'];
  const damages: Record<string, (file: string) => Promise<void>> = {
    'cut off': async (file) => truncate(file, Math.floor((await readFile(file)).length / 2)),
    empty: (file) => writeFile(file, ''),
    'other bytes': (file) =>
      writeFile(
        file,
        Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) % 251),
      ),
  };

  it.each(files.flatMap((file) => Object.keys(damages).map((damage) => [file, damage] as const)))(
    '%s %s: a CheckpointError that names it, and nothing has changed',
    async (file, damage) => {
      const directory = await checkpoints();
      await damages[damage]!(`${directory}/step-00000006/${file}`);
      const model = keep(await smallModel({ seed: 3 }));
      const before = await weightsOf(model);
      const trainer = newTrainer(model, { directory });
      const error = await errorOf(trainer.resume());
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(`step-00000006/${file}`);
      expect(await weightsOf(model)).toBe(before);
      expect(trainer.step).toBe(0);
      // Without the folder the run goes on from an older one.
      await rm(`${directory}/step-00000006`, { recursive: true });
      expect(await trainer.resume()).toBe(4);
      trainer.dispose();
    },
  );

  it('any flipped bit of any file: a CheckpointError that names the file, and nothing has changed', async () => {
    const directory = memoryDirectory();
    const tokenizer = { toJSON: () => ({ version: '1.0' }) };
    await newTrainer(keep(await smallModel()), { directory, tokenizer }).save();
    const folder = await directory.subdirectory('step-00000000');
    const model = keep(await smallModel({ seed: 3 }));
    const before = await weightsOf(model);
    const trainer = newTrainer(model, { directory, tokenizer });
    for (const path of await folder.list()) {
      const bytes = await folder.readBytes(path);
      const places = [0, 1, 9, bytes.length >> 2, bytes.length >> 1, bytes.length - 8, bytes.length - 3];
      for (const at of places) {
        const damaged = bytes.slice();
        damaged[at]! ^= 1 << (at % 8);
        await folder.write(path, damaged);
        const error = await errorOf(trainer.resume());
        expect(error, `${path}, byte ${at}`).toBeInstanceOf(CheckpointError);
        expect(error.message, `${path}, byte ${at}`).toContain(`step-00000000/${path}: expected`);
        expect(error.message).toContain('Remove the folder to resume from an older one.');
      }
      await folder.write(path, bytes);
    }
    expect(await weightsOf(model)).toBe(before);
    expect(await trainer.resume()).toBe(0); // as it was
    expect(await weightsOf(model)).not.toBe(before);
  });

  it('every changed character of trainer.json is found, unless the content stays', async () => {
    const directory = memoryDirectory();
    const model = keep(await smallModel());
    await train(newTrainer(model, { directory, saveEvery: 4 }), { until: 4 });
    const folder = await directory.subdirectory('step-00000004');
    const text = await folder.readText('trainer.json');
    const { crc32, ...content } = JSON.parse(text);
    expect(crc32).toMatch(/^[0-9a-f]{8}$/);
    expect(Object.keys(content)).toEqual(['format', 'step', 'settings', 'fingerprint', 'best', 'files']);
    const trainer = newTrainer(model, { directory });
    for (let at = 0; at < text.length; at++) {
      if (/\s/.test(text[at]!)) continue; // between the parts of JSON, another one there changes nothing or breaks it
      const other = text[at] === '7' ? '8' : '7';
      await folder.write('trainer.json', `${text.slice(0, at)}${other}${text.slice(at + 1)}`);
      const error = await errorOf(trainer.resume());
      expect(error, `character ${at}`).toBeInstanceOf(CheckpointError);
      expect(error.message, `character ${at}`).toContain('step-00000004/trainer.json: expected');
    }
  });

  it('a checkpoint of the time before checksums is resumed as it stands', async () => {
    const directory = await checkpoints();
    const file = `${directory}/step-00000006/trainer.json`;
    const { files, ...state } = JSON.parse(await readFile(file, 'utf8'));
    expect(Object.keys(files)).toEqual(['model.safetensors', 'config.json', 'optimizer.safetensors']);
    await withoutChecksums(directory);
    const model = keep(await smallModel({ seed: 3 }));
    const trainer = newTrainer(model, { directory });
    expect(await trainer.resume()).toBe(6);
    const whole = keep(await smallModel());
    expect((await train(trainer)).steps).toEqual((await train(newTrainer(whole))).steps.slice(6));
    // One of a later format is refused.
    await writeFile(file, JSON.stringify({ ...state, format: 'lanewise-trainer-3' }));
    expect(await errorOf(trainer.resume())).toBeInstanceOf(CheckpointError);
  });

  it.each(['model.safetensors', 'optimizer.safetensors'])('%s missing: a CheckpointError', async (file) => {
    const directory = await checkpoints();
    await rm(`${directory}/step-00000006/${file}`);
    const model = keep(await smallModel());
    const error = await errorOf(newTrainer(model, { directory }).resume());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain('step-00000006');
  });

  it('moments of another shape: a CheckpointError', async () => {
    const directory = await checkpoints();
    const other = await temporaryFolder();
    await newTrainer(keep(await smallModel({ nInner: 8 })), { directory: other }).save();
    await writeFile(
      `${directory}/step-00000006/optimizer.safetensors`,
      await readFile(`${other}/step-00000000/optimizer.safetensors`),
    );
    await withoutChecksums(directory);
    const error = await errorOf(newTrainer(keep(await smallModel()), { directory }).resume());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toMatch(
      /optimizer\.safetensors: expected m\.transformer\.h\.0\.mlp\.c_fc\.weight \[16, 64\], got \[16, 8\]\. Remove the folder/,
    );
  });

  const state = { format: 'lanewise-trainer-2', step: 6, settings: {}, fingerprint: '', best: null, files: {} };
  it.each([
    ...['null', '[]', '{}', '6', '"x"'],
    ...[
      { settings: null },
      { step: 7 },
      { format: 'other' },
      { fingerprint: 3 },
      { best: {} },
      { best: undefined },
      { files: null },
      { files: undefined },
    ].map((change) => JSON.stringify({ ...state, ...change })),
  ])('a trainer.json of %s: a CheckpointError', async (text) => {
    const directory = await checkpoints();
    await writeFile(`${directory}/step-00000006/trainer.json`, text);
    const model = keep(await smallModel());
    const error = await errorOf(newTrainer(model, { directory }).resume());
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toBe(
      `${directory}/step-00000006/trainer.json: expected the state of step 6, got something else. Remove the folder to resume from an older one.`,
    );
  });
});

/** A folder in which writing fails once `room` bytes are written. */
class FullDisk implements Directory {
  readonly name: string;
  readonly #inner: Directory;
  readonly #disk: { room: number };

  constructor(inner: Directory, disk: { room: number }) {
    this.name = inner.name;
    this.#inner = inner;
    this.#disk = disk;
  }

  async write(path: string, content: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const disk = this.#disk;
    async function* counted() {
      for await (const piece of typeof content === 'string' ? [new TextEncoder().encode(content)] : content) {
        disk.room -= piece.length;
        if (disk.room < 0) throw new EnvironmentError(`${path}: expected a place that can be written, got ENOSPC.`);
        yield piece;
      }
    }
    await this.#inner.write(path, counted());
  }

  async subdirectory(path: string): Promise<Directory> {
    return new FullDisk(await this.#inner.subdirectory(path), this.#disk);
  }

  has = (path: string) => this.#inner.has(path);
  open = (path: string) => this.#inner.open(path);
  readText = (path: string) => this.#inner.readText(path);
  readBytes = (path: string) => this.#inner.readBytes(path);
  list = () => this.#inner.list();
  remove = (path: string) => this.#inner.remove(path);
}

describe('a place that cannot be written', () => {
  it('a full disk: a named error; the checkpoint before it is good, and the run can go on when there is room', async () => {
    const whole = await smallModel();
    const expected = await train(newTrainer(whole));
    const end = await weightsOf(whole);
    whole.dispose();
    const inner = memoryDirectory();
    const disk = { room: Number.POSITIVE_INFINITY };
    const directory = new FullDisk(inner, disk);
    const model = keep(await smallModel());
    const trainer = newTrainer(model, { directory, saveEvery: 2, keepCheckpoints: 1 });
    await train(trainer, { until: 4 });
    for (const room of [0, 100, 20_000, 45_000]) {
      disk.room = room;
      const error = await errorOf(trainer.step === 6 ? trainer.save() : train(trainer));
      expect(error, `${room} bytes`).toBeInstanceOf(EnvironmentError);
      expect(error.message).toContain('ENOSPC');
      expect(await inner.list()).toEqual(['step-00000004/']); // and no half a checkpoint
    }
    const other = keep(await smallModel({ seed: 7 }));
    const second = newTrainer(other, { directory: inner });
    expect(await second.resume()).toBe(4);
    expect((await train(second)).steps).toEqual(expected.steps.slice(4));
    disk.room = Number.POSITIVE_INFINITY;
    expect((await train(trainer)).steps).toEqual(expected.steps.slice(6));
    expect([await weightsOf(model), await weightsOf(other)]).toEqual([end, end]);
    expect(await inner.list()).toEqual(['step-00000009/']);
  });

  it('below a file: an error that names the path', async () => {
    const folder = await temporaryFolder();
    await writeFile(`${folder}/file`, '');
    const model = keep(await smallModel());
    const trainer = newTrainer(model, { directory: `${folder}/file/checkpoints`, saveEvery: 1 });
    const error = await errorOf(train(trainer));
    expect(error).toBeInstanceOf(LanewiseError);
    expect(error.message).toContain(`${folder}/file`);
    expect(trainer.step).toBe(1);
  });
});

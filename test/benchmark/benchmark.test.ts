/** The benchmark: which works it does, what their results look like, and what it refuses. Times are never looked at. */

import { describe, expect, it } from 'vitest';
import { isMeasured } from '../../src/benchmark/compare.ts';
import { type BenchmarkReport, benchmark, compareReports, type WorkResult } from '../../src/benchmark/index.ts';
import type { BenchmarkOptions } from '../../src/benchmark/options.ts';
import { CheckpointError, ConfigError, MemoryError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { createModel } from '../../src/models/create.ts';
import { loadCausalLM } from '../../src/models/index.ts';

/** One run to warm up, and runs that are not repeated. */
const QUICK: BenchmarkOptions = { model: 'gpt2-tiny', warmupMilliseconds: 0, sampleMilliseconds: 0, threads: 1 };

async function finish(options: BenchmarkOptions): Promise<{ yielded: WorkResult[]; report: BenchmarkReport }> {
  const yielded: WorkResult[] = [];
  const run = benchmark({ ...QUICK, ...options });
  for (;;) {
    const next = await run.next();
    if (next.done) return { yielded, report: next.value };
    yielded.push(next.value);
  }
}

describe('works', () => {
  it('does all of a named size, in order', async () => {
    const { yielded, report } = await finish({});
    expect(report.works).toEqual(yielded);
    expect(yielded.map(({ name }) => name)).toEqual([
      ...['pp512', 'tg128', 'batch8', 'train'],
      ...['gemm-qkv', 'gemm-attnProj', 'gemm-mlpUp', 'gemm-mlpDown', 'gemm-logits', 'memory', 'load', 'start'],
    ]);
    const units = yielded.filter(isMeasured).map(({ unit }) => unit);
    expect(units).toEqual([...Array(4).fill('tokens/s'), ...Array(5).fill('GFLOP/s'), 'GB/s', 'ms', 'ms']);
    for (const work of yielded.filter(isMeasured)) {
      expect(work.detail).not.toBe('');
      expect(work.samples).toHaveLength(5);
      const sorted = work.samples.toSorted((a, b) => a - b);
      expect([work.minimum, work.median, work.maximum]).toEqual([sorted[0], sorted[2], sorted[4]]);
      expect(work.minimum).toBeGreaterThan(0);
    }
    expect(JSON.parse(JSON.stringify(report))).toEqual(JSON.parse(JSON.stringify({ ...report })));
  });

  it('does those of `only`, once each and in its own order, and says what ran', async () => {
    const { report } = await finish({
      only: ['train', 'pp512', 'train'],
      runs: 6,
      precision: 'exact',
      host: { lanewise: '1.2.3', cpu: 'abacus' },
    });
    expect(report.works.map(({ name }) => name)).toEqual(['pp512', 'train']);
    expect(report.works.filter(isMeasured).map(({ samples }) => samples.length)).toEqual([6, 6]);
    expect(report).toMatchObject({
      format: 'lanewise-benchmark-1',
      lanewise: '1.2.3',
      cpu: 'abacus',
      runtime: `node ${process.versions.node}`,
      binary: 'simd128',
      threads: 1,
      precision: 'exact',
      notes: [],
      model: 'gpt2-tiny',
      parameters: 182_016,
      dtype: 'f32',
      isExpected: true,
      deviation: 0,
      runs: 6,
    });
  });

  it.each([
    ['GPT-2', 'gpt2'],
    ['GPT-1', 'gpt1'],
  ] as const)(
    'measures a folder of %s; a short context makes works small, and their names say so',
    async (_, family) => {
      const folder = memoryDirectory();
      const model = await createModel(family, {
        nLayer: 1,
        nHead: 1,
        nEmbd: 8,
        blockSize: 21,
        vocabSize: 11,
        threads: 1,
      });
      await model.save(folder);
      model.dispose();
      const only = ['pp512', 'tg128', 'batch8', 'train', 'load', 'start'] as const;
      const { report } = await finish({ source: folder, only });
      expect(report.works.map(({ name }) => name)).toEqual(['pp21', 'tg11', 'batch8', 'train', 'load', 'start']);
      expect(report.model).toBe(folder.name);
      expect(
        report.works.filter(isMeasured).map(({ detail }) => /\d+ × 21|\d+ tokens|a new|new engine|model/.test(detail)),
      ).not.toContain(false);
    },
  );

  it.each(['f16', 'q8', 'q4'] as const)('measures %s weights, and trains f32 ones all the same', async (dtype) => {
    const { report } = await finish({ dtype, only: ['pp512', 'tg128', 'batch8', 'train', 'load', 'start'] });
    expect(report.dtype).toBe(dtype);
    expect(report.works.every(isMeasured)).toBe(true);
  });

  it('measures a quantized folder, which cannot be trained', async () => {
    const [from, folder] = [memoryDirectory(), memoryDirectory()];
    const model = await createModel('gpt2', {
      nLayer: 1,
      nHead: 1,
      nEmbd: 8,
      blockSize: 16,
      vocabSize: 11,
      threads: 1,
    });
    await model.save(from);
    model.dispose();
    const quantized = await loadCausalLM(from, { dtype: 'q8', threads: 1 });
    await quantized.save(folder);
    quantized.dispose();
    const { report } = await finish({ source: folder, only: ['tg128', 'train'] });
    expect(report).toMatchObject({ dtype: 'q8', works: [{ name: 'tg8' }, { name: 'train' }] });
    expect(report.works[1]).toEqual({
      name: 'train',
      skipped: 'q8 weights are not trained; the folder that they are from can be',
    });
  });

  it('skips training that 4 GiB do not hold', async () => {
    const { report } = await finish({ model: 'gpt2-1.5b', only: ['train'] });
    expect(report.works).toEqual([{ name: 'train', skipped: expect.stringContaining('engine: ') }]);
  });

  it('survives a context of two tokens', async () => {
    const folder = memoryDirectory();
    const model = await createModel('gpt2', { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 2, vocabSize: 11, threads: 1 });
    await model.save(folder);
    model.dispose();
    const { report } = await finish({ source: folder, only: ['pp512', 'tg128', 'batch8', 'train', 'start'] });
    expect(report.works.map(({ name }) => name)).toEqual(['pp2', 'tg1', 'batch8', 'train', 'start']);
    expect(report.works.every(isMeasured)).toBe(true);
  });

  it('asks a cold start of whoever can start a process', async () => {
    const times = [99, 5, 1, 4, 2, 3];
    const { report } = await finish({ only: ['start'], coldStart: async () => times.shift()! });
    expect(report.works).toEqual([
      {
        name: 'start',
        detail: 'new process to the first token behind a prompt of 16',
        unit: 'ms',
        median: 3,
        minimum: 1,
        maximum: 5,
        samples: [5, 1, 4, 2, 3],
      },
    ]);
  });

  it('saves drawn weights where it is told to', async () => {
    const scratch = memoryDirectory();
    await finish({ only: ['load'], scratch });
    expect(await scratch.list()).toEqual(['config.json', 'model.safetensors']);
  });

  it('takes its times from the clock that it is given', async () => {
    let now = 0;
    const { report } = await finish({ only: ['pp512'], now: () => (now += 500) });
    expect(report.works.filter(isMeasured)[0]).toMatchObject({ median: 1024, minimum: 1024, maximum: 1024 });
  });
});

describe('stops', () => {
  it('at a signal, with its reason', async () => {
    const controller = new AbortController();
    const run = benchmark({ ...QUICK, only: ['pp512', 'tg128'], signal: controller.signal });
    await run.next();
    controller.abort(new Error('enough'));
    await expect(run.next()).rejects.toThrow('enough');
  });

  it('when nobody wants more', async () => {
    for await (const { name } of benchmark({ ...QUICK, only: ['pp512', 'tg128'] })) {
      expect(name).toBe('pp512');
      break;
    }
  });
});

describe('refuses', () => {
  it.each([
    [{ model: 'gpt3' }, ConfigError, 'benchmark: expected model to be one of gpt2-tiny, gpt2-10m, '],
    [{ model: 'toString' }, ConfigError, 'got "toString".'],
    [
      { only: ['pp513'] },
      ConfigError,
      'expected only to be some of pp512, tg128, batch8, train, gemm, memory, load, start',
    ],
    [{ runs: 4 }, ConfigError, 'benchmark: expected runs to be a whole number from 5 to 1000, got 4. Change runs.'],
    [{ runs: 5.5 }, ConfigError, 'got 5.5.'],
    [{ threads: 0 }, ConfigError, 'engine: expected threads from 1 to 256, got 0.'],
    [{ precision: 'f64' }, ConfigError, "engine: expected precision 'exact' or 'fast'"],
    [{ source: memoryDirectory() }, CheckpointError, 'config.json: expected a file'],
    [{ model: 'gpt2-1.5b', only: ['tg128'] }, MemoryError, 'for parameters (1,557,611,200 values)'],
  ])('%j', async (options, type, message) => {
    const running = finish(options as BenchmarkOptions);
    await expect(running).rejects.toThrow(type);
    await expect(running).rejects.toThrow(message);
  });
});

describe('comparing', () => {
  const figures = (name: string, unit: string, samples: [number, number, number], detail = '') => ({
    ...{ name, unit, detail, samples },
    ...{ minimum: samples[0], median: samples[1], maximum: samples[2] },
  });
  const report = (...works: object[]) => ({ works }) as unknown as BenchmarkReport;

  it('says how many times as fast the second is, of rates and of times', () => {
    const a = report(figures('pp512', 'tokens/s', [90, 100, 125]), figures('load', 'ms', [40, 50, 80]));
    const b = report(figures('load', 'ms', [10, 20, 25]), figures('pp512', 'tokens/s', [180, 150, 225]));
    expect(compareReports(a, b)).toEqual([
      {
        ...{ name: 'pp512', unit: 'tokens/s', ratio: 1.5, low: 180 / 125, high: 2.5 },
        a: { median: 100, minimum: 90, maximum: 125 },
        b: { median: 150, minimum: 180, maximum: 225 },
      },
      {
        ...{ name: 'load', unit: 'ms', ratio: 2.5, low: 40 / 25, high: 8 },
        a: { median: 50, minimum: 40, maximum: 80 },
        b: { median: 20, minimum: 10, maximum: 25 },
      },
    ]);
  });

  it('leaves out what only one of them measured, what was skipped, and other work of the same name', () => {
    const a = report(figures('pp512', 'tokens/s', [1, 1, 1]), { name: 'train', skipped: 'no room' });
    const b = report(figures('tg128', 'tokens/s', [1, 1, 1]), figures('train', 'tokens/s', [1, 1, 1]));
    expect(compareReports(a, b)).toEqual([]);
    const train = (detail: string) => report(figures('train', 'tokens/s', [1, 1, 1], detail));
    expect(compareReports(train('1 × 256 tokens'), train('1 × 64 tokens'))).toEqual([]);
  });
});

/** The benchmark: works one after the other, and what they were done with. */
import { MemoryError } from '../errors.ts';
import type { Directory } from '../files/index.ts';
import { loadCausalLM } from '../models/index.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import { type Check, checkAnswers } from './check.ts';
import { type BenchmarkEnvironment, environmentOf } from './environment.ts';
import { load, start } from './loading.ts';
import { gemm, memory } from './machine.ts';
import { measure, type Task, type WorkResult } from './measure.ts';
import { folderOf, openTrainable, type Subject, subjectOf } from './models.ts';
import { type BenchmarkOptions, type BenchmarkSettings, completeBenchmarkOptions, type WorkName } from './options.ts';
import { INFERENCE, OF_MODEL, type PlannedTask } from './works.ts';

/** What was measured, with what. Plain JSON. */
export interface BenchmarkReport extends BenchmarkEnvironment, Omit<Check, 'engine'> {
  readonly format: 'lanewise-benchmark-1';
  readonly runs: number;
  readonly works: readonly WorkResult[];
}

/** Works that need nothing of it. */
const OF_MACHINE = { gemm, memory };

/**
 * Measures how fast this machine runs a model.
 * @param options see {@link BenchmarkOptions}
 * @returns an iterator of finished works, whose return value is the whole report
 * @throws ConfigError for an option out of range; CheckpointError for a folder that cannot be loaded; MemoryError when 4
 * GiB do not hold the model. A work that does not fit beside it is skipped
 * @example
 * for await (const work of benchmark({ model: 'gpt2-10m', only: ['pp512', 'tg128'] })) console.log(work);
 */
export async function* benchmark(options: BenchmarkOptions = {}): AsyncGenerator<WorkResult, BenchmarkReport, void> {
  const settings = completeBenchmarkOptions(options);
  const subject = await subjectOf(settings.model, options.source);
  const { threads, precision } = options;
  const { engine, ...check } = await checkAnswers({ threads, precision });
  const works: WorkResult[] = [];
  for await (const work of worksOf(subject, settings, options)) {
    works.push(work);
    yield work;
  }
  return {
    format: 'lanewise-benchmark-1',
    ...(await environmentOf(subject, engine, options)),
    ...check,
    runs: settings.runs,
    works,
  };
}

async function* worksOf(
  subject: Subject,
  settings: BenchmarkSettings,
  options: BenchmarkOptions,
): AsyncGenerator<WorkResult> {
  const { now } = settings;
  const { threads, precision, dtype, scratch, coldStart } = options;
  const engineOptions = { threads, precision };
  const loadOptions = { ...engineOptions, dtype };
  const wants = (work: WorkName) => settings.only.includes(work);
  const inference = INFERENCE.filter(wants);
  let folder: Directory | undefined;
  if (inference.length > 0 || wants('load') || wants('start')) folder = await folderOf(subject, loadOptions, scratch);
  if (inference.length > 0) {
    const model = await loadCausalLM(folder!, loadOptions);
    try {
      for (const work of inference) yield* measureAll(work, OF_MODEL[work](model, now), settings);
    } finally {
      model.dispose();
    }
  }
  if (wants('train') && subject.quantization)
    yield {
      name: 'train',
      skipped: `${subject.quantization} weights are not trained; the folder that they are from can be`,
    };
  else if (wants('train')) yield* measureAll('train', trainingTasks(subject, engineOptions, now), settings);
  for (const work of ['gemm', 'memory'] as const)
    if (wants(work)) yield* measureAll(work, OF_MACHINE[work](engineOptions, now), settings);
  if (wants('load')) yield* measureAll('load', load(folder!, loadOptions, now), settings);
  if (wants('start')) yield* measureAll('start', start(folder!, loadOptions, now, coldStart), settings);
}

async function* trainingTasks(
  subject: Subject,
  options: EngineOptions,
  now: () => number,
): AsyncGenerator<PlannedTask> {
  const model = await openTrainable(subject, options);
  try {
    yield* OF_MODEL.train(model, now);
  } finally {
    model.dispose();
  }
}

/** The tasks of one work; skipped where memory does not hold it. */
async function* measureAll(
  name: WorkName,
  tasks: AsyncGenerator<Task>,
  settings: BenchmarkSettings,
): AsyncGenerator<WorkResult> {
  try {
    for await (const task of tasks) yield await measure(task, settings);
  } catch (error) {
    if (!(error instanceof MemoryError)) throw error;
    yield { name, skipped: error.message };
  }
}

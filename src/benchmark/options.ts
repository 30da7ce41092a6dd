/** Options of a benchmark: names, defaults, ranges. */
import { ConfigError } from '../errors.ts';
import type { Directory } from '../files/index.ts';
import type { MeasureSettings } from './measure.ts';
import { type BenchmarkModelName, benchmarkModelNames, DEFAULT_MODEL, type SubjectOptions } from './models.ts';

/** What is measured, in this order. */
export const WORKS = ['pp512', 'tg128', 'batch8', 'train', 'gemm', 'memory', 'load', 'start'] as const;

/** The name of a work of the benchmark. */
export type WorkName = (typeof WORKS)[number];

/** What the library cannot find out by itself in every host; it stands in the report as it is. */
export interface BenchmarkHost {
  /** Version of this package. */
  readonly lanewise?: string | undefined;
  /** The processor's name. */
  readonly cpu?: string | undefined;
}

/** `dtype` is of all works but `train`, which has f32 weights. */
export interface BenchmarkOptions extends SubjectOptions {
  /** A size whose weights are drawn. Default `gpt2-124m`. */
  readonly model?: BenchmarkModelName | undefined;
  /** A model folder to measure instead. */
  readonly source?: string | URL | Directory | undefined;
  /** Works to do; default all. */
  readonly only?: readonly WorkName[] | undefined;
  /** Runs that count of each work, 5 … 1000. Default 5. */
  readonly runs?: number | undefined;
  /** Least time of a warm-up, which is at least one run. Default 500. */
  readonly warmupMilliseconds?: number | undefined;
  /** Least time of a sample; shorter works are repeated. Default 50. */
  readonly sampleMilliseconds?: number | undefined;
  /** The clock, in milliseconds. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
  readonly host?: BenchmarkHost | undefined;
  /** Where drawn weights are saved to be loaded from, and left. Default a folder in memory. */
  readonly scratch?: Directory | undefined;
  /** Milliseconds of a cold start of the folder, or of what `scratch` holds then. Default: a new engine in this process. */
  readonly coldStart?: (() => Promise<number>) | undefined;
  /** Stops between two runs; the iterator throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export interface BenchmarkSettings extends MeasureSettings {
  readonly model: string;
  readonly only: readonly WorkName[];
}

/** Least and most runs that count: fewer say little about spread. */
export const RUNS = [5, 1000] as const;

/** @throws ConfigError naming the option, its range and its value */
export function completeBenchmarkOptions(options: BenchmarkOptions): BenchmarkSettings {
  const { model = DEFAULT_MODEL, only = WORKS, runs = RUNS[0] } = options;
  const names = benchmarkModelNames();
  if (!names.includes(model)) fail('model', `one of ${names.join(', ')}`, JSON.stringify(model));
  for (const work of only) if (!WORKS.includes(work)) fail('only', `some of ${WORKS.join(', ')}`, JSON.stringify(work));
  if (!(Number.isInteger(runs) && runs >= RUNS[0] && runs <= RUNS[1]))
    fail('runs', `a whole number from ${RUNS[0]} to ${RUNS[1]}`, String(runs));
  const { warmupMilliseconds = 500, sampleMilliseconds = 50, now = () => performance.now(), signal } = options;
  return {
    model,
    only: WORKS.filter((work) => only.includes(work)),
    runs,
    warmupMilliseconds,
    sampleMilliseconds,
    now,
    signal,
  };
}

function fail(option: string, expected: string, got: string): never {
  throw new ConfigError(`benchmark: expected ${option} to be ${expected}, got ${got}. Change ${option}.`);
}

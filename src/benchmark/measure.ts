/** Taking samples: warm-up, runs that count, and what they come to. */

/** Of a figure; `ms` is better when it is lower, the others when they are higher. */
export type Unit = 'tokens/s' | 'GFLOP/s' | 'GB/s' | 'ms';

/** Something that can be timed again and again. */
export interface Task {
  readonly name: string;
  /** What one run does, for people. */
  readonly detail: string;
  readonly unit: Unit;
  /** Tokens, GFLOP or GB of one run; 1 where the unit is milliseconds. */
  readonly amount: number;
  /** Runs once and returns the milliseconds that count. */
  time(): Promise<number>;
}

/** Figures of one work. */
export interface MeasuredWork {
  readonly name: string;
  readonly detail: string;
  readonly unit: Unit;
  readonly median: number;
  readonly minimum: number;
  readonly maximum: number;
  /** Every counted run, in order. */
  readonly samples: readonly number[];
}

/** A work that this model, or this machine, cannot do. */
export interface SkippedWork {
  readonly name: string;
  /** Why. */
  readonly skipped: string;
}

/** What a benchmark says of one work. */
export type WorkResult = MeasuredWork | SkippedWork;

export interface MeasureSettings {
  /** Runs that count. */
  readonly runs: number;
  /** The warm-up takes one run, and more until this much time has passed: engines compile what is hot in the background. */
  readonly warmupMilliseconds: number;
  /** What is shorter is repeated within a sample: clocks of browsers tick every 0.1 ms. */
  readonly sampleMilliseconds: number;
  /** Milliseconds since some moment. */
  readonly now: () => number;
  readonly signal?: AbortSignal | undefined;
}

/** Measures a task. */
export async function measure(task: Task, settings: MeasureSettings): Promise<MeasuredWork> {
  const { runs, warmupMilliseconds, sampleMilliseconds, now, signal } = settings;
  const started = now();
  let shortest = Number.POSITIVE_INFINITY;
  do {
    signal?.throwIfAborted();
    shortest = Math.min(shortest, await task.time());
  } while (now() - started < warmupMilliseconds);
  const repeats = Math.max(1, Math.ceil(sampleMilliseconds / Math.max(shortest, 0.01)));
  const samples: number[] = [];
  for (let run = 0; run < runs; run++) {
    let milliseconds = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      signal?.throwIfAborted();
      milliseconds += await task.time();
    }
    milliseconds /= repeats;
    samples.push(task.unit === 'ms' ? milliseconds : (task.amount / milliseconds) * 1000);
  }
  const { name, detail, unit } = task;
  return { name, detail, unit, ...summarize(samples), samples };
}

/** Median, minimum and maximum; the median of an even number is the mean of the two in the middle. */
export function summarize(samples: readonly number[]): { median: number; minimum: number; maximum: number } {
  const sorted = samples.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const median = (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
  return { median, minimum: sorted[0]!, maximum: sorted.at(-1)! };
}

/** What was measured and what ran it: the part that all reports have. */
import type { Dtype } from '../models/index.ts';
import type { BackendInfo } from '../runtime/backend.ts';
import { hardwareThreads } from '../runtime/host.ts';
import { parameterCount, type Subject } from './models.ts';
import type { BenchmarkHost } from './options.ts';

/** Plain JSON. */
export interface BenchmarkEnvironment extends BenchmarkHost, BackendInfo {
  /** How many threads the machine runs side by side. */
  readonly cores: number;
  /** Name of the size, or of the folder. */
  readonly model: string;
  readonly parameters: number;
  /** How its weights lie in memory, but for training. */
  readonly dtype: Dtype;
}

export async function environmentOf(
  subject: Subject,
  { runtime, binary, precision, threads, notes }: BackendInfo,
  { dtype, host: { lanewise, cpu } = {} }: { dtype?: Dtype | undefined; host?: BenchmarkHost | undefined },
): Promise<BenchmarkEnvironment> {
  const cores = await hardwareThreads();
  const { name: model } = subject;
  return {
    lanewise,
    cpu,
    cores,
    runtime,
    binary,
    threads,
    precision,
    notes,
    model,
    parameters: parameterCount(subject),
    dtype: dtype ?? subject.quantization ?? 'f32',
  };
}

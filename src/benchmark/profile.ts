/** Where the time goes: the plans of prefill, decoding and training, operation by operation. */

import * as opcodes from '../abi/index.ts';
import { ConfigError } from '../errors.ts';
import { costOf } from '../graph/cost.ts';
import type { Operation } from '../graph/graph.ts';
import type { Plan } from '../graph/plan.ts';
import { type CausalLM, loadCausalLM } from '../models/index.ts';
import type { BackendInfo } from '../runtime/backend.ts';
import { type BenchmarkEnvironment, environmentOf } from './environment.ts';
import { summarize } from './measure.ts';
import { folderOf, openTrainable, type Subject, subjectOf } from './models.ts';
import { type BenchmarkOptions, completeBenchmarkOptions, type WorkName } from './options.ts';
import { INFERENCE, type ModelWork, OF_MODEL, type PlannedTask, stopwatch } from './works.ts';

/** Operations that have something in common. Milliseconds are sums of medians. */
export interface ProfileRow {
  /** A kind of operation, such as `layer norm backward`; or a label, in which `*` stands for every layer. */
  readonly name: string;
  readonly operations: number;
  readonly milliseconds: number;
  /** Of all operations' milliseconds. */
  readonly share: number;
  /** GFLOP/s of the operations that count them; 0 where none does. */
  readonly gflops: number;
  /** GB/s, as if each operand were read or written once. */
  readonly gigabytes: number;
}

/** One plan. */
export interface Profile {
  /** As the work of the same name: `pp512`, `tg128`, `train`. */
  readonly name: string;
  /** What the plan does in one run. */
  readonly detail: string;
  /** Of a run of all operations at once, median. */
  readonly milliseconds: number;
  /** Of the operations one by one, which adds a start and an end to each. */
  readonly operationMilliseconds: number;
  /** By kind, slowest first. */
  readonly kinds: readonly ProfileRow[];
  /** By label, slowest first. */
  readonly groups: readonly ProfileRow[];
}

/** What `profile` gives: where the time of each work goes, and what ran it. */
export interface ProfileReport extends BenchmarkEnvironment {
  readonly format: 'lanewise-profile-1';
  readonly runs: number;
  readonly profiles: readonly Profile[];
}

/** Works that are a plan. */
const PLANNED = Object.keys(OF_MODEL) as ModelWork[];

/**
 * Runs plans operation by operation.
 * @param options as for `benchmark`; `only` takes pp512, tg128, batch8 and train; default all but batch8
 * @returns an iterator of profiles, whose return value is the whole report
 * @throws as `benchmark`
 * @example
 * for await (const { name, kinds } of profile({ model: 'gpt2-10m' })) console.log(name, kinds[0]);
 */
export async function* profile(options: BenchmarkOptions = {}): AsyncGenerator<Profile, ProfileReport, void> {
  const { only = ['pp512', 'tg128', 'train'], source } = options;
  for (const work of only)
    if (!(PLANNED as readonly WorkName[]).includes(work))
      throw new ConfigError(
        `profile: expected works that are one plan (${PLANNED.join(', ')}), got ${work}. Leave it out.`,
      );
  const settings = completeBenchmarkOptions({ ...options, only });
  const subject = await subjectOf(settings.model, source);
  const profiles: Profile[] = [];
  let engine: BackendInfo | undefined;
  for (const works of [PLANNED.filter((work) => INFERENCE.includes(work)), ['train' as const]]) {
    const wanted = works.filter((work) => settings.only.includes(work));
    if (wanted.length === 0) continue;
    const model = await openFor(wanted[0]!, subject, options);
    engine = model.engine.info;
    try {
      for (const work of wanted)
        for await (const task of OF_MODEL[work](model, settings.now)) {
          const done = await profileTask(task, settings);
          profiles.push(done);
          yield done;
        }
    } finally {
      model.dispose();
    }
  }
  const environment = await environmentOf(subject, engine!, options);
  return { format: 'lanewise-profile-1', ...environment, runs: settings.runs, profiles };
}

/** A model for one of the works: to infer with, or to train. */
async function openFor(
  work: ModelWork,
  subject: Subject,
  { threads, precision, dtype, scratch }: BenchmarkOptions,
): Promise<CausalLM> {
  if (work === 'train') return openTrainable(subject, { threads, precision });
  const options = { threads, precision, dtype };
  return loadCausalLM(await folderOf(subject, options, scratch), options);
}

async function profileTask(
  task: PlannedTask,
  { runs, now, signal }: { runs: number; now: () => number; signal?: AbortSignal | undefined },
): Promise<Profile> {
  await task.time(); // writes the plan's inputs, and warms up
  const plan = task.plan();
  const whole: number[] = [];
  const single: number[][] = [];
  for (let run = 0; run < runs; run++) {
    signal?.throwIfAborted();
    whole.push(await stopwatch(now, () => plan.run()));
    single.push(await timesOf(plan, now));
  }
  const milliseconds = plan.operations.map((_, index) => summarize(single.map((run) => run[index]!)).median);
  return {
    name: task.name,
    detail: task.planDetail,
    milliseconds: summarize(whole).median,
    operationMilliseconds: milliseconds.reduce((sum, value) => sum + value, 0),
    kinds: rowsBy(plan, milliseconds, ({ opcode }) => KINDS.get(opcode) ?? `opcode ${opcode}`),
    groups: rowsBy(plan, milliseconds, ({ label }) => label.replace(/\.\d+(?=\.)/g, '.*').replace(/\[\d+…\]/g, '')),
  };
}

/** Runs operation by operation; each one's milliseconds, in order. Slower than `run`, with the same results. */
async function timesOf(plan: Plan, now: () => number): Promise<number[]> {
  const milliseconds: number[] = [];
  for (const index of plan.operations.keys())
    milliseconds.push(await stopwatch(now, () => plan.runOperations(index, 1)));
  return milliseconds;
}

/** `OP_LAYER_NORM_BACKWARD` → `layer norm backward`. */
const KINDS = new Map(
  Object.entries(opcodes)
    .filter(([name]) => name.startsWith('OP_'))
    .map(([name, opcode]) => [opcode, name.slice('OP_'.length).toLowerCase().replaceAll('_', ' ')]),
).set(opcodes.OP_GEMM_PANELS, 'gemm'); // what binary it is in is not the reader's

/** Operations with the same key, as one row. */
function rowsBy(plan: Plan, milliseconds: readonly number[], keyOf: (operation: Operation) => string): ProfileRow[] {
  const total = milliseconds.reduce((sum, value) => sum + value, 0);
  const members = new Map<string, number[]>();
  for (const [index, operation] of plan.operations.entries()) {
    const key = keyOf(operation);
    members.set(key, [...(members.get(key) ?? []), index]);
  }
  const rows = Array.from(members, ([name, indices]): ProfileRow => {
    const sum = (of: (operation: Operation, milliseconds: number) => number) =>
      indices.reduce((total, index) => total + of(plan.operations[index]!, milliseconds[index]!), 0);
    const time = sum((_, value) => value);
    const perSecond = (amount: number) => (time > 0 ? amount / time / 1e6 : 0);
    return {
      name,
      operations: indices.length,
      milliseconds: time,
      share: total > 0 ? time / total : 0,
      gflops: perSecond(sum((operation) => costOf(operation).flops)),
      gigabytes: perSecond(sum((operation) => costOf(operation).bytes)),
    };
  });
  return rows.sort((a, b) => b.milliseconds - a.milliseconds);
}

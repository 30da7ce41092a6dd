/** What the tests of training clean up, collect and compare; what they train is in small.ts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll } from 'vitest';
import type { CausalLM } from '../../src/models/model.ts';
import type { RunOptions, Trainer, TrainResult, TrainStep } from '../../src/training/index.ts';

export { digestOf as weightsOf, dropout, randomIds, smallData, smallModel } from './small.ts';

/** All parameters by name. */
export async function parametersOf(model: CausalLM): Promise<Map<string, Float32Array>> {
  const values = new Map<string, Float32Array>();
  for (const { name } of model.parameters.list) values.set(name, await model.readParameter(name));
  return values;
}

/** What of a step does not depend on the clock. */
export type Numbers = Omit<TrainStep, 'tokensPerSecond' | 'checkpoint'>;

/** Runs to the end, or until `until` steps are done. */
export async function train<Batch>(
  trainer: Trainer<Batch>,
  { until = Number.POSITIVE_INFINITY, ...options }: RunOptions & { until?: number } = {},
): Promise<{ steps: Numbers[]; result: TrainResult | undefined }> {
  const steps: Numbers[] = [];
  const run = trainer.run(options);
  for (;;) {
    const next = await run.next();
    if (next.done) return { steps, result: next.value };
    const { tokensPerSecond: _, checkpoint: __, ...numbers } = next.value;
    steps.push(numbers);
    if (numbers.step >= until) {
      await run.return(undefined as never);
      return { steps, result: undefined };
    }
  }
}

/** Disposes when the test file is done. */
const models: CausalLM[] = [];
export function keep<M extends CausalLM>(model: M): M {
  models.push(model);
  return model;
}

const folders: string[] = [];
/** An empty folder, removed when the test file is done. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(`${tmpdir()}/lanewise-training-`);
  folders.push(folder);
  return folder;
}

afterAll(async () => {
  for (const model of models) model.dispose();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** The error that `promise` ends in. */
export async function errorOf(promise: Promise<unknown> | (() => unknown)): Promise<Error> {
  try {
    await (typeof promise === 'function' ? promise() : promise);
  } catch (error) {
    return error as Error;
  }
  throw new Error('expected an error, got none');
}

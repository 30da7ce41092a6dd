/** What happens before the first token: loading weights, and all of a start. */
import type { Directory } from '../files/index.ts';
import { firstToken, PROMPT_TOKENS } from '../models/first-token.ts';
import { type CausalLM, loadCausalLM } from '../models/index.ts';
import type { Task } from './measure.ts';
import type { SubjectOptions } from './models.ts';
import { stopwatch } from './works.ts';

export async function* load(folder: Directory, options: SubjectOptions, now: () => number): AsyncGenerator<Task> {
  yield {
    name: 'load',
    detail: 'model folder to a model in memory',
    unit: 'ms',
    amount: 1,
    async time() {
      let model: CausalLM | undefined;
      try {
        return await stopwatch(now, async () => {
          model = await loadCausalLM(folder, options);
        });
      } finally {
        model?.dispose();
      }
    },
  };
}

/** @param coldStart milliseconds of a start in a new process; absent: a new engine in this one */
export async function* start(
  folder: Directory,
  options: SubjectOptions,
  now: () => number,
  coldStart?: () => Promise<number>,
): AsyncGenerator<Task> {
  yield {
    name: 'start',
    detail: `new ${coldStart ? 'process' : 'engine'} to the first token behind a prompt of ${PROMPT_TOKENS}`,
    unit: 'ms',
    amount: 1,
    time: () => (coldStart ? coldStart() : stopwatch(now, () => firstToken(folder, options))),
  };
}

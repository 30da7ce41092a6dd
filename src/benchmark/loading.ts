/** What happens before the first token: loading weights, and all of a start. */
import type { Directory } from '../files/index.ts';
import { type GPT, loadGPT, Session } from '../models/index.ts';
import type { Task } from './measure.ts';
import type { SubjectOptions } from './models.ts';
import { drawTokens, PROMPT_TOKENS, stopwatch } from './works.ts';

export async function* load(folder: Directory, options: SubjectOptions, now: () => number): AsyncGenerator<Task> {
  yield {
    name: 'load',
    detail: 'model folder to a model in memory',
    unit: 'ms',
    amount: 1,
    async time() {
      let model: GPT | undefined;
      try {
        return await stopwatch(now, async () => {
          model = await loadGPT(folder, options);
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

/** Loads a model and lets it read a short prompt; the id of the likeliest token behind it. */
export async function firstToken(source: string | URL | Directory, options: SubjectOptions): Promise<number> {
  const model = await loadGPT(source, options);
  try {
    const { blockSize, vocabSize } = model.config;
    const tokens = drawTokens(vocabSize, Math.min(PROMPT_TOKENS, blockSize));
    const session = await Session.create(model, { capacity: tokens.length });
    const [logits] = await session.append([{ tokens }]);
    return logits!.reduce((best, value, id) => (value > logits![best]! ? id : best), 0);
  } finally {
    model.dispose();
  }
}

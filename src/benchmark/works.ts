/** What is measured of a model in memory: reading a prompt, writing tokens, one sequence or eight, and training. */

import type { TokenBatch } from '../data/index.ts';
import type { Plan } from '../graph/plan.ts';
import { PROMPT_TOKENS } from '../models/first-token.ts';
import { type CausalLM, Session } from '../models/index.ts';
import { causalLanguageModel } from '../objectives/index.ts';
import { Random, randomInteger } from '../random/index.ts';
import { Trainer } from '../training/index.ts';
import type { Task } from './measure.ts';

const PREFILL_TOKENS = 512;
const DECODED_TOKENS = 128;
/** Of batched decoding. */
const SEQUENCES = 8;
const BATCH_STEPS = 32;
/** Of a training step. */
const TRAIN_TOKENS = 256;

/** A task that is a plan, or runs one again and again. */
export interface PlannedTask extends Task {
  /** What one run of the plan does, for people. */
  readonly planDetail: string;
  /** The plan as `time` left it: it runs again what it ran last. */
  plan(): Plan;
}

/** A training step changes next to nothing, but does all of its work. */
const LEARNING_RATE = 1e-9;

/** Random token ids: drawn from all ids, the same ones for the same model. */
export function drawTokens(vocabSize: number, count: number, stream = 0): Int32Array {
  const random = new Random(1);
  return Int32Array.from({ length: count }, (_, i) => randomInteger(random, vocabSize, stream, i));
}

/** A model of a shorter context reads less, and the name of the work says so. */
async function* prefill(model: CausalLM, now: () => number): AsyncGenerator<PlannedTask> {
  const { blockSize, vocabSize } = model.config;
  const count = Math.min(PREFILL_TOKENS, blockSize);
  const session = await Session.create(model, { capacity: count, maxRows: count });
  const tokens = drawTokens(vocabSize, count);
  const detail = `reading a prompt of ${count} tokens`;
  try {
    yield {
      name: `pp${count}`,
      detail,
      planDetail: detail,
      plan: () => session.plan,
      unit: 'tokens/s',
      amount: count,
      time: () => stopwatch(now, () => session.append([{ tokens }])),
    };
  } finally {
    session.dispose();
  }
}

/** One token at a time after a short prompt, for each of the sequences. */
async function* decodeSequences(
  model: CausalLM,
  now: () => number,
  sequences: number,
  most: number,
): AsyncGenerator<Omit<PlannedTask, 'name' | 'detail'> & { prompt: number; steps: number }> {
  const { blockSize, vocabSize } = model.config;
  const prompt = Math.max(1, Math.min(PROMPT_TOKENS, blockSize >> 1));
  const steps = Math.max(1, Math.min(most, blockSize - prompt));
  const session = await Session.create(model, { sequences, capacity: prompt + steps, maxRows: sequences });
  const slots = Array.from({ length: sequences }, (_, slot) => ({
    slot,
    tokens: drawTokens(vocabSize, prompt + steps, slot),
  }));
  const append = (first: number, end: number) =>
    session.append(slots.map(({ slot, tokens }) => ({ slot, tokens: tokens.subarray(first, end), position: first })));
  try {
    yield {
      prompt,
      steps,
      planDetail: `the last token of ${sequences === 1 ? 'the sequence' : `${sequences} sequences`}, position ${prompt + steps - 1}`,
      plan: () => session.plan,
      unit: 'tokens/s',
      amount: sequences * steps,
      async time() {
        await append(0, prompt);
        return stopwatch(now, async () => {
          for (let at = prompt; at < prompt + steps; at++) await append(at, at + 1);
        });
      },
    };
  } finally {
    session.dispose();
  }
}

async function* decode(model: CausalLM, now: () => number): AsyncGenerator<PlannedTask> {
  for await (const { prompt, steps, ...task } of decodeSequences(model, now, 1, DECODED_TOKENS))
    yield { name: `tg${steps}`, detail: `writing ${steps} tokens behind a prompt of ${prompt}`, ...task };
}

async function* batchedDecode(model: CausalLM, now: () => number): AsyncGenerator<PlannedTask> {
  for await (const { prompt, steps, ...task } of decodeSequences(model, now, SEQUENCES, BATCH_STEPS))
    yield {
      name: `batch${SEQUENCES}`,
      detail: `${SEQUENCES} sequences side by side, ${steps} tokens each behind a prompt of ${prompt}`,
      ...task,
    };
}

/** A batch of one sequence that never changes. */
export function trainingBatch(model: CausalLM): TokenBatch {
  const { blockSize, vocabSize } = model.config;
  const length = Math.min(TRAIN_TOKENS, blockSize);
  const tokens = drawTokens(vocabSize, length + 1);
  return [{ tokens: tokens.subarray(0, -1), targets: tokens.subarray(1) }];
}

/** Steps of a trainer, whose weights move by next to nothing. */
async function* train(model: CausalLM, now: () => number): AsyncGenerator<PlannedTask> {
  const batch = trainingBatch(model);
  const { length } = batch[0]!.tokens;
  const trainer = new Trainer(
    causalLanguageModel(model),
    { batch: () => batch, fingerprint: 'benchmark' },
    { batchSize: 1, length, steps: Number.MAX_SAFE_INTEGER, learningRate: LEARNING_RATE, schedule: 'constant' },
  );
  const steps = trainer.run();
  const detail = `training step of 1 × ${length} tokens: forward, backward, clipping, AdamW`;
  try {
    yield {
      name: 'train',
      detail,
      planDetail: detail,
      plan: () => trainer.plan!,
      unit: 'tokens/s',
      amount: length,
      time: () => stopwatch(now, () => steps.next()),
    };
  } finally {
    await steps.return(undefined as never);
    trainer.dispose();
  }
}

/** Works that need a model in memory, by the names of their options. */
export const OF_MODEL = { pp512: prefill, tg128: decode, batch8: batchedDecode, train };

export type ModelWork = keyof typeof OF_MODEL;

/** Those that infer, whose weights may have any dtype. */
export const INFERENCE: readonly ModelWork[] = ['pp512', 'tg128', 'batch8'];

/** Milliseconds that something takes. */
export async function stopwatch(now: () => number, run: () => Promise<unknown>): Promise<number> {
  const start = now();
  await run();
  return now() - start;
}

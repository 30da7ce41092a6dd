/** Options of a training run, their defaults and ranges. */
import { ConfigError } from '../errors.ts';
import type { ScheduleName } from './schedule.ts';

/** Options of a training run; defaults and ranges stand at each. */
export interface TrainerOptions {
  /** Sequences of a forward pass. Default 12. */
  batchSize?: number | undefined;
  /** Tokens of a sequence. Default the model's blockSize. */
  length?: number | undefined;
  /** Updates of the weights. Default 1000. */
  steps?: number | undefined;
  /** Largest learning rate. Default 1e-3, good for models of up to some ten million parameters; GPT-2 124M took 6e-4. */
  learningRate?: number | undefined;
  /** Learning rate at the end of a decaying schedule. Default learningRate / 10. */
  minLearningRate?: number | undefined;
  /** How the learning rate goes after the warm-up. Default 'cosine'. */
  schedule?: ScheduleName | undefined;
  /** Steps of linear warm-up. Default a twentieth of the steps, at most 100. */
  warmupSteps?: number | undefined;
  /** Decoupled decay of parameters with two or more dimensions. Default 0.1. */
  weightDecay?: number | undefined;
  /** AdamW's decay rates and epsilon. Default 0.9, 0.99 (0.99 averages over more steps, for batches of few tokens; GPT-3 took 0.95), 1e-8. */
  beta1?: number | undefined;
  beta2?: number | undefined;
  epsilon?: number | undefined;
  /** Largest global gradient norm; 0 does not clip. Default 1. */
  clip?: number | undefined;
  /** Forward passes whose gradients one update takes together. Default 1. */
  accumulate?: number | undefined;
  /** Draws the order of the data and the dropout masks, 0…2^53 − 1. Default 0. */
  seed?: number | undefined;
  /** Steps between evaluations; 0 evaluates at the end only. Default 0. */
  evalEvery?: number | undefined;
  /** Stops when this many evaluations in a row brought no better loss; 0 never. Default 0. */
  patience?: number | undefined;
  /** Steps between checkpoints; 0 saves none. Default 0. */
  saveEvery?: number | undefined;
  /** Checkpoints that are kept, the newest. Default 2. */
  keepCheckpoints?: number | undefined;
}

/** All options of a run. */
export type TrainerSettings = { readonly [K in keyof TrainerOptions]-?: Exclude<TrainerOptions[K], undefined> };

/** @throws ConfigError naming the option, its range and its value */
export function completeTrainerOptions(options: TrainerOptions, blockSize: number): TrainerSettings {
  const given = Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Partial<TrainerSettings>;
  const steps = given.steps ?? 1000;
  const learningRate = given.learningRate ?? 1e-3;
  const settings: TrainerSettings = {
    batchSize: 12,
    length: blockSize,
    steps,
    learningRate,
    minLearningRate: learningRate / 10,
    schedule: 'cosine',
    warmupSteps: Math.min(100, Math.floor(steps / 20)),
    weightDecay: 0.1,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    clip: 1,
    accumulate: 1,
    seed: 0,
    evalEvery: 0,
    patience: 0,
    saveEvery: 0,
    keepCheckpoints: 2,
    ...given,
  };
  for (const [option, value] of Object.entries(settings)) {
    if (option === 'schedule') {
      if (!['cosine', 'linear', 'constant'].includes(value as string))
        fail(option, "'cosine', 'linear' or 'constant'", value);
      continue;
    }
    const range = RANGES[option as NumericOption];
    if (!range)
      throw new ConfigError(
        `Trainer: expected one of ${Object.keys(RANGES).join(', ')}, schedule, got ${option}. Check the spelling.`,
      );
    const { integer, least, most } = range;
    const number = value as number;
    if (typeof number !== 'number' || !(number >= least && number <= most) || (integer && !Number.isInteger(number)))
      fail(option, `a ${integer ? 'whole ' : ''}number from ${least} to ${most}`, value);
  }
  if (settings.length > blockSize) fail('length', `at most the model's blockSize ${blockSize}`, settings.length);
  if (settings.patience > 0 && settings.evalEvery === 0)
    fail('evalEvery', 'above 0 where there is patience', settings.evalEvery);
  return settings;
}

type NumericOption = Exclude<keyof TrainerOptions, 'schedule'>;

const whole = (least: number, most = Number.MAX_SAFE_INTEGER) => ({ integer: true, least, most });
const real = (least: number, most: number) => ({ integer: false, least, most });

const RANGES: { readonly [K in NumericOption]: { integer: boolean; least: number; most: number } } = {
  batchSize: whole(1, 65536),
  length: whole(1),
  steps: whole(1),
  learningRate: real(0, 1e30),
  minLearningRate: real(0, 1e30),
  warmupSteps: whole(0),
  weightDecay: real(0, 10),
  beta1: real(0, 0.9999999),
  beta2: real(0, 0.9999999),
  epsilon: real(1e-30, 1),
  clip: real(0, 1e9),
  accumulate: whole(1, 65536),
  seed: whole(0),
  evalEvery: whole(0),
  patience: whole(0),
  saveEvery: whole(0),
  keepCheckpoints: whole(1, 1000),
};

function fail(option: string, expected: string, value: unknown): never {
  const got = typeof value === 'number' ? value : JSON.stringify(value); // JSON has no NaN
  throw new ConfigError(`Trainer: expected ${option} to be ${expected}, got ${got}. Change ${option}.`);
}

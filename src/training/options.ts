/** Options of a training run, their defaults and ranges. */
import {
  checkNames,
  checkOptions,
  definedOptions,
  type NameOption,
  numberBetween,
  type OptionRule,
  type OptionRules,
  oneOf,
  wholeNumber,
} from '../formats/config/options.ts';
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
  /** Steps of linear warm-up. Default a twentieth of the steps, at most 100; of a resumed run what it began with. */
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

/** The rules of all options for a model of this blockSize. */
function rulesFor(blockSize: number): OptionRules<TrainerSettings> {
  return {
    batchSize: [wholeNumber(1, 65536)],
    length: [wholeNumber(1), atMostBlockSize(blockSize)],
    steps: [wholeNumber(1)],
    learningRate: [numberBetween(0, 1e30)],
    minLearningRate: [numberBetween(0, 1e30)],
    warmupSteps: [wholeNumber(0)],
    weightDecay: [numberBetween(0, 10)],
    beta1: [numberBetween(0, 0.9999999)],
    beta2: [numberBetween(0, 0.9999999)],
    epsilon: [numberBetween(1e-30, 1)],
    clip: [numberBetween(0, 1e9)],
    accumulate: [wholeNumber(1, 65536)],
    seed: [wholeNumber(0)],
    evalEvery: [wholeNumber(0), EVALUATIONS_WITH_PATIENCE],
    patience: [wholeNumber(0)],
    saveEvery: [wholeNumber(0)],
    keepCheckpoints: [wholeNumber(1, 1000)],
    schedule: [oneOf('cosine', 'linear', 'constant')],
  };
}

function atMostBlockSize(blockSize: number): OptionRule<{ readonly length: number }> {
  return {
    isRight: (_, { length }) => length <= blockSize,
    expected: () => `at most the model's blockSize ${blockSize}`,
  };
}

/** Patience counts evaluations during the run. */
const EVALUATIONS_WITH_PATIENCE: OptionRule<Pick<TrainerSettings, 'evalEvery' | 'patience'>> = {
  isRight: (_, { evalEvery, patience }) => !(patience > 0 && evalEvery === 0),
  expected: (_, nameOption) => `above 0 where there is ${nameOption('patience')}`,
};

/**
 * Completes options with their defaults and checks them.
 * @param blockSize of the model: the largest `length`, and its default
 * @param where what messages name
 * @param nameOption the name of an option in a message. Default: as here
 * @throws ConfigError naming the option, its range and its value
 */
export function completeTrainerOptions(
  options: TrainerOptions,
  blockSize: number,
  where = 'Trainer',
  nameOption?: NameOption,
): TrainerSettings {
  const given = definedOptions<TrainerSettings>(options);
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
  const rules = rulesFor(blockSize);
  checkNames(rules, options, where);
  checkOptions(rules, settings, where, nameOption);
  return settings; // in this order: checkpoints hold it
}

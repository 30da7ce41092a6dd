/** `lanewise train`: text in, model folder out, with checkpoints from which an interrupted run continues. */
import { type Command, Option } from 'commander';
import { type TokenBatch, type TokenDataset, tokenDataset } from '../data/index.ts';
import { DataError } from '../errors.ts';
import { asCausalLM, type CausalLM, createOf, LoraModel, type ParsedConfig } from '../models/index.ts';
import { causalLanguageModel } from '../objectives/index.ts';
import { defaultThreads } from '../runtime/host.ts';
import type { Tokenizer } from '../tokenizer/index.ts';
import {
  checkTrainingFits,
  completeTrainerOptions,
  type ScheduleName,
  Trainer,
  type TrainerOptions,
  type TrainerSettings,
  type TrainResult,
  type TrainStep,
} from '../training/index.ts';
import { addFineTuneOptions, type FineTuneFlags, readOrigin } from './fine-tune.ts';
import { addModelOptions, type ModelFlags, modelOf, readModelFlags } from './model-flags.ts';
import { CHECKPOINTS, causalBlueprint } from './model-folder.ts';
import { addEngineOptions, addJsonOption, type EngineFlags, engineOptions, number, wholeNumber } from './options.ts';
import { count, describeEngine, duration, note, Progress, print, printJson } from './output.ts';
import { checkOutput, checkSameModel, type OutputFlags, openOutput } from './output-folder.ts';
import { catchSignals, Interrupted } from './signals.ts';
import { readTextFiles } from './text-files.ts';
import { learnTokenizer, parseTokenizerFlag, readTokenizer, type TokenizerFlag } from './tokenizer-flag.ts';
import { TrainLog } from './train-log.ts';

interface TrainFlags extends EngineFlags, ModelFlags, FineTuneFlags, OutputFlags {
  readonly data: string[];
  readonly out: string;
  readonly tokenizer: TokenizerFlag;
  readonly batch?: number;
  readonly steps?: number;
  readonly lr?: number;
  readonly minLr?: number;
  readonly schedule?: ScheduleName;
  readonly warmup?: number;
  readonly weightDecay?: number;
  readonly beta2?: number;
  readonly clip?: number;
  readonly accumulate?: number;
  readonly seed?: number;
  readonly evalEvery?: number;
  readonly saveEvery?: number;
  readonly patience?: number;
  readonly log?: string;
  readonly json?: boolean;
}

export function addTrain(program: Command): void {
  const command = program
    .command('train')
    .description('train a model on text; its last 10 % are kept to evaluate on')
    .requiredOption('--data <file...>', 'UTF-8 text files, joined in order')
    .requiredOption(
      '--out <dir>',
      'model folder to write: config.json, model.safetensors, tokenizer.json, checkpoints/',
    )
    .addOption(
      new Option('--tokenizer <kind>', 'char, byte or bpe:N (N tokens) learned from the data, or a folder that has one')
        .argParser(parseTokenizerFlag)
        .default(parseTokenizerFlag('bpe:1024'), 'bpe:1024'),
    );
  addFineTuneOptions(command);
  addModelOptions(command)
    .option('--batch <n>', 'sequences of a step (default: 12)', wholeNumber(1, 65536))
    .option('--steps <n>', 'updates of the weights (default: 1000)', wholeNumber(1))
    .option('--lr <x>', 'largest learning rate (default: 0.001)', number(0))
    .option('--min-lr <x>', 'learning rate at the end of a decaying schedule (default: lr / 10)', number(0))
    .addOption(
      new Option('--schedule <kind>', 'of the learning rate after the warm-up (default: cosine)').choices([
        'cosine',
        'linear',
        'constant',
      ]),
    )
    .option(
      '--warmup <n>',
      'steps of linear warm-up (default: steps / 20, at most 100; with --resume as the run began)',
      wholeNumber(0),
    )
    .option('--weight-decay <x>', 'AdamW’s decay of matrices (default: 0.1)', number(0, 10))
    .option('--beta2 <x>', 'AdamW’s decay rate of the second moment (default: 0.99)', number(0, 0.9999999))
    .option('--clip <x>', 'gradient clipping norm, 0 disables it (default: 1)', number(0, 1e9))
    .option('--accumulate <n>', 'batches whose gradients one step adds up (default: 1)', wholeNumber(1, 65536))
    .option('--seed <n>', 'random seed for weights, batches and dropout (default: 0)', wholeNumber(0))
    .option(
      '--eval-every <n>',
      'steps between evaluations, 0 for the end only (default: a tenth of the steps, more where evaluating would take over a tenth of the time)',
      wholeNumber(0),
    )
    .option('--save-every <n>', 'steps between checkpoints, 0 for none (default: a tenth of the steps)', wholeNumber(0))
    .option(
      '--patience <n>',
      'stop after this many evaluations in a row without a better loss, 0 never (default: 0); evaluations are then a tenth of the steps apart unless --eval-every says otherwise',
      wholeNumber(0),
    )
    .option('--log <file>', 'write one line of JSON for each step')
    .option('--resume', 'continue the newest checkpoint of --out, or begin where there is none')
    .addOption(new Option('--overwrite', 'replace the run or model in --out').conflicts('resume'));
  addEngineOptions(command);
  addJsonOption(command, 'step, loss, evalLoss, evalAccuracy, tokensPerSecond, parameters, threads, binary, …');
  command
    .addHelpText(
      'after',
      `
Ctrl-C stops after the current step and saves a checkpoint; the same command with --resume continues, bit for bit
as if it had never stopped (--precision exact: on any machine and with any number of threads).

Example:
  lanewise train --data book.txt --out model --layers 6 --heads 6 --width 192 --context 128 --steps 2000 --lr 0.001
  lanewise train --data book.txt --out adapter --from model --lora rank:8,alpha:16 --dtype q8 --context 256 --steps 200`,
    )
    .action(train);
}

async function train(flags: TrainFlags): Promise<void> {
  const signals = catchSignals();
  try {
    await run(flags, signals.signal);
  } finally {
    signals.release();
  }
}

async function run(flags: TrainFlags, signal: AbortSignal): Promise<void> {
  // Everything that can be refused is refused first: options, folder, data, memory. Then the engine starts.
  const origin = await readOrigin(flags, flags.out);
  const source = await readModelFlags(flags);
  const draft = origin?.parsed ?? modelOf(flags, source, { vocabSize: 2 ** 16, endOfText: undefined });
  const options = trainerOptions(flags);
  const settings = completeTrainerOptions(
    options,
    draft.config.blockSize,
    'train',
    (option) => FLAGS[option] ?? option,
  );
  const checkpoint = await checkOutput(flags.out, flags);
  const existing = origin?.tokenizer ?? (await readTokenizer(flags.tokenizer, draft.family.vocabulary));
  const text = await readTextFiles(flags.data);
  if (text === '')
    throw new DataError(`${flags.data.join(', ')}: expected text, got an empty file. Choose another one.`);
  signal.throwIfAborted();
  const tokenizer = existing ?? (await learnTokenizer(flags.tokenizer, text, signal));
  const data = tokenDataset(tokenizer.encode(text));
  const parsed = origin?.parsed ?? modelOf(flags, source, tokenizer);
  data.batch({ ...settings, batchSize: 1, index: 0 }); // throws when the text is shorter than a context
  const blueprint = origin?.blueprint ?? causalBlueprint(parsed, 'f32');
  checkTrainingFits(causalLanguageModel(blueprint), settings, flags.threads ?? defaultThreads(), settings);
  if (checkpoint) await checkSameModel(checkpoint, parsed, origin?.isLora ?? false);
  const directory = await openOutput(flags.out, flags);
  const log = flags.log === undefined ? undefined : new TrainLog(flags.log, checkpoint?.step ?? 0);
  signal.throwIfAborted();

  const model = origin ? await origin.load() : await newModel(parsed, flags);
  try {
    const checkpoints = await directory.subdirectory(CHECKPOINTS);
    // With --patience evaluations decide when the run ends: there are ten by default, whatever they cost.
    const isAsked = flags.evalEvery !== undefined || settings.patience > 0;
    const evalEvery = isAsked ? settings.evalEvery : evalEveryFor(data, settings);
    const trainer = new Trainer(causalLanguageModel(model), data, {
      ...options,
      evalEvery,
      directory: checkpoints,
      tokenizer,
    });
    const resumedFrom = flags.resume ? await trainer.resume() : 0;
    describe(model, data, tokenizer);
    if (resumedFrom > 0) note(`resumed after step ${resumedFrom}`);
    const started = performance.now();
    const result = await runSteps(trainer, log, signal);
    const seconds = (performance.now() - started) / 1000;
    trainer.dispose();
    await model.save(directory, { tokenizer });
    finish(model, result, { resumedFrom, seconds, flags });
  } finally {
    log?.close();
    model.dispose();
  }
}

/** Largest share of the time of training that the default number of evaluations may take. */
const MOST_EVALUATION = 0.1;

/** Steps between evaluations where the flags do not say: ten in a run, or fewer where the text is long and the run short. */
function evalEveryFor({ evalTokens }: TokenDataset, { steps, batchSize, length, accumulate }: TrainerSettings): number {
  // A step goes forward and back, which is three times as much for each token.
  const costInSteps = evalTokens.length / (3 * accumulate * batchSize * length);
  return Math.max(Math.ceil(steps / 10), Math.ceil(costInSteps / MOST_EVALUATION));
}

/** The trainer's options among the flags. */
function trainerOptions(flags: TrainFlags): TrainerOptions {
  const { steps = 1000 } = flags;
  const tenth = Math.ceil(steps / 10);
  return {
    batchSize: flags.batch,
    ...(flags.from !== undefined && { length: flags.context }),
    steps,
    learningRate: flags.lr,
    minLearningRate: flags.minLr,
    schedule: flags.schedule,
    warmupSteps: flags.warmup,
    weightDecay: flags.weightDecay,
    beta2: flags.beta2,
    clip: flags.clip,
    accumulate: flags.accumulate,
    seed: flags.seed,
    evalEvery: flags.evalEvery ?? tenth,
    saveEvery: flags.saveEvery ?? tenth,
    patience: flags.patience,
  };
}

/** Flags by the trainer's options that they set, for messages. */
const FLAGS: Readonly<Record<string, string>> = {
  batchSize: '--batch',
  length: '--context',
  steps: '--steps',
  learningRate: '--lr',
  minLearningRate: '--min-lr',
  schedule: '--schedule',
  warmupSteps: '--warmup',
  weightDecay: '--weight-decay',
  beta2: '--beta2',
  clip: '--clip',
  accumulate: '--accumulate',
  seed: '--seed',
  evalEvery: '--eval-every',
  saveEvery: '--save-every',
  patience: '--patience',
};

async function newModel({ family, config }: ParsedConfig, flags: TrainFlags): Promise<CausalLM> {
  return asCausalLM(await createOf(family, config, { seed: flags.seed, ...engineOptions(flags) }), 'train');
}

function describe(model: CausalLM, { trainTokens, evalTokens }: TokenDataset, { vocabSize }: Tokenizer): void {
  const trained = count(model.parameters.count);
  const parameters =
    model instanceof LoraModel
      ? `${count(model.base.parameters.count)} parameters in ${model.dtype}, adapters with ${trained}`
      : `${trained} parameters`;
  const { family, config } = model;
  note(`${family.modelType}: ${family.shapeOf(config)}, context ${config.blockSize}; ${parameters}`);
  note(
    `data: ${count(trainTokens.length)} tokens to train on, ${count(evalTokens.length)} to evaluate on; vocabulary ${count(vocabSize)}`,
  );
  note(`engine: ${describeEngine(model.engine.info)}`);
}

async function runSteps(
  trainer: Trainer<TokenBatch>,
  log: TrainLog | undefined,
  signal: AbortSignal,
): Promise<TrainResult> {
  const { steps } = trainer.settings;
  const progress = new Progress(steps);
  const status = new Status(trainer.step, steps);
  try {
    const run = trainer.run({ signal, onStep: (step) => log?.write(step) });
    for (;;) {
      const next = await run.next();
      if (next.done) return next.value;
      progress.update(next.value.step, status.after(next.value));
      const { step, evaluation } = next.value;
      if (evaluation)
        note(
          `step ${step}: loss on unseen text ${evaluation.loss.toFixed(3)}, accuracy ${(100 * evaluation.accuracy).toFixed(1)} %`,
        );
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    throw new Interrupted(
      trainer.step > 0
        ? `stopped after step ${trainer.step} of ${steps}; a checkpoint is saved. The same command with --resume continues.`
        : 'stopped before the first step; nothing was saved.',
    );
  } finally {
    progress.finish();
  }
}

/** The text after the progress bar: smoothed loss, speed, time left. */
class Status {
  readonly #started = performance.now();
  readonly #first: number;
  readonly #steps: number;
  #loss = Number.NaN;
  #tokensPerSecond = Number.NaN;

  constructor(first: number, steps: number) {
    this.#first = first;
    this.#steps = steps;
  }

  after({ step, loss, tokensPerSecond }: TrainStep): string {
    this.#loss = smooth(this.#loss, loss);
    this.#tokensPerSecond = smooth(this.#tokensPerSecond, tokensPerSecond);
    const secondsPerStep = (performance.now() - this.#started) / 1000 / (step - this.#first);
    const left = duration(secondsPerStep * (this.#steps - step));
    return `loss ${this.#loss.toFixed(3)}  ${count(this.#tokensPerSecond)} tokens/s  ${left} left`;
  }
}

function smooth(average: number, value: number): number {
  return Number.isNaN(average) ? value : 0.9 * average + 0.1 * value;
}

function finish(
  model: CausalLM,
  { step, loss, evaluation, tokensPerSecond, reason }: TrainResult,
  { resumedFrom, seconds, flags }: { resumedFrom: number; seconds: number; flags: TrainFlags },
): void {
  const { threads, binary, precision, runtime } = model.engine.info;
  if (flags.json) {
    printJson({
      step,
      loss,
      evalLoss: evaluation?.loss,
      evalAccuracy: evaluation?.accuracy,
      evalTokens: evaluation?.targets,
      tokensPerSecond,
      seconds,
      resumedFrom,
      reason,
      parameters: model.parameters.count,
      out: flags.out,
      threads,
      binary,
      precision,
      runtime,
    });
    return;
  }
  const parts = [
    `${step} steps`,
    Number.isNaN(loss) ? undefined : `loss ${loss.toFixed(4)}`,
    evaluation && `on unseen text ${evaluation.loss.toFixed(4)}, accuracy ${(100 * evaluation.accuracy).toFixed(1)} %`,
    tokensPerSecond > 0 ? `${count(tokensPerSecond)} tokens/s` : undefined,
    reason === 'patience' ? 'ended by --patience' : undefined,
  ];
  print(parts.filter(Boolean).join('; '));
  print(`saved in ${flags.out}`);
}

/** The training loop: batches in, steps out. It depends on an objective and a dataset that makes batches for it, nothing else. */

import {
  HYPER_BETA1,
  HYPER_BETA2,
  HYPER_CORRECTION1,
  HYPER_CORRECTION2,
  HYPER_COUNT,
  HYPER_EPSILON,
  HYPER_LEARNING_RATE,
} from '../abi/index.ts';
import type { Dataset } from '../data/index.ts';
import { CheckpointError, ConfigError, DataError, DisposedError, TrainingError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { Plan } from '../graph/plan.ts';
import type { ParameterBlock } from '../models/index.ts';
import { zeroedBlock } from '../models/weights/parameter-values.ts';
import type { Objective, TrainableModel } from '../objectives/index.ts';
import { integerPower } from '../random/index.ts';
import { type Moments, newestCheckpoint, restoreCheckpoint, saveCheckpoint, type TrainerState } from './checkpoint.ts';
import { addResults, type Evaluation, Evaluator } from './evaluate.ts';
import { checkObjective, checkTrainingFits } from './memory.ts';
import { completeTrainerOptions, type TrainerOptions, type TrainerSettings } from './options.ts';
import { learningRateAt } from './schedule.ts';
import { type RecordedStep, recordStep } from './step.ts';

/** What one step did. */
export interface TrainStep {
  /** Updates done, counted from 1. */
  readonly step: number;
  /** Mean −log p over the step's targets, before the update. */
  readonly loss: number;
  /** Share of targets that had the largest logit. */
  readonly accuracy: number;
  /** Global norm of the gradients before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** Tokens of this step per second of it, evaluation and saving apart. */
  readonly tokensPerSecond: number;
  /** Present after an evaluation. */
  readonly evaluation?: Evaluation;
  /** Name of the checkpoint that was just saved. */
  readonly checkpoint?: string;
}

/** What a run came to. */
export interface TrainResult {
  readonly step: number;
  /** Of the last step; NaN when a finished run was resumed and no step was done. */
  readonly loss: number;
  /** Of the whole evaluation split with the final weights, when the data has one. */
  readonly evaluation?: Evaluation;
  /** Mean over the steps of this run. */
  readonly tokensPerSecond: number;
  /** Why it ended. */
  readonly reason: 'steps' | 'patience';
}

/** Options of `trainer.run`. */
export interface RunOptions {
  /** Stops after the current step, saves a checkpoint where there is a directory, and throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called with each step before its checkpoint is saved, whose name it lacks: a log that is written here has every step
   * of every checkpoint, whenever the process dies.
   */
  readonly onStep?: ((step: TrainStep) => void | Promise<void>) | undefined;
}

/** Where checkpoints go, and what is saved with them. */
export interface TrainerFiles {
  /** Folder of checkpoints. */
  readonly directory?: string | URL | Directory | undefined;
  /** Saved in each checkpoint, so that it loads as a model with text. */
  readonly tokenizer?: { toJSON(): object } | undefined;
}

interface Prepared<Batch> extends RecordedStep<Batch> {
  readonly plan: Plan;
  readonly gradients: ParameterBlock;
  readonly moments: Moments;
}

/** Settings that may change when a run is resumed: none of them changes a step that was done. */
const FREE_SETTINGS = new Set(['steps', 'evalEvery', 'saveEvery', 'keepCheckpoints', 'patience']);

/**
 * Minimises an objective on a dataset.
 * @example
 * const trainer = new Trainer(causalLanguageModel(model), tokenDataset(ids), { steps: 100, learningRate: 1e-3 });
 * for await (const { step, loss } of trainer.run()) console.log(step, loss);
 */
export class Trainer<Batch> {
  /** What is minimised. */
  readonly objective: Objective<Batch>;
  /** Where batches come from. */
  readonly dataset: Dataset<Batch>;
  #settings: TrainerSettings;
  /** Whether the warm-up is the default of the number of steps, which another run may have begun with. */
  readonly #hasDefaultWarmup: boolean;
  readonly #files: TrainerFiles;
  #prepared: Prepared<Batch> | undefined;
  #evaluator: Evaluator<Batch> | undefined;
  #step = 0;
  /** The step of the newest checkpoint that this trainer saved or read. */
  #saved: number | undefined;
  #best: { loss: number; evaluationsSince: number } | null = null;
  #running = false;
  #disposed = false;

  /**
   * @throws TypeError for a model in the place of an objective
   * @throws ConfigError for an option out of range or unknown
   * @throws MemoryError when 4 GiB do not hold the run; says what would fit
   */
  constructor(
    objective: Objective<Batch>,
    dataset: Dataset<Batch>,
    { directory, tokenizer, ...options }: TrainerOptions & TrainerFiles = {},
  ) {
    checkObjective(objective, 'Trainer');
    if (typeof dataset?.batch !== 'function')
      throw new TypeError(`Trainer: expected a dataset, such as tokenDataset(ids), got ${typeof dataset}.`);
    this.objective = objective;
    this.dataset = dataset;
    this.#settings = completeTrainerOptions(options, objective.model.config.blockSize);
    this.#hasDefaultWarmup = options.warmupSteps === undefined;
    this.#files = { directory, tokenizer };
    if (this.settings.saveEvery > 0 && directory === undefined)
      throw new ConfigError(
        'Trainer: expected a directory for checkpoints, got saveEvery without one. Pass { directory }.',
      );
    const { batchSize, length, clip, weightDecay, evalEvery } = this.settings;
    const evaluation = dataset.evaluation !== undefined;
    if (evalEvery > 0 && !evaluation)
      throw new ConfigError(
        `Trainer: expected a dataset with an evaluation split, got evalEvery ${evalEvery} without one. Pass { evalFraction } to it.`,
      );
    const shape = { batchSize, length };
    checkTrainingFits(objective, shape, objective.model.engine.threads, { clip, weightDecay, evaluation });
  }

  /** What is trained. */
  get model(): TrainableModel {
    return this.objective.model;
  }

  /** All options with their defaults. */
  get settings(): TrainerSettings {
    return this.#settings;
  }

  /** Updates done so far. */
  get step(): number {
    return this.#step;
  }

  /**
   * Continues the newest complete checkpoint of the directory; the steps that follow are bit for bit those of a run
   * that was never interrupted. Starts at 0 where there is none.
   * @returns the number of steps already done
   * @throws CheckpointError when the checkpoint belongs to other settings or other data
   */
  async resume(): Promise<number> {
    const directory = await this.#directory();
    if (!directory)
      throw new ConfigError('Trainer: expected a directory to resume from, got none. Pass { directory }.');
    const newest = await newestCheckpoint(directory);
    if (!newest) return 0;
    const { folder, state } = newest;
    const { warmupSteps } = state.settings;
    if (this.#hasDefaultWarmup && Number.isInteger(warmupSteps))
      this.#settings = { ...this.#settings, warmupSteps: warmupSteps as number };
    const asked = await this.#trajectorySettings();
    for (const [name, value] of Object.entries(asked))
      if (state.settings[name] !== value)
        throw new CheckpointError(
          `${folder.name}: expected ${name} ${JSON.stringify(value)}, got a checkpoint with ${JSON.stringify(state.settings[name])}. Resume with the options the run began with, or choose another directory.`,
          { file: folder.name },
        );
    if (state.fingerprint !== this.dataset.fingerprint)
      throw new CheckpointError(
        `${folder.name}: expected the data ${this.dataset.fingerprint}, got a checkpoint of ${state.fingerprint}. Resume with the data the run began with, or choose another directory.`,
        { file: folder.name },
      );
    const { moments } = await this.#prepare();
    await restoreCheckpoint(newest, this.model, moments);
    this.#step = state.step;
    this.#saved = state.step;
    this.#best = state.best && { ...state.best };
    return state.step;
  }

  /**
   * Runs the remaining steps, yielding each when it is done. Stop with `break`; continue by calling `run` again.
   * @throws TrainingError naming the step when loss or gradients are not finite; the weights are those of the step before,
   * and checkpoints that were saved stay
   */
  async *run({ signal, onStep }: RunOptions = {}): AsyncGenerator<TrainStep, TrainResult, void> {
    if (this.#running)
      throw new ConfigError('Trainer: expected one run at a time, got a second. Finish or break off the first.');
    this.#running = true;
    try {
      const prepared = await this.#prepare();
      const { steps, evalEvery, saveEvery, patience } = this.settings;
      let [tokens, milliseconds, loss] = [0, 0, Number.NaN];
      const worn = () => patience > 0 && (this.#best?.evaluationsSince ?? 0) >= patience;
      let reason: TrainResult['reason'] = worn() ? 'patience' : 'steps'; // a resumed run may have ended so
      let evaluation: Evaluation | undefined;
      while (reason === 'steps' && this.#step < steps) {
        if (signal?.aborted) await this.#abort(prepared, signal);
        const started = performance.now();
        const { tokens: stepTokens, ...done } = await this.#trainStep(prepared);
        const elapsed = performance.now() - started;
        tokens += stepTokens;
        milliseconds += elapsed;
        loss = done.loss;
        this.#step++;
        let step: TrainStep = { step: this.#step, ...done, tokensPerSecond: (stepTokens / elapsed) * 1000 };
        evaluation = undefined;
        const atEnd = this.#step === steps;
        if (this.dataset.evaluation && (atEnd || (evalEvery > 0 && this.#step % evalEvery === 0))) {
          // With patience an evaluation decides about the run, so that a resumed one must have it too.
          try {
            evaluation = await this.evaluate(patience > 0 ? {} : { signal });
          } catch (error) {
            if (!signal?.aborted) throw error;
            await onStep?.(step);
            return await this.#abort(prepared, signal);
          }
          if (!Number.isFinite(evaluation.loss)) throw this.#notFinite('an evaluation', evaluation.loss);
          this.#compareWithBest(evaluation);
          if (worn()) reason = 'patience';
          step = { ...step, evaluation };
        }
        await onStep?.(step);
        const save = saveEvery > 0 && (this.#step % saveEvery === 0 || atEnd || reason === 'patience');
        yield save ? { ...step, checkpoint: await this.#save(prepared) } : step;
      }
      // A finished run that was resumed has not evaluated yet.
      if (!evaluation && this.dataset.evaluation) evaluation = await this.evaluate({ signal });
      const tokensPerSecond = milliseconds > 0 ? (tokens / milliseconds) * 1000 : 0;
      return { step: this.#step, loss, tokensPerSecond, reason, ...(evaluation && { evaluation }) };
    } finally {
      this.#running = false;
    }
  }

  /**
   * Loss and accuracy over all of the evaluation split.
   * @throws ConfigError when the dataset has none
   */
  async evaluate({ signal }: Pick<RunOptions, 'signal'> = {}): Promise<Evaluation> {
    this.#checkAlive();
    const shape = { batchSize: this.settings.batchSize, length: this.settings.length };
    const batches = this.dataset.evaluation?.(shape);
    if (!batches)
      throw new ConfigError(
        'Trainer: expected a dataset with an evaluation split, got one without. Pass { evalFraction } to it.',
      );
    this.#evaluator ??= await Evaluator.create(this.objective, shape);
    return this.#evaluator.run(batches, signal);
  }

  /**
   * Saves a checkpoint now; returns its folder's name.
   * @throws TrainingError when the loss of these weights is not finite; earlier checkpoints stay
   */
  async save(): Promise<string> {
    return this.#save(await this.#prepare());
  }

  /** What a step runs, for the profiler; undefined before the first step. */
  get plan(): Plan | undefined {
    return this.#prepared?.plan;
  }

  /** Gives gradients, moments and plans back; the model stays. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (this.model.engine.disposed) return;
    this.#evaluator?.dispose();
    if (!this.#prepared) return;
    const { plan, gradients, moments } = this.#prepared;
    plan.dispose();
    for (const block of [gradients, moments.m, moments.v]) block.release();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  async #directory(): Promise<Directory | undefined> {
    const { directory } = this.#files;
    return directory === undefined ? undefined : openDirectory(directory);
  }

  /** Settings that determine every step, and the model's, as they stand in a checkpoint. */
  async #trajectorySettings(): Promise<Record<string, unknown>> {
    const settings = Object.entries(this.settings).filter(([name]) => !FREE_SETTINGS.has(name));
    const { precision } = this.model.engine.info; // the other one has other bits
    const identity = { ...this.model.config, ...(await this.model.identity()) };
    const model = Object.entries(identity).map(([name, value]) => [`model.${name}`, value]);
    return Object.fromEntries([...settings, ['precision', precision], ...model]);
  }

  #checkAlive(): void {
    if (this.#disposed)
      throw new DisposedError('Trainer: expected a live trainer, got a disposed one. Make a new one.');
  }

  async #prepare(): Promise<Prepared<Batch>> {
    this.#checkAlive();
    if (this.#prepared) return this.#prepared;
    const { objective, settings } = this;
    const { engine, parameters } = objective.model;
    const blocks: ParameterBlock[] = [];
    try {
      for (const label of ['gradients', 'first moments', 'second moments'])
        blocks.push(await zeroedBlock(engine, parameters, label));
      const [gradients, m, v] = blocks as [ParameterBlock, ParameterBlock, ParameterBlock];
      const step = recordStep(objective, settings, gradients.region, m.region, v.region, settings);
      const plan = await Plan.compile(engine, step.graph, 'the activations of a training step');
      this.#prepared = { ...step, plan, gradients, moments: { m, v } };
      return this.#prepared;
    } catch (error) {
      for (const block of blocks) block.release();
      throw error;
    }
  }

  async #trainStep(prepared: Prepared<Batch>) {
    this.#checkAlive(); // the caller may have disposed between two steps
    const { plan, program, dropoutSeed, hyper, norm } = prepared;
    const { settings, dataset } = this;
    const { accumulate, seed, batchSize, length } = settings;
    const learningRate = learningRateAt(this.#step, { ...settings, kind: settings.schedule });
    plan.write(hyper, hyperparameters(settings, learningRate, this.#step + 1));
    const batches = Array.from({ length: accumulate }, (_, part) =>
      dataset.batch({ seed, index: this.#step * accumulate + part, batchSize, length }),
    );
    const targets = batches.reduce((sum, batch) => sum + program.count(batch), 0);
    if (targets === 0)
      throw new DataError(
        `train: expected targets at step ${this.#step + 1}, got batches with none. Check what makes the batches.`,
      );
    plan.write(program.scale, Float32Array.of(1 / targets));
    let [loss, correct] = [0, 0];
    for (const [part, batch] of batches.entries()) {
      program.write(plan, batch);
      plan.write(
        dropoutSeed,
        Uint32Array.of(seed % 2 ** 32, Math.floor(seed / 2 ** 32), this.#step * accumulate + part),
      );
      await plan.run(part === 0 ? 'zero' : 'loss', part === accumulate - 1 ? 'update' : 'loss');
      const sums = await addResults(plan, program);
      loss += sums.loss;
      correct += sums.correct;
    }
    const [gradientNorm] = await plan.readRegion(norm);
    loss /= targets;
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
      throw new TrainingError(
        `train: expected a finite loss and gradient at step ${this.#step + 1}, got loss ${loss} and gradient norm ${gradientNorm}. Lower the learning rate or raise the warm-up; the weights are those of step ${this.#step}.`,
        this.#step + 1,
      );
    return {
      loss,
      accuracy: correct / targets,
      gradientNorm: gradientNorm!,
      learningRate,
      tokens: accumulate * batchSize * length,
    };
  }

  /** Remembers the best evaluation, or counts one that was no better. */
  #compareWithBest({ loss }: Evaluation): void {
    if (this.#best && !(loss < this.#best.loss)) this.#best.evaluationsSince++;
    else this.#best = { loss, evaluationsSince: 0 };
  }

  async #save({ moments, plan, program }: Prepared<Batch>): Promise<string> {
    const directory = await this.#directory();
    if (!directory)
      throw new ConfigError('Trainer: expected a directory for checkpoints, got none. Pass { directory }.');
    if (this.#step > 0 && this.#saved !== this.#step) {
      // The last batch again, with the weights that are to be saved: a checkpoint that cannot go on replaces no good one.
      await plan.run('zero', 'loss');
      const { loss } = await addResults(plan, program);
      if (!Number.isFinite(loss)) throw this.#notFinite('a checkpoint', loss);
    }
    const state: TrainerState = {
      step: this.#step,
      settings: await this.#trajectorySettings(),
      fingerprint: this.dataset.fingerprint,
      best: this.#best,
    };
    const name = await saveCheckpoint(directory, this.model, moments, state, {
      keep: this.settings.keepCheckpoints,
      tokenizer: this.#files.tokenizer,
    });
    this.#saved = this.#step;
    return name;
  }

  #notFinite(what: string, loss: number): TrainingError {
    return new TrainingError(
      `train: expected a finite loss in ${what} after step ${this.#step}, got ${loss}. Lower the learning rate or raise the warm-up; the newest checkpoint is an earlier one.`,
      this.#step,
    );
  }

  async #abort(prepared: Prepared<Batch>, signal: AbortSignal): Promise<never> {
    if (this.#files.directory !== undefined && this.#step > 0 && this.#saved !== this.#step) await this.#save(prepared);
    throw signal.reason;
  }
}

/** AdamW's numbers for update t, counted from 1, computed in f64 without Math.pow; of the β that the kernel has. */
function hyperparameters({ epsilon, ...betas }: TrainerSettings, learningRate: number, t: number): Float32Array {
  const [beta1, beta2] = [Math.fround(betas.beta1), Math.fround(betas.beta2)];
  const hyper = new Float32Array(HYPER_COUNT);
  hyper[HYPER_LEARNING_RATE] = learningRate;
  hyper[HYPER_BETA1] = beta1;
  hyper[HYPER_BETA2] = beta2;
  hyper[HYPER_EPSILON] = epsilon;
  hyper[HYPER_CORRECTION1] = 1 / (1 - integerPower(beta1, t));
  hyper[HYPER_CORRECTION2] = 1 / (1 - integerPower(beta2, t));
  return hyper;
}

/**
 * The sizes that Train offers, and what they cost here: memory exactly, time from a short training run, and from real ones as
 * soon as there are any.
 */
import {
  type ConfigOf,
  causalLanguageModel,
  createModel,
  type Options,
  Trainer,
  tokenDataset,
  trainingBytes,
} from '../../src/index.ts';
import { gpt2 } from '../../src/models/gpt2/family.ts';
import { blueprint, completeConfig } from '../../src/models/index.ts';

export interface Size {
  readonly title: string;
  readonly nLayer: number;
  readonly nHead: number;
  readonly nEmbd: number;
  readonly blockSize: number;
  /** Most tokens of the tokenizer; short texts get fewer. */
  readonly vocabSize: number;
  readonly batchSize: number;
}

export const SIZES: Readonly<Record<string, Size>> = {
  tiny: { title: 'Tiny', nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 512, batchSize: 8 },
  small: { title: 'Small', nLayer: 3, nHead: 4, nEmbd: 128, blockSize: 64, vocabSize: 1024, batchSize: 12 },
  medium: { title: 'Medium', nLayer: 4, nHead: 6, nEmbd: 192, blockSize: 128, vocabSize: 1024, batchSize: 12 },
  large: { title: 'Large', nLayer: 6, nHead: 6, nEmbd: 384, blockSize: 128, vocabSize: 2048, batchSize: 12 },
};

/** Few characters hold few words that are worth a token. Without a text yet: what a long one gets. */
export function vocabularyFor(size: Size, characters: number): number {
  if (characters === 0) return size.vocabSize;
  return Math.min(size.vocabSize, Math.max(300, Math.round(characters / 40)));
}

export function modelOptions({ nLayer, nHead, nEmbd, blockSize }: Size, vocabSize: number): Options<ConfigOf<'gpt2'>> {
  const dropout = { embdDropout: 0, attnDropout: 0, residDropout: 0 };
  return { nLayer, nHead, nEmbd, blockSize, vocabSize, ...dropout };
}

export function parametersOf({ nLayer, nEmbd, blockSize }: Size, vocabSize: number): number {
  return nLayer * (12 * nEmbd * nEmbd + 13 * nEmbd) + (vocabSize + blockSize + 2) * nEmbd;
}

/** Tokens of unseen text in an evaluation: more would take longer than the training between two of them. */
export const MOST_EVALUATED = 4000;
/** Evaluations of a run. */
export const EVALUATIONS = 10;

/** Floating-point operations for one token: 6 for each weight, 12 for each position that is attended to, of which there are half a context. */
function flopsPerToken(size: Size, vocabSize: number): number {
  const { nLayer, nEmbd, blockSize } = size;
  return 6 * parametersOf(size, vocabSize) + 6 * nLayer * nEmbd * blockSize;
}

/** Floating-point operations of one step. */
function flopsOfStep(size: Size, vocabSize: number): number {
  return size.batchSize * size.blockSize * flopsPerToken(size, vocabSize);
}

/** Floating-point operations per second that runs have shown, by size. */
const speeds = new Map<Size, number>();
let probed: Promise<number> | undefined;
/** Threads of the engines of this page; 1 until one was made. */
let threads = 1;

/** Floating-point operations per second of a training step here, measured once, in about a second. */
async function probe(): Promise<number> {
  const size = SIZES.small!;
  const model = await createModel('gpt2', { ...modelOptions(size, size.vocabSize), seed: 1 });
  try {
    threads = model.engine.threads;
    const ids = Uint32Array.from({ length: 4000 }, (_, i) => (i * 7919) % size.vocabSize);
    const trainer = new Trainer(causalLanguageModel(model), tokenDataset(ids, { evalFraction: 0 }), {
      batchSize: size.batchSize,
      steps: 1000,
    });
    const rates: number[] = [];
    const start = performance.now();
    for await (const { tokensPerSecond } of trainer.run()) {
      rates.push(tokensPerSecond);
      if (rates.length >= 3 && performance.now() - start > 800) break;
    }
    const steady = rates.slice(1).sort((a, b) => a - b)[Math.floor((rates.length - 1) / 2)]!;
    return steady * flopsPerToken(size, size.vocabSize);
  } finally {
    model.dispose();
  }
}

/** Notes how long a step of a run took, all that belongs to it counted: what is estimated next goes by it. */
export function noteSpeed(size: Size, vocabSize: number, secondsPerStep: number): void {
  speeds.set(size, flopsOfStep(size, vocabSize) / secondsPerStep);
}

/** Seconds that a step takes here: as a run of this size showed, else the probe. */
export async function secondsOfStep(size: Size, vocabSize: number): Promise<number> {
  const shown = speeds.get(size);
  if (shown === undefined) probed ??= probe();
  return flopsOfStep(size, vocabSize) / (shown ?? (await probed!));
}

/** Seconds that a run takes here, evaluations counted. */
export async function secondsOfRun(size: Size, vocabSize: number, steps: number): Promise<number> {
  const step = await secondsOfStep(size, vocabSize);
  if (speeds.has(size)) return steps * step;
  const evaluated = (MOST_EVALUATED * EVALUATIONS) / 3; // without a backward pass
  return (steps + evaluated / (size.batchSize * size.blockSize)) * step;
}

/** What was computed, since each letter of a text that is written asks again. */
const memories = new Map<string, number>();

/** Bytes that training a size takes: weights, gradients, moments, activations. */
export function memoryOf(size: Size, vocabSize: number): number {
  const key = `${size.title} ${vocabSize} ${threads}`;
  const known = memories.get(key);
  if (known !== undefined) return known;
  const model = blueprint(gpt2, completeConfig(gpt2, modelOptions(size, vocabSize), 'train'));
  const shape = { batchSize: size.batchSize, length: size.blockSize };
  const { total } = trainingBytes(causalLanguageModel(model), shape, threads, { clip: 1, weightDecay: 0.1 });
  memories.set(key, total);
  return total;
}

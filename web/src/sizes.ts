/** The sizes that Train offers, and what they cost: memory exactly, time from a short training run on this machine. */
import { GPT2, type GPTOptions, Trainer, tokenDataset, trainingBytes } from '../../src/index.ts';

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

/** Few characters hold few words that are worth a token. */
export function vocabularyFor(size: Size, characters: number): number {
  return Math.min(size.vocabSize, Math.max(300, Math.round(characters / 40)));
}

export function modelOptions({ nLayer, nHead, nEmbd, blockSize }: Size, vocabSize: number): GPTOptions {
  const dropout = { embdDropout: 0, attnDropout: 0, residDropout: 0 };
  return { nLayer, nHead, nEmbd, blockSize, vocabSize, ...dropout };
}

export function parametersOf({ nLayer, nEmbd, blockSize, vocabSize }: Size): number {
  return nLayer * (12 * nEmbd * nEmbd + 13 * nEmbd) + (vocabSize + blockSize + 2) * nEmbd;
}

/** Floating-point operations of one step: 6 for each weight and token, 12 for each position that is attended to. */
export function flopsOfStep(size: Size): number {
  const { nLayer, nEmbd, blockSize, batchSize } = size;
  return batchSize * blockSize * (6 * parametersOf(size) + 6 * nLayer * nEmbd * blockSize);
}

let measured: Promise<number> | undefined;

/** Floating-point operations per second of a training step here: measured once, in about a second. */
export function trainingSpeed(): Promise<number> {
  measured ??= measure();
  return measured;
}

async function measure(): Promise<number> {
  const size = SIZES.small!;
  const model = await GPT2.create({ ...modelOptions(size, size.vocabSize), seed: 1 });
  try {
    const ids = Uint32Array.from({ length: 4000 }, (_, i) => (i * 7919) % size.vocabSize);
    const trainer = new Trainer(model, tokenDataset(ids, { evalFraction: 0 }), {
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
    return (steady * flopsOfStep(size)) / (size.batchSize * size.blockSize);
  } finally {
    model.dispose();
  }
}

/** Bytes that training a size takes: weights, gradients, moments, activations. */
export async function memoryOf(size: Size): Promise<number> {
  const model = await GPT2.create({ ...modelOptions(size, size.vocabSize), threads: 1 });
  try {
    const shape = { batchSize: size.batchSize, length: size.blockSize };
    return trainingBytes(model, shape, 1, { clip: 1, weightDecay: 0.1 }).total;
  } finally {
    model.dispose();
  }
}

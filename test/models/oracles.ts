/** The cases of test/fixtures/oracles, which scripts/make-oracles.py and its predecessors computed with transformers. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { TokenBatch } from '../../src/data/index.ts';
import { type Directory, openDirectory } from '../../src/files/index.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { readArray } from '../formats/read-tensor.ts';

export const ORACLES = [
  'gpt2-tiny',
  'gpt2-odd',
  'gpt2-one-layer',
  'gpt2-narrow',
  'gpt2-wide-vocabulary',
  'openai-gpt-lm',
  'openai-gpt-tiny',
] as const;
export type OracleName = (typeof ORACLES)[number];

/** 30 steps of AdamW. */
export interface Trajectory {
  readonly losses: readonly number[];
  readonly grad_norms_before_clip: readonly number[];
  readonly steps: number;
  readonly lr: number;
  readonly min_lr: number;
  readonly warmup: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weight_decay: number;
  readonly clip_grad_norm: number;
}

export interface Oracle {
  readonly name: OracleName;
  readonly directory: Directory;
  /** [sequence][position]. */
  readonly ids: readonly (readonly number[])[];
  /** The shape's last size is V; all sequences in a row. */
  readonly logits: Float32Array;
  /** nLayer + 1 states of all sequences in a row; empty where the case has none. */
  readonly hidden: readonly Float32Array[];
  readonly loss: number;
  /** By parameter; empty where the case has none of the loss alone. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** Greedy text with the prompt, and how long the prompt is. */
  readonly greedy: { readonly ids: readonly number[]; readonly prompt: number } | undefined;
  readonly train: (Trajectory & { readonly batches: readonly TokenBatch[] }) | undefined;
}

/** What follows each token of a sequence; nothing is known behind the last. */
export function sequenceOf(tokens: readonly number[]) {
  return { tokens, targets: [...tokens.slice(1), -1] };
}

export async function readOracle(name: OracleName): Promise<Oracle> {
  const folder = fileURLToPath(new URL(`../fixtures/oracles/${name}`, import.meta.url));
  const directory = await openDirectory(folder);
  const info = JSON.parse(await readFile(`${folder}/cases.json`, 'utf8'));
  const cases = await openSafetensors(directory, 'cases.safetensors');
  try {
    const floats = async (tensor: string) => (await readArray(cases, tensor)) as Float32Array;
    /** All but the last dimension become one. */
    const rows = async (tensor: string) => {
      const values = Array.from((await readArray(cases, tensor)) as BigInt64Array, Number);
      const length = cases.info(tensor).shape.at(-1)!;
      return Array.from({ length: values.length / length }, (_, i) => values.slice(i * length, (i + 1) * length));
    };
    const ids = await rows('input_ids');
    const hidden: Float32Array[] = [];
    while (cases.has(`hidden.${hidden.length}`)) hidden.push(await floats(`hidden.${hidden.length}`));
    // The gradients of openai-gpt-tiny are of another loss as well.
    const isDoubleHead = cases.has('mc_loss');
    const gradients = new Map<string, Float32Array>();
    for (const tensor of cases.names)
      if (tensor.startsWith('grad.') && !isDoubleHead)
        gradients.set(tensor.slice('grad.'.length), await floats(tensor));
    const trainIds = info.train ? await rows('train_ids') : [];
    return {
      name,
      directory,
      ids,
      logits: await floats(isDoubleHead ? 'lm_logits' : 'logits'),
      hidden,
      loss: (await floats(isDoubleHead ? 'lm_loss' : 'loss'))[0]!,
      gradients,
      greedy: cases.has('greedy')
        ? { ids: (await rows('greedy'))[0]!, prompt: Number(/\[0,:(\d+)\]/.exec(info.greedy)![1]) }
        : undefined,
      train: info.train && {
        ...info.train,
        batches: [0, 1, 2, 3].map((batch) => trainIds.slice(batch * 3, batch * 3 + 3).map(sequenceOf)),
      },
    };
  } finally {
    await cases.close();
  }
}

/** max |actual − expected|; infinite for NaN or other lengths. */
export function maxError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return worst;
}

export function maxMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!));
  return largest;
}

export function concat(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Trains a model as PyTorch did, on the same batches again and again; the trainer is disposed. */
export async function trainAs(
  model: CausalLM,
  train: Trajectory,
  batches: readonly TokenBatch[],
): Promise<{ losses: number[]; norms: number[] }> {
  const dataset = {
    fingerprint: 'oracle',
    batch: ({ index }: { index: number }) => batches[index % batches.length]!,
  };
  const trainer = new Trainer(causalLanguageModel(model), dataset, {
    batchSize: batches[0]!.length,
    length: batches[0]![0]!.tokens.length,
    steps: train.steps,
    learningRate: train.lr,
    minLearningRate: train.min_lr,
    warmupSteps: train.warmup,
    schedule: 'cosine',
    beta1: train.betas[0],
    beta2: train.betas[1],
    epsilon: train.eps,
    weightDecay: train.weight_decay,
    clip: train.clip_grad_norm,
  });
  const [losses, norms]: [number[], number[]] = [[], []];
  for await (const { loss, gradientNorm } of trainer.run()) {
    losses.push(loss);
    norms.push(gradientNorm);
  }
  trainer.dispose();
  return { losses, norms };
}

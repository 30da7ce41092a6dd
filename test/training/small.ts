/** A small model, small data, and a digest of weights; without vitest, so that a child process can import it. */

import { createHash } from 'node:crypto';
import { tokenDataset } from '../../src/data/index.ts';
import { type CreateModelOptions, createModel } from '../../src/models/create.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { Random, randomInteger } from '../../src/random/index.ts';

const BLOCK_SIZE = 8;
const VOCAB_SIZE = 13;

/** One block, 16 wide, without dropout. */
export function smallModel(options: CreateModelOptions<'gpt2'> = {}) {
  return createModel('gpt2', {
    ...{ nLayer: 1, nHead: 2, nEmbd: 16, blockSize: BLOCK_SIZE, vocabSize: VOCAB_SIZE },
    ...{ seed: 1, threads: 1, precision: 'exact', ...dropout(0) },
    ...options,
  });
}

export function dropout(p: number) {
  return { embdDropout: p, attnDropout: p, residDropout: p };
}

/** Token ids without pattern. */
export function randomIds(count: number, seed = 5): number[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) => randomInteger(random, VOCAB_SIZE, 0, index));
}

export const smallData = () => tokenDataset(randomIds(300));

/** A digest of all weights. */
export async function digestOf(model: CausalLM): Promise<string> {
  const hash = createHash('sha256');
  for (const { name } of model.parameters.list) {
    const values = await model.readParameter(name);
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
}

/** The run of kill.test.ts, beside steps and folder. */
export const killOptions = { batchSize: 2, accumulate: 2, learningRate: 1e-2 };

/** Models for the tests of generation and evaluation. */

import { fileURLToPath } from 'node:url';
import { openDirectory } from '../../src/files/index.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import { createModel } from '../../src/models/create.ts';
import { loadCausalLM } from '../../src/models/load.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { Random, randomInteger } from '../../src/random/index.ts';
import type { EngineOptions } from '../../src/runtime/engine.ts';
import { readArray } from '../formats/read-tensor.ts';

/** The folder of a reference model: 2 layers, 64 wide, context 64, vocabulary 512. */
export const TINY = fileURLToPath(new URL('../fixtures/oracles/gpt2-tiny', import.meta.url));

export function tinyModel(options: EngineOptions = { threads: 1, precision: 'exact' }): Promise<CausalLM> {
  return loadCausalLM(TINY, options);
}

/** One tensor of the reference cases. */
export async function oracle(name: string): Promise<{ values: number[]; shape: readonly number[] }> {
  const cases = await openSafetensors(await openDirectory(TINY), 'cases.safetensors');
  try {
    return { values: Array.from(await readArray(cases, name), Number), shape: cases.info(name).shape };
  } finally {
    await cases.close();
  }
}

/** Rows of token ids without pattern. */
export function randomTokens(length: number, stream: number, vocabSize = 512): number[] {
  const random = new Random(99);
  return Array.from({ length }, (_, index) => randomInteger(random, vocabSize, stream, index));
}

/**
 * A model that says by heart: what follows position p is `script[p]`, whatever stands there. Blocks add nothing to the
 * residual stream; each token has a code of ±1, and a position adds the code of what is to follow, ten times as large.
 */
export async function scriptedModel(script: readonly number[], vocabSize: number, blockSize = 128): Promise<CausalLM> {
  const nEmbd = 256;
  const model = await createModel('gpt2', {
    ...{ nLayer: 1, nHead: 1, nEmbd, nInner: 8, blockSize, vocabSize },
    ...{ threads: 1, precision: 'exact', seed: 1 },
  });
  const random = new Random(1);
  const code = (id: number) => Array.from({ length: nEmbd }, (_, i) => randomInteger(random, 2, id, i) * 2 - 1);
  const tokens = Array.from({ length: vocabSize }, (_, id) => code(id)).flat();
  const positions = Array.from({ length: blockSize }, (_, p) => code(script[p] ?? 0).map((value) => 10 * value)).flat();
  await model.writeParameter('transformer.wte.weight', new Float32Array(tokens));
  await model.writeParameter('transformer.wpe.weight', new Float32Array(positions));
  await model.writeParameter('transformer.h.0.attn.c_proj.weight', new Float32Array(nEmbd * nEmbd));
  await model.writeParameter('transformer.h.0.mlp.c_proj.weight', new Float32Array(8 * nEmbd));
  return model;
}

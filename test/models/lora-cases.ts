/** The cases of test/fixtures/lora, which scripts/make-lora-oracles.py computed with Hugging Face PEFT. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type Directory, openDirectory } from '../../src/files/index.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import { readArray } from '../formats/read-tensor.ts';
import { type Oracle, type OracleName, readOracle, type Trajectory } from './oracles.ts';

export const LORA_CASES = ['gpt2-c-attn', 'gpt2-all', 'gpt1-second-layer', 'gpt1-pattern'] as const;
export type LoraCaseName = (typeof LORA_CASES)[number];

export interface LoraCase {
  /** The model that is adapted. */
  readonly base: Oracle;
  /** PEFT's folder. */
  readonly directory: Directory;
  /** Of the base's ids, all sequences in a row. */
  readonly logits: Float32Array;
  readonly loss: number;
  /** By tensor of the adapter. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
  /** The weights that PEFT merged, by parameter of the base. */
  readonly merged: ReadonlyMap<string, Float32Array>;
  /** 30 steps on the base's batches. */
  readonly train: Trajectory;
}

export async function readLoraCase(name: LoraCaseName): Promise<LoraCase> {
  const folder = fileURLToPath(new URL(`../fixtures/lora/${name}`, import.meta.url));
  const directory = await openDirectory(folder);
  const info = JSON.parse(await readFile(`${folder}/cases.json`, 'utf8'));
  const cases = await openSafetensors(directory, 'cases.safetensors');
  const floats = async (tensor: string) => (await readArray(cases, tensor)) as Float32Array;
  const named = async (prefix: string) => {
    const names = cases.names.filter((tensor) => tensor.startsWith(prefix));
    return new Map(await Promise.all(names.map(async (n) => [n.slice(prefix.length), await floats(n)] as const)));
  };
  try {
    const [gradients, merged] = [await named('grad.'), await named('merged.')];
    const base = await readOracle(info.base as OracleName);
    return { base, directory, logits: await floats('logits'), loss: info.loss, gradients, merged, train: info.train };
  } finally {
    await cases.close();
  }
}

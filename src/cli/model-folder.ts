/** What the verbs ask of a model folder before they load it. */
import { openDirectory } from '../files/index.ts';
import { type ModelFamily, type ParsedConfig, parseConfig } from '../formats/index.ts';
import { blueprint, type GPT, GPT1, GPT2, type GPTClass } from '../models/index.ts';

/** Where `train` keeps its checkpoints, below the model folder. */
export const CHECKPOINTS = 'checkpoints';

/** The model classes by family. */
export const CLASSES: Readonly<Record<ModelFamily, GPTClass<GPT>>> = { gpt2: GPT2, 'openai-gpt': GPT1 };

/** The model of a config.json, without memory. */
export function blueprintOf({ family, config, quantization }: ParsedConfig): GPT {
  return blueprint(CLASSES[family], config, quantization ?? 'f32');
}

/** The family that a folder's config.json names; undefined where it has none. `vocab.json` does not say what it is. */
export async function folderFamily(dir: string): Promise<ModelFamily | undefined> {
  const directory = await openDirectory(dir);
  if (!(await directory.has('config.json'))) return undefined;
  return parseConfig(await directory.readText('config.json'), `${directory.name}/config.json`).family;
}

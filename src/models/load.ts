/** Reading a model folder: config.json says which class, the weights stream into its block. */
import { type Directory, openDirectory } from '../files/index.ts';
import { modelTensors, openWeights, parseConfig } from '../formats/index.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import { type GPT, type GPTClass, streamWeights, withEngine } from './gpt.ts';
import { GPT1 } from './gpt1.ts';
import { GPT2 } from './gpt2.ts';
import { ParameterBlock } from './parameter-block.ts';

const CLASSES = { gpt2: GPT2, 'openai-gpt': GPT1 };

/**
 * Loads the weights of a Hugging Face folder (config.json and model.safetensors, also sharded; F32, F16 or BF16).
 * Besides the model itself at most 4 MiB are in use while it streams.
 * @param source path, URL, Directory or the files of a browser's picker
 * @returns a GPT2 or GPT1, as `model_type` says
 * @throws CheckpointError or ConfigError naming file, field or tensor; MemoryError when 4 GiB do not hold it
 */
export async function loadGPT(
  source: string | URL | Directory | Iterable<File>,
  options: EngineOptions = {},
): Promise<GPT> {
  const directory = await openDirectory(source);
  const { family, config } = parseConfig(await directory.readText('config.json'), `${directory.name}/config.json`);
  const type: GPTClass<GPT> = CLASSES[family];
  const weights = await openWeights(directory);
  try {
    return await withEngine(options, async (engine) => {
      const block = await ParameterBlock.allocate(engine, type.parameters(config));
      await streamWeights(block, weights, modelTensors(family, config));
      return new type(config, engine, block);
    });
  } finally {
    await weights.close();
  }
}

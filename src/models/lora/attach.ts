/** Putting adapters on a model: new ones, or those of a folder. */

import { type Directory, openDirectory } from '../../files/index.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  type LoraOptions,
  layerOfLoraTensor,
  openSafetensors,
  parseLoraConfig,
  targetLayers,
} from '../../formats/index.ts';
import type { CausalLM } from '../model.ts';
import { checkSeed } from '../weights/initialize.ts';
import { linearLayers, resolveLora } from './adapters.ts';
import { LoraModel } from './lora-model.ts';

/** Adapters: what they are, and what draws A. */
export interface AddLoraOptions extends LoraOptions {
  /** Draws A, 0…2^53 − 1. Default 0. */
  readonly seed?: number | undefined;
}

/**
 * Puts new adapters on a model, whose own weights stay as they are: a Trainer changes the adapters alone. Until then the
 * model computes what it did: A starts from a normal distribution of PEFT's standard deviation, 1 / √(3 · inputs), B from 0.
 *
 * @param model - A causal language model, loaded with any dtype. The LoraModel owns it from now on, and disposes it.
 * @param options - `rank` (1…4096, default 8), `alpha` (above 0, default as rank; the addition is scaled by alpha / rank),
 * `dropout` (0 ≤ p < 1, default 0), `targetModules` (of `c_attn`, `c_proj`, `c_fc`, or longer ends of names such as `attn.c_proj`;
 * default those of the family, such as `['c_attn']`), `useRslora` (scale by alpha / √rank, default false), `baseModel` (path or name
 * of the base model, for PEFT), `seed` (0…2^53 − 1, default 0).
 * @returns The model with adapters that change nothing yet.
 * @throws {ConfigError} For an option out of its range, a target that is no linear layer, or a model that has adapters.
 * @throws {MemoryError} When the adapters do not fit beside the model.
 * @example
 * ```ts
 * const lora = await addLora(await loadCausalLM('./gpt2', { dtype: 'q8' }), { rank: 8, alpha: 16 });
 * for await (const { loss } of new Trainer(causalLanguageModel(lora), data).run()) console.log(loss);
 * await lora.save('./adapter');
 * ```
 */
export async function addLora(model: CausalLM, { seed = 0, ...options }: AddLoraOptions = {}): Promise<LoraModel> {
  checkSeed(seed, 'addLora');
  const { lora, layers } = resolveLora(model, options, 'addLora');
  const adapted = await LoraModel.allocate(model, lora, layers);
  await adapted.initialize(seed);
  return adapted;
}

/**
 * Puts the adapters of a folder on a model: adapter_config.json and adapter_model.safetensors (F32, F16 or BF16), as
 * `LoraModel.save` and PEFT write them.
 *
 * @param model - The model that they were trained on, with any dtype. The LoraModel owns it from now on.
 * @param source - Path, URL, Directory or the files of a browser's picker.
 * @returns The model with the adapters.
 * @throws {ConfigError} When the adapters are of a kind that is not supported, naming the field.
 * @throws {CheckpointError} When a file is missing or damaged, or the adapters are those of another model.
 * @example
 * ```ts
 * const lora = await loadLora(await loadCausalLM('./gpt2'), './adapter');
 * ```
 */
export async function loadLora(model: CausalLM, source: string | URL | Directory | Iterable<File>): Promise<LoraModel> {
  const directory = await openDirectory(source);
  const file = `${directory.name}/${ADAPTER_CONFIG}`;
  const { config, isPattern } = parseLoraConfig(await directory.readText(ADAPTER_CONFIG), file);
  const weights = await openSafetensors(directory, ADAPTER_WEIGHTS);
  try {
    const known = linearLayers(model);
    const adapted = new Set(weights.names.map(layerOfLoraTensor));
    const layers = isPattern
      ? known.filter((layer) => adapted.has(layer))
      : targetLayers(config, known, file, () => 'target_modules');
    const lora = await LoraModel.allocate(model, isPattern ? { ...config, targetModules: layers } : config, layers);
    try {
      await lora.stream(weights);
      return lora;
    } catch (error) {
      lora.unload();
      throw error;
    }
  } finally {
    await weights.close();
  }
}

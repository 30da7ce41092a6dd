/** Models of new weights. */

import { ConfigError } from '../errors.ts';
import { checkNames, checkOptions, definedOptions } from '../formats/config/options.ts';
import { type EngineOptions, withEngine } from '../runtime/engine.ts';
import type { Family, ModelConfig, Options } from './family.ts';
import type { Head } from './heads/head.ts';
import { buildLayers, Model } from './model.ts';
import { type ConfigOf, type FamilyName, familyEntries, familyNameOf, type HeadOf, type SizeOf } from './registry.ts';
import { checkSeed, initialize } from './weights/initialize.ts';
import { ParameterBlock } from './weights/parameter-block.ts';

/** What draws a new model's weights and what runs it. */
export interface CreateOptions extends EngineOptions {
  /** Draws the weights, 0…2^53 − 1. Default 0. */
  seed?: number | undefined;
}

/** Options of `createModel`: those of the configuration, a published size, what draws the weights, and what runs the model. */
export type CreateModelOptions<N extends FamilyName> = Options<ConfigOf<N>> &
  CreateOptions & { size?: SizeOf<N> | undefined };

/**
 * Makes a model of new weights.
 * @param name the family: `gpt2`, `gpt1`
 * @param options any of the family's configuration (defaults: its published model, dropout 0.1), or `size` for a published one;
 * `seed` (0…2^53 − 1, default 0) draws the weights; `threads` and `precision` as for `loadModel`
 * @returns the model; dispose it when done
 * @throws ConfigError for an option out of range; MemoryError when 4 GiB do not hold the weights
 * @example
 * const model = await createModel('gpt2', { nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 256, seed: 1 });
 */
export function createModel<N extends FamilyName>(
  name: N,
  options?: CreateModelOptions<N>,
): Promise<Model<HeadOf<N>, ConfigOf<N>>>;
export async function createModel(
  name: string,
  { size, seed, threads, precision, ...options }: CreateOptions & { size?: string | undefined } = {},
): Promise<Model> {
  const family = await loadFamily(name);
  const given = { ...sizeOptions(name, size, 'createModel'), ...definedOptions(options) };
  return createModelOf(family, given, { seed, threads, precision });
}

/**
 * Makes a model of new weights, as `createModel`, of a family object.
 * @param family the family, which need not be registered
 * @param options any of its configuration; the others take their defaults
 * @param createOptions `seed` (0…2^53 − 1, default 0), `threads`, `precision`
 * @returns the model; dispose it when done
 * @throws ConfigError for an option out of range; MemoryError when 4 GiB do not hold the weights
 * @example
 * import { createModelOf } from 'lanewise/family';
 * const model = await createModelOf(family, { vocabSize: 256 }, { seed: 1, precision: 'exact' });
 */
export async function createModelOf<C extends ModelConfig, H extends Head>(
  family: Family<C, H>,
  options: Options<C>,
  createOptions: CreateOptions = {},
): Promise<Model<H, C>> {
  return createOf(family, completeConfig(family, options, 'createModel'), createOptions);
}

/** A model of a complete configuration and new weights. */
export async function createOf<C extends ModelConfig, H extends Head>(
  family: Family<C, H>,
  config: C,
  { seed = 0, ...options }: CreateOptions,
): Promise<Model<H, C>> {
  checkSeed(seed, 'createModel');
  return withEngine(options, 'full', async (engine) => {
    const { parts, declared } = buildLayers(family, config);
    const block = await ParameterBlock.allocate(engine, declared);
    await initialize(engine, block, seed);
    return new Model(parts, engine, block);
  });
}

/** @throws ConfigError for a name that no family has */
export async function loadFamily(name: string): Promise<Family> {
  const families = familyEntries();
  const entry = families.get(name);
  if (!entry) {
    const meant = familyNameOf(name);
    throw new ConfigError(
      `createModel: expected one of the families ${[...families.keys()].join(', ')}, got ${JSON.stringify(name)}. ${meant ? `Its name here is ${meant}.` : 'Check the spelling.'}`,
    );
  }
  return entry.load();
}

/**
 * The options of a named size; none without a name.
 * @throws ConfigError for a name that there is not
 */
export function sizeOptions(family: string, size: string | undefined, where: string, option = 'size'): object {
  if (size === undefined) return {};
  const { sizes } = familyEntries().get(family)!;
  if (Object.hasOwn(sizes, size)) return sizes[size]!;
  throw new ConfigError(
    `${where}: expected ${option} to be one of ${Object.keys(sizes).join(', ')} for ${family}, got ${JSON.stringify(size)}.`,
  );
}

/**
 * Completes options with the family's defaults and checks them.
 * @param options any of the family's configuration; unknown names are refused, since a misspelt one would be ignored.
 * @param where what the message names.
 * @returns the complete configuration, frozen.
 * @throws ConfigError naming the option, its range and its value.
 */
export function completeConfig<C extends ModelConfig>(family: Family<C>, options: Options<C>, where: string): C {
  checkNames(family.rules, options, where);
  return checkOptions(family.rules, family.complete(definedOptions<C>(options)), where);
}

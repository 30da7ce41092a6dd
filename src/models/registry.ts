/**
 * The one list of model families. Each is loaded when the first model of it is made or read.
 * Families of other packages are added by `registerFamily`.
 */
import { ConfigError } from '../errors.ts';
import type { ConfigFields } from '../formats/config/fields.ts';
import type { Family, ModelConfig, Options } from './family.ts';
import type { GPTConfig } from './gpt1/options.ts';
import { GPT1_SIZES } from './gpt1/sizes.ts';
import { GPT2_SIZES } from './gpt2/sizes.ts';
import type { Head } from './heads/head.ts';
import type { LanguageModelHead } from './heads/language-model.ts';

/** A family in the registry, before it is loaded. */
export interface FamilyEntry<C extends ModelConfig = ModelConfig, H extends Head = Head> {
  /** `model_type` in config.json. */
  readonly modelType: string;
  /** Options of named sizes. */
  readonly sizes: Readonly<Record<string, Options<C> & Readonly<Record<string, unknown>>>>;
  load(): Promise<Family<C, H>>;
}

/** JSR publishes sources and wants explicit types of all that public types are made from, such as `ConfigOf`. */
const FAMILIES = {
  gpt2: {
    modelType: 'gpt2',
    sizes: GPT2_SIZES,
    load: async (): Promise<Family<GPTConfig, LanguageModelHead>> => (await import('./gpt2/family.ts')).gpt2,
  },
  gpt1: {
    modelType: 'openai-gpt',
    sizes: GPT1_SIZES,
    load: async (): Promise<Family<GPTConfig, LanguageModelHead>> => (await import('./gpt1/family.ts')).gpt1,
  },
} as const;

/** The name of a family of this package, as `createModel` takes it. */
export type FamilyName = keyof typeof FAMILIES;

type Loaded<N extends FamilyName> = Awaited<ReturnType<(typeof FAMILIES)[N]['load']>>;
/** The configuration of a family's models. */
export type ConfigOf<N extends FamilyName> = Loaded<N> extends Family<infer C, infer _H> ? C : never;
/** The head that a family's new models have. */
export type HeadOf<N extends FamilyName> = Loaded<N> extends Family<infer _C, infer H> ? H : never;
/** The names of a family's sizes. */
export type SizeOf<N extends FamilyName> = keyof (typeof FAMILIES)[N]['sizes'] & string;

const registered = new Map<string, FamilyEntry>(Object.entries(FAMILIES));

/** The family of new models by default. */
export const DEFAULT_FAMILY: FamilyName = 'gpt2';
/** The size that a benchmark measures by default. */
export const DEFAULT_SIZE = '124M';
/** A model of that family that is quick to make, with which the results of a machine are checked: 0.2 million parameters. */
export const SMALL_SIZE = 'tiny';

/**
 * Adds a family in this process: `loadModel` then reads its folders. The same entry again does nothing.
 * @param name what messages and benchmarks call it
 * @param entry its `model_type`, its sizes, and how it is loaded
 * @throws ConfigError when another family has the name or the `model_type`, or the entry lacks something
 * @example
 * import { registerFamily } from 'lanewise/family';
 * registerFamily('mine', { modelType: 'my-model', sizes: {}, load: async () => (await import('./mine.js')).mine });
 */
export function registerFamily<C extends ModelConfig, H extends Head>(name: string, entry: FamilyEntry<C, H>): void {
  const refuse = (expected: string, got: string) =>
    new ConfigError(`registerFamily: expected ${expected}, got ${got}. Change the entry or its name.`);
  if (!entry?.modelType || !entry.sizes || typeof entry.load !== 'function')
    throw refuse('modelType, sizes and load', 'an entry without one of them');
  if (registered.get(name) === entry) return;
  if (registered.has(name)) throw refuse('a name of its own', `that of a family, ${JSON.stringify(name)}`);
  const other = familyNameOf(entry.modelType);
  if (other !== undefined)
    throw refuse('a modelType of its own', `that of ${other}, ${JSON.stringify(entry.modelType)}`);
  registered.set(name, entry);
}

/** All families by name. */
export function familyEntries(): ReadonlyMap<string, FamilyEntry> {
  return registered;
}

/** The name of a family, from `model_type`. */
export function familyNameOf(modelType: string): string | undefined {
  return [...registered].find(([, entry]) => entry.modelType === modelType)?.[0];
}

/**
 * The family that a config.json names in `model_type`.
 * @throws ConfigError when there is none of that name
 */
export async function familyOf(fields: ConfigFields): Promise<Family> {
  const modelType = fields.get('model_type');
  for (const entry of registered.values()) if (entry.modelType === modelType) return entry.load();
  const known = [...registered.values()].map((entry) => entry.modelType).sort();
  throw fields.error('model_type', `one of ${known.join(', ')}`, 'Other models are not supported.');
}

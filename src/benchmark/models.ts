/** The models that a benchmark runs: a folder, or one of these sizes with weights drawn from a fixed seed. */
import { type Directory, openDirectory } from '../files/index.ts';
import {
  completeGPTConfig,
  type GPTOptions,
  type ModelFamily,
  type ParsedConfig,
  parseConfig,
} from '../formats/index.ts';
import { blueprint, type GPT, GPT1, GPT1_SIZES, GPT2, GPT2_SIZES, loadGPT } from '../models/index.ts';
import type { EngineOptions } from '../runtime/engine.ts';

/** No dropout, as in the other engines' figures of `bench/RESULTS.md`. */
function sized(family: ModelFamily, size: GPTOptions): ParsedConfig {
  const options = { ...size, embdDropout: 0, attnDropout: 0, residDropout: 0 };
  return { family, config: completeGPTConfig(options, 'benchmark') };
}

/** Published sizes, and two that are quick: 0.2 million parameters, and the 6 layers, 384 wide, that a CPU trains. */
export const BENCHMARK_MODELS = {
  'gpt2-tiny': sized('gpt2', { nLayer: 2, nHead: 2, nEmbd: 64, vocabSize: 256 }),
  'gpt2-10m': sized('gpt2', { nLayer: 6, nHead: 6, nEmbd: 384, vocabSize: 256 }),
  'gpt2-124m': sized('gpt2', GPT2_SIZES['124M']),
  'gpt2-355m': sized('gpt2', GPT2_SIZES['355M']),
  'gpt2-774m': sized('gpt2', GPT2_SIZES['774M']),
  'gpt2-1.5b': sized('gpt2', GPT2_SIZES['1.5B']),
  'gpt1-117m': sized('openai-gpt', GPT1_SIZES['117M']),
} as const;

export type BenchmarkModelName = keyof typeof BENCHMARK_MODELS;

/** Draws the weights of a named size. */
const SEED = 1;

/** A model that is to be measured, not yet in memory. */
export interface Subject extends ParsedConfig {
  /** Of the size, or of the folder. */
  readonly name: string;
  /** Where its weights are; undefined: they are drawn. */
  readonly source: Directory | undefined;
}

export async function subjectOf(model: BenchmarkModelName, source?: string | URL | Directory): Promise<Subject> {
  if (source === undefined) return { name: model, ...BENCHMARK_MODELS[model], source: undefined };
  const directory = await openDirectory(source);
  const { name } = directory;
  const parsed = parseConfig(await directory.readText('config.json'), `${name}/config.json`);
  return { name, ...parsed, source: directory };
}

/** Loads a subject, or draws its weights. */
export function openSubject({ family, config, source }: Subject, options: EngineOptions): Promise<GPT> {
  if (source) return loadGPT(source, options);
  const drawn = { ...config, seed: SEED, ...options };
  return family === 'openai-gpt' ? GPT1.create(drawn) : GPT2.create(drawn);
}

/** How many values a subject trains. */
export function parameterCount({ family, config }: Subject): number {
  const model: GPT = family === 'openai-gpt' ? blueprint(GPT1, config) : blueprint(GPT2, config);
  return model.parameters.count;
}

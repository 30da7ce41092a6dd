/** The models that a benchmark runs: a folder, or one of these sizes with weights drawn from a fixed seed. */
import { type Directory, memoryDirectory, openDirectory } from '../files/index.ts';
import {
  completeGPTConfig,
  type GPTOptions,
  type ModelFamily,
  type ParsedConfig,
  parseConfig,
} from '../formats/index.ts';
import {
  blueprint,
  type Dtype,
  type GPT,
  GPT1,
  GPT1_SIZES,
  GPT2,
  GPT2_SIZES,
  loadGPT,
  ParameterBlock,
} from '../models/index.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import { drawFolder } from './draw.ts';

/** No dropout, as in the other engines' figures of `bench/RESULTS.md`. */
function sized(family: ModelFamily, size: GPTOptions): ParsedConfig {
  const options = { ...size, embdDropout: 0, attnDropout: 0, residDropout: 0 };
  return { family, config: completeGPTConfig(options, 'benchmark') };
}

export type BenchmarkModelName =
  | 'gpt2-tiny'
  | 'gpt2-10m'
  | 'gpt2-124m'
  | 'gpt2-355m'
  | 'gpt2-774m'
  | 'gpt2-1.5b'
  | 'gpt1-117m';

/** Published sizes, and two that are quick: 0.2 million parameters, and the 6 layers, 384 wide, that a CPU trains. */
export const BENCHMARK_MODELS: Readonly<Record<BenchmarkModelName, ParsedConfig>> = {
  'gpt2-tiny': sized('gpt2', { nLayer: 2, nHead: 2, nEmbd: 64, vocabSize: 256 }),
  'gpt2-10m': sized('gpt2', { nLayer: 6, nHead: 6, nEmbd: 384, vocabSize: 256 }),
  'gpt2-124m': sized('gpt2', GPT2_SIZES['124M']),
  'gpt2-355m': sized('gpt2', GPT2_SIZES['355M']),
  'gpt2-774m': sized('gpt2', GPT2_SIZES['774M']),
  'gpt2-1.5b': sized('gpt2', GPT2_SIZES['1.5B']),
  'gpt1-117m': sized('openai-gpt', GPT1_SIZES['117M']),
};

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

/** How a model is opened to be measured. */
export interface SubjectOptions extends EngineOptions {
  /** As for `loadGPT`. */
  readonly dtype?: Dtype | undefined;
}

/**
 * The folder of a subject's weights; those of a size are drawn into `scratch` first.
 * @throws MemoryError when 4 GiB do not hold the weights, before gigabytes of them are drawn
 */
export async function folderOf(
  subject: Subject,
  { dtype = 'f32', threads, precision }: SubjectOptions,
  scratch: Directory = memoryDirectory(),
): Promise<Directory> {
  if (subject.source) return subject.source;
  const engine = await Engine.create({ threads, precision });
  try {
    await ParameterBlock.allocate(
      engine,
      classOf(subject).parameters(subject.config),
      dtype === 'f32' ? 'packed' : dtype,
    );
  } finally {
    engine.dispose();
  }
  await drawFolder(scratch, subject, dtype === 'f32' ? 'F32' : 'F16');
  return scratch;
}

function classOf({ family }: ParsedConfig): typeof GPT1 | typeof GPT2 {
  return family === 'openai-gpt' ? GPT1 : GPT2;
}

/** A subject with weights that can be trained: read, or drawn as those of a new model are. */
export function openTrainable(subject: Subject, options: EngineOptions): Promise<GPT> {
  if (subject.source) return loadGPT(subject.source, { ...options, trainable: true });
  return classOf(subject).create({ ...subject.config, seed: SEED, ...options });
}

/** How many values a subject trains. */
export function parameterCount(subject: Subject): number {
  return blueprint<GPT>(classOf(subject), subject.config).parameters.count;
}

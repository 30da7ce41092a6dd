/** The models that a benchmark runs: a folder, or a named size of a family with weights drawn from a fixed seed. */
import { type Directory, memoryDirectory, openDirectory } from '../files/index.ts';
import {
  asCausalLM,
  blueprint,
  type CausalLM,
  completeConfig,
  createOf,
  DEFAULT_FAMILY,
  DEFAULT_SIZE,
  type Dtype,
  type FamilyName,
  familyEntries,
  loadCausalLM,
  ParameterBlock,
  type ParsedConfig,
  readConfig,
  type SizeOf,
  SMALL_SIZE,
  withDropout,
} from '../models/index.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import { drawFolder } from './draw.ts';

/** A family and one of its sizes: `gpt2-124m`. */
export type BenchmarkModelName = { [N in FamilyName]: `${N}-${Lowercase<SizeOf<N>>}` }[FamilyName];

const nameOf = (family: string, size: string) => `${family}-${size.toLowerCase()}`;

/** What is measured by default. */
export const DEFAULT_MODEL = nameOf(DEFAULT_FAMILY, DEFAULT_SIZE);
/** The model with which the results of a machine are checked. */
export const CHECKED_MODEL = nameOf(DEFAULT_FAMILY, SMALL_SIZE);

/** All sizes of all families, by the names that a benchmark gives them. */
function sizedModels(): Map<string, { family: string; size: string }> {
  const families = [...familyEntries()];
  const all = families.flatMap(([family, { sizes }]) => Object.keys(sizes).map((size) => ({ family, size })));
  return new Map(all.map((model) => [nameOf(model.family, model.size), model]));
}

/** The names of all models of known sizes. */
export function benchmarkModelNames(): string[] {
  return [...sizedModels().keys()];
}

/** Draws the weights of a named size. */
const SEED = 1;

/** A model that is to be measured, not yet in memory. */
export interface Subject extends ParsedConfig {
  /** Of the size, or of the folder. */
  readonly name: string;
  /** Where its weights are; undefined: they are drawn. */
  readonly source: Directory | undefined;
}

export async function subjectOf(model: string, source?: string | URL | Directory): Promise<Subject> {
  if (source === undefined) return sizedSubject(model);
  const directory = await openDirectory(source);
  return { name: directory.name, ...(await readConfig(directory)), source: directory };
}

/** Without dropout, as in the other engines' figures of `bench/RESULTS.md`. */
async function sizedSubject(name: string): Promise<Subject> {
  const model = sizedModels().get(name)!; // options.ts has checked it
  const { load, sizes } = familyEntries().get(model.family)!;
  const family = await load();
  const config = completeConfig(family, sizes[model.size]!, 'benchmark');
  return { name, family, config: withDropout(family, config, 0, 'benchmark'), source: undefined };
}

/** How a model is opened to be measured. */
export interface SubjectOptions extends EngineOptions {
  /** As for `loadCausalLM`. */
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
  const { parameters } = blueprint(subject.family, subject.config);
  const engine = await Engine.create({ threads, precision });
  try {
    await ParameterBlock.allocate(engine, parameters.list, dtype === 'f32' ? 'packed' : dtype);
  } finally {
    engine.dispose();
  }
  await drawFolder(scratch, subject, dtype === 'f32' ? 'F32' : 'F16');
  return scratch;
}

/** A subject with weights that can be trained: read, or drawn as those of a new model are. */
export async function openTrainable(subject: Subject, options: EngineOptions): Promise<CausalLM> {
  const { source, family, config, name } = subject;
  if (source) return loadCausalLM(source, { ...options, trainable: true });
  return asCausalLM(await createOf(family, config, { seed: SEED, ...options }), name);
}

/** How many values a subject trains. */
export function parameterCount({ family, config }: Subject): number {
  return blueprint(family, config).parameters.count;
}

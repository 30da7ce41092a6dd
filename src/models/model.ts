/**
 * A model: an engine with parameters in it, the body that makes hidden states of token ids, and the head that reads them. It can
 * be saved, restored and summarized whatever its task; what runs it (inference/, objectives/, evaluation/) takes models with the head that it needs.
 * Models know token ids, never text.
 */
import { ConfigError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { Graph, type ParameterBlocks } from '../graph/graph.ts';
import type { ParameterSpec, ParameterTable } from '../graph/parameters.ts';
import type { Region } from '../graph/tensor.ts';
import { Scope } from '../nn/scope.ts';
import type { Engine } from '../runtime/engine.ts';
import { type Dtype, dtypeOf } from './dtype.ts';
import type { Body, Family, ModelConfig } from './family.ts';
import type { Head } from './heads/head.ts';
import { LanguageModelHead } from './heads/language-model.ts';
import type { SaveOptions } from './save.ts';
import { formatSummary } from './summary.ts';
import { ParameterBlock } from './weights/parameter-block.ts';

/** A causal language model: it predicts the next token of a sequence. */
export type CausalLM = Model<LanguageModelHead>;

/** Whether a model predicts the next token of a sequence. */
export function isCausalLM(model: Model): model is CausalLM {
  return model.head instanceof LanguageModelHead;
}

/**
 * A model that must be a causal language model.
 * @throws ConfigError for a model with another head, which is disposed
 */
export function asCausalLM(model: Model, where: string): CausalLM {
  if (isCausalLM(model)) return model;
  model.dispose();
  const { head, family } = model;
  throw new ConfigError(
    `${where}: expected a causal language model, got a ${head.kind} model of ${family.modelType}. Choose another model.`,
  );
}

/** What a model is made of, beside engine and parameters. */
export interface ModelParts<C extends ModelConfig, H extends Head> {
  readonly family: Family<C, H>;
  readonly config: C;
  readonly body: Body;
  readonly head: H;
}

/** A model in memory: the parameters of a body and a head, and the engine that runs them. */
export class Model<H extends Head = Head, C extends ModelConfig = ModelConfig> {
  /** The family: how its files are read and written. */
  readonly family: Family<C, H>;
  /** The options of the model. */
  readonly config: C;
  /** What turns token ids into hidden states. */
  readonly body: Body;
  /** What reads the hidden states. */
  readonly head: H;
  readonly #engine: Engine | undefined;
  readonly #block: ParameterBlock;

  /** @internal Use `createModel`, `loadCausalLM`, `loadModel`, or `blueprint` for a model without memory. */
  constructor({ family, config, body, head }: ModelParts<C, H>, engine: Engine | undefined, block: ParameterBlock) {
    this.family = family;
    this.config = config;
    this.body = body;
    this.head = head;
    this.#engine = engine;
    this.#block = block;
  }

  /** The memory and threads of this model. */
  get engine(): Engine {
    return this.#block.engine;
  }

  /** Names, shapes and places of all parameters. */
  get parameters(): ParameterTable {
    return this.#block.table;
  }

  /** The block of all weights. */
  get weights(): Region {
    return this.#block.region;
  }

  /** How the weights of products lie in memory. */
  get dtype(): Dtype {
    return dtypeOf(this.parameters.encoding);
  }

  /** Whether training can change the weights: they are f32 in the order of files, not packed for inference. */
  get trainable(): boolean {
    return this.parameters.encoding === 'f32';
  }

  /** What graphs of this model read: a Graph, or a TrainingGraph. */
  get blocks(): ParameterBlocks {
    return { table: this.parameters, weights: this.weights };
  }

  /** An empty graph over this model's weights. */
  graph(): Graph {
    return new Graph(this.blocks);
  }

  /**
   * Copies one parameter's values.
   * @param name a name of `parameters`, such as `transformer.wte.weight`
   * @returns the values in row-major order of the parameter's shape
   * @throws ConfigError when the name is unknown
   */
  async readParameter(name: string): Promise<Float32Array> {
    return (await parameterValues()).readValues(this.#block, name);
  }

  /**
   * Replaces one parameter's values.
   * @param name a name of `parameters`
   * @param values in row-major order of the parameter's shape
   * @throws ConfigError when the name is unknown or the number of values differs; CheckpointError for values that the
   * model's dtype has no place for
   */
  async writeParameter(name: string, values: Float32Array): Promise<void> {
    return (await parameterValues()).writeValues(this.#block, name, values);
  }

  /** CRC-32 of all weights as they lie in memory: another for other weights, and for another dtype. */
  async checksum(): Promise<number> {
    return (await parameterValues()).checksumOf(this.#block);
  }

  /**
   * What a run of training depends on beside `config`, as a checkpoint notes it: nothing here. A model with frozen weights identifies
   * them.
   * @returns names and values, which must be equal when a checkpoint is resumed
   */
  async identity(): Promise<Readonly<Record<string, string | number | boolean>>> {
    return {};
  }

  /** A table of layers, shapes, parameters and bytes, as Keras prints it. */
  summary(): string {
    return formatSummary(this);
  }

  /**
   * Saves a folder that `loadModel` and Hugging Face transformers read: config.json, model.safetensors (or shards), and tokenizer.json
   * when a tokenizer is given.
   * @param target path, URL or Directory
   * @param options `tokenizer`, and how large files may be
   * @throws StorageError when the folder has no room
   */
  async save(target: string | URL | Directory, options: SaveOptions = {}): Promise<void> {
    const directory = await openDirectory(target);
    const { saveModel } = await import('./save.ts');
    await saveModel(directory, this, this.#block, options);
  }

  /**
   * Replaces all weights by those of a folder of the same shape.
   * @param source path, URL or Directory
   * @throws CheckpointError when names or shapes differ; the weights are then as before
   */
  async restore(source: string | URL | Directory): Promise<void> {
    const directory = await openDirectory(source);
    await (await parameterValues()).restore(this.#block, directory, this.family.names);
  }

  /** Gives all memory and threads back. Calls after it throw DisposedError; disposing again does nothing. */
  dispose(): void {
    this.#engine?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What reads and replaces parameters, which programs that only generate text do not need. */
const parameterValues = () => import('./weights/parameter-values.ts');

/** Builds the layers of a configuration; `declared` are their parameters. */
export function buildLayers<C extends ModelConfig, H extends Head>(
  family: Family<C, H>,
  config: C,
): { parts: ModelParts<C, H>; declared: readonly ParameterSpec[] } {
  const scope = new Scope();
  return { parts: { family, config, ...family.build(scope, config) }, declared: scope.declared };
}

/** A model that has shapes and no memory: for its summary, and to compute what it would need. */
export function blueprint<C extends ModelConfig, H extends Head>(
  family: Family<C, H>,
  config: C,
  encoding: ParameterTable['encoding'] = 'f32',
): Model<H, C> {
  const { parts, declared } = buildLayers(family, config);
  return new Model(parts, undefined, ParameterBlock.blueprint(declared, encoding));
}

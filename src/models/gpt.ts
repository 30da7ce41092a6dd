/**
 * What GPT-1 and GPT-2 share: an engine with the parameters in it, saving, and the programs that run the model:
 * a loss over fixed batches for training and scoring, and cached inference for generation.
 * Models know token ids, never text.
 */
import { type Directory, openDirectory } from '../files/index.ts';
import { type GPTConfig, type ModelFamily, matchTensors, type Quantization, type Weights } from '../formats/index.ts';
import type { Encoding } from '../graph/encoding.ts';
import { Graph, type ParameterBlocks } from '../graph/graph.ts';
import type { ParameterSpec, ParameterTable } from '../graph/parameters.ts';
import type { Region, Tensor } from '../graph/tensor.ts';
import type { RowInputs } from '../nn/rows.ts';
import type { Kernels } from '../runtime/backend.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import { ParameterBlock, tensorsInFile } from './parameter-block.ts';
import type { SaveOptions } from './save.ts';
import { formatSummary } from './summary.ts';

/** A class of models: what `create` and `load` need to know before there is an instance. */
export interface GPTClass<M extends GPT> {
  new (config: GPTConfig, engine: Engine | undefined, block: ParameterBlock): M;
  parameters(config: GPTConfig): ParameterSpec[];
}

export abstract class GPT {
  readonly config: GPTConfig;
  readonly #engine: Engine | undefined;
  readonly #block: ParameterBlock;

  /** The family's name in config.json. */
  abstract readonly family: ModelFamily;
  /** The parameter [V, C] that is both token embedding and output layer. */
  abstract readonly headTable: string;

  /** @internal Use `GPT2.create`, `GPT1.create`, `loadModel`, or `blueprint` for a model without memory. */
  constructor(config: GPTConfig, engine: Engine | undefined, block: ParameterBlock) {
    this.config = config;
    this.#engine = engine;
    this.#block = block;
  }

  /** The memory and threads of this model. */
  get engine(): Engine {
    return this.#block.engine;
  }

  /**
   * Records the forward pass.
   * @returns nLayer + 1 tensors [rows, C]: the embeddings, then the output of each block (the last one as the output
   * layer reads it), as transformers' `hidden_states`
   */
  abstract forward(graph: Graph, inputs: RowInputs): Tensor[];

  /**
   * Records what stands between a block and the output layer, so that what the model would say after that block can be
   * read: GPT-2's last layer norm, nothing in GPT-1. The last state of `forward` went through it already.
   */
  abstract beforeHead(graph: Graph, state: Tensor): Tensor;

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
    const { encoding } = this.parameters;
    return encoding === 'packed' ? 'f32' : encoding;
  }

  /** Whether training can change the weights: they are f32 in the order of files, not in panels for inference. */
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

  /** A copy of one parameter's values, in row-major order of its shape. */
  async readParameter(name: string): Promise<Float32Array> {
    return (await parameterValues()).readValues(this.#block, name);
  }

  /**
   * Replaces one parameter's values.
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

  /** A table of layers, shapes, parameters and bytes, as Keras prints it. */
  summary(): string {
    return formatSummary(this.family, this.config, this.parameters, this.headTable);
  }

  /**
   * Saves a folder that `loadModel` and Hugging Face transformers read: config.json, model.safetensors
   * (or shards), and tokenizer.json when a tokenizer is given.
   * @param target path, URL or Directory
   */
  async save(target: string | URL | Directory, options: SaveOptions = {}): Promise<void> {
    const directory = await openDirectory(target);
    const { saveGPT } = await import('./save.ts'); // which programs that only write text never need
    await saveGPT(directory, this, this.#block, options);
  }

  /**
   * Replaces all weights by those of a folder of the same shape.
   * @throws CheckpointError when names or shapes differ; the weights are then as before
   */
  async restore(source: string | URL | Directory): Promise<void> {
    const directory = await openDirectory(source);
    await (await parameterValues()).restore(this.#block, directory);
  }

  /** Gives all memory and threads back. Calls after it throw DisposedError; disposing again does nothing. */
  dispose(): void {
    this.#engine?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What reads and replaces parameters, which programs that only write text never need. */
const parameterValues = () => import('./parameter-values.ts');

/** How the weights of products lie in memory; everything else is f32. */
export type Dtype = Exclude<Encoding, 'packed'>;

export interface CreateOptions extends EngineOptions {
  /** Draws the weights, 0…2^53 − 1. Default 0. */
  seed?: number | undefined;
}

/** A model that has shapes and no memory: for its summary, and to compute what it would need. */
export function blueprint<M extends GPT>(type: GPTClass<M>, config: GPTConfig, encoding: Encoding = 'f32'): M {
  return new type(config, undefined, ParameterBlock.blueprint(type.parameters(config), encoding));
}

/** Which products read a parameter, by its name: GPT-1 and GPT-2 call their layers alike. */
export function productOf(name: string, headTable: string): Pick<ParameterSpec, 'product'> {
  if (name === headTable) return { product: 'out-in' };
  return /\.c_(attn|proj|fc)\.weight$/.test(name) ? { product: 'in-out' } : {};
}

/**
 * Reads a model's tensors from files into its block: side by side where files hold them as memory does and the host can, else one
 * after the other, in the order of the files.
 * @param quantization of the files; the block then has the same encoding
 */
export async function streamWeights(
  block: ParameterBlock,
  weights: Weights,
  quantization: Quantization | undefined,
): Promise<void> {
  const wanted = quantization ? tensorsInFile(block.table) : block.table.list;
  const found =
    matchTensors(weights, wanted) ?? (await import('../formats/check-tensors.ts')).checkTensors(weights, wanted).found;
  const order = new Map(weights.names.map((name, index) => [name, index]));
  const inFileOrder = [...found].sort((a, b) => order.get(a[1])! - order.get(b[1])!);
  const stored = quantization !== undefined;
  const places = inFileOrder.map(([name, nameInFile]) => {
    return [nameInFile, block.place(name, weights.info(nameInFile).dtype, stored)] as const;
  });
  // A place is empty when the memory has grown meanwhile.
  if (places.every(isGiven) && (await weights.readAll(places)) && places.every(([, { length }]) => length > 0)) return;
  for (const [name, nameInFile] of inFileOrder) await block.load(name, weights, nameInFile, stored);
}

function isGiven<T>(entry: readonly [string, T | undefined]): entry is readonly [string, T] {
  return entry[1] !== undefined;
}

/** Starts an engine for `build`, and disposes it again when `build` fails. */
export async function withEngine<T>(
  options: EngineOptions,
  kernels: Kernels,
  build: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await Engine.create(options, kernels);
  try {
    return await build(engine);
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

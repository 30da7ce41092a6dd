/**
 * LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): a model whose weights are frozen, in any
 * dtype, and whose linear layers get additions of low rank, which alone are trained:  y = x · W + b + scale · (x · Aᵀ) · Bᵀ
 *
 * Two blocks: the base model's, and that of the adapters. Graphs read both (`ParameterBlocks.frozen`); gradients, moments and
 * checkpoints belong to the second, so that a trainer sees a small model. Folders are PEFT's (formats/config/lora.ts).
 */

import * as op from '../abi/index.ts';
import { CheckpointError, ConfigError, DisposedError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import {
  checkTensors,
  completeLoraConfig,
  formatLoraConfig,
  type LoraConfig,
  type LoraOptions,
  layerOfLoraTensor,
  loraNames,
  loraScale,
  loraTensors,
  openSafetensors,
  parseLoraConfig,
  targetLayers,
  type Weights,
  writeSafetensors,
} from '../formats/index.ts';
import type { AdaptedLayer, Graph, ParameterBlocks } from '../graph/graph.ts';
import { scale } from '../graph/ops/elementwise.ts';
import { adaptedLinear } from '../graph/ops/low-rank.ts';
import { recordGemm } from '../graph/ops/matmul.ts';
import { type ParameterSpec, productSize } from '../graph/parameters.ts';
import { Plan } from '../graph/plan.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop } from '../nn/layers.ts';
import type { RowInputs } from '../nn/rows.ts';
import type { Engine } from '../runtime/engine.ts';
import { initialize } from './create.ts';
import { type Dtype, GPT } from './gpt.ts';
import { isStored, ParameterBlock } from './parameter-block.ts';
import type { SaveOptions } from './save.ts';
import { formatSummary } from './summary.ts';
import { entryOf } from './tensor-entry.ts';

/** PEFT's names. */
export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/** Adapters: what they are, and what draws A. */
export interface AddLoraOptions extends LoraOptions {
  /** Draws A, 0…2^53 − 1. Default 0. */
  readonly seed?: number | undefined;
}

/**
 * Puts new adapters on a model, whose own weights stay as they are: a Trainer changes the adapters alone. Until then the
 * model computes what it did: A starts from a normal distribution of PEFT's standard deviation, 1 / √(3 · inputs), B from 0.
 *
 * @param model - Any GPT, loaded with any dtype. It belongs to the LoraModel from now on, which disposes it.
 * @param options - `rank` (1…4096, default 8), `alpha` (above 0, default as rank; the addition is scaled by alpha / rank),
 * `dropout` (0 ≤ p < 1, default 0), `targetModules` (of `c_attn`, `c_proj`, `c_fc`, or longer ends of names such as `attn.c_proj`;
 * default `['c_attn']`), `useRslora` (scale by alpha / √rank, default false), `baseModel` (what PEFT is to load as the base),
 * `seed` (0…2^53 − 1, default 0).
 * @throws {ConfigError} For an option out of its range, a target that is no linear layer, or a model that has adapters.
 * @throws {MemoryError} When the adapters do not fit beside the model.
 * @example
 * ```ts
 * const lora = await addLora(await loadGPT('./gpt2', { dtype: 'q8' }), { rank: 8, alpha: 16 });
 * for await (const { loss } of new Trainer(lora, data, { learningRate: 1e-3 }).run()) console.log(loss);
 * await lora.save('./adapter');
 * ```
 */
export async function addLora(model: GPT, { seed = 0, ...options }: AddLoraOptions = {}): Promise<LoraModel> {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ConfigError(`addLora: expected seed to be a whole number from 0 to 2^53 − 1, got ${seed}.`);
  const config = completeLoraConfig(options, 'addLora');
  const lora = await LoraModel.allocate(model, config, targetLayers(config, linearLayers(model), 'addLora'));
  await lora.initialize(seed);
  return lora;
}

/**
 * Puts the adapters of a folder on a model: adapter_config.json and adapter_model.safetensors (F32, F16 or BF16), as
 * `LoraModel.save` and PEFT write them.
 *
 * @param model - The model that they were trained on, with any dtype. It belongs to the LoraModel from now on.
 * @param source - Path, URL, Directory or the files of a browser's picker.
 * @throws {ConfigError} When the adapters are of a kind that is not supported, naming the field.
 * @throws {CheckpointError} When a file is missing or damaged, or the adapters are those of another model.
 * @example
 * ```ts
 * const lora = await loadLora(await loadGPT('./gpt2'), './adapter');
 * ```
 */
export async function loadLora(model: GPT, source: string | URL | Directory | Iterable<File>): Promise<LoraModel> {
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

/** The layers of a model that can be adapted, in the order of the forward pass. */
function linearLayers(model: GPT): string[] {
  if (model instanceof LoraModel)
    throw new ConfigError(
      'lora: expected a model without adapters, got one that has them. Merge or unload them first.',
    );
  const isLinear = ({ product, name }: ParameterSpec) => product === 'in-out' && name.endsWith('.weight');
  return model.parameters.list.filter(isLinear).map(({ name }) => name.slice(0, -'.weight'.length));
}

/** What is added to a linear layer: scale · (x · Aᵀ) · Bᵀ (graph/ops/low-rank.ts). */
interface Adapter {
  /** Names of the parameters A [rank, in] and B [out, rank]. */
  readonly a: string;
  readonly b: string;
  readonly scale: number;
  /** Share of x that is set to 0 in training. */
  readonly dropout: number;
}

function adaptedLayer({ a, b, scale, dropout: p }: Adapter): AdaptedLayer {
  return (graph, name, x, weight, bias, dropout) => {
    const input = drop(graph, `${name} adapter dropout`, x, p, { dropout });
    return adaptedLinear(graph, name, x, weight, bias, { input, a: graph.parameter(a), b: graph.parameter(b), scale });
  };
}

/** The adapters of layers as parameters; B is 0, so that nothing is added at first. */
function loraParameters(base: GPT, { rank }: LoraConfig, layers: readonly string[]): ParameterSpec[] {
  return layers.flatMap((layer) => {
    const { inputs, outputs } = productSize(base.parameters.get(`${layer}.weight`));
    const [a, b] = loraTensors(layer, rank, inputs, outputs) as [ParameterSpec, ParameterSpec];
    return [
      { ...a, init: { kind: 'normal', std: 1 / Math.sqrt(3 * inputs) } },
      { ...b, init: { kind: 'constant', value: 0 } },
    ];
  });
}

/**
 * A GPT with adapters: it trains, generates and scores like any other, and `parameters`, `readParameter`, `save` and `restore` are
 * about the adapters. Made by `addLora` and `loadLora`.
 */
export class LoraModel extends GPT {
  override readonly family: GPT['family'];
  override readonly headTable: string;
  /** The model that is adapted. On its own it computes what it did without adapters. */
  readonly base: GPT;
  readonly lora: LoraConfig;
  readonly #block: ParameterBlock;
  readonly #adapters: ReadonlyMap<string, Adapter>;
  /** Where the base model went; undefined while it belongs to this one. */
  #gone: 'merge' | 'unload' | undefined;
  #checksum: Promise<number> | undefined;

  private constructor(
    base: GPT,
    lora: LoraConfig,
    layers: readonly string[],
    engine: Engine | undefined,
    block: ParameterBlock,
  ) {
    super(base.config, engine, block);
    this.family = base.family;
    this.headTable = base.headTable;
    this.base = base;
    this.lora = lora;
    this.#block = block;
    const [scale, { dropout }] = [loraScale(lora), lora];
    this.#adapters = new Map(layers.map((layer) => [layer, { ...loraNames(layer), scale, dropout }]));
  }

  /** @internal Adapters whose values are about to be written. */
  static async allocate(base: GPT, lora: LoraConfig, layers: readonly string[]): Promise<LoraModel> {
    const block = await ParameterBlock.allocate(base.engine, loraParameters(base, lora, layers));
    return new LoraModel(base, lora, layers, base.engine, block);
  }

  /**
   * @internal A model without memory: to check options, and to compute what it would need.
   * @param where, nameOption what messages call the place and an option
   */
  static blueprint(
    base: GPT,
    options: LoraOptions = {},
    where = 'lora',
    nameOption: (option: keyof LoraConfig) => string = (option) => option,
  ): LoraModel {
    const lora = completeLoraConfig(options, where, nameOption);
    const layers = targetLayers(lora, linearLayers(base), where, nameOption);
    return new LoraModel(base, lora, layers, undefined, ParameterBlock.blueprint(loraParameters(base, lora, layers)));
  }

  /** @internal */
  initialize(seed: number): Promise<void> {
    return initialize(this.engine, this.#block, seed);
  }

  override get dtype(): Dtype {
    return this.base.dtype;
  }

  override get blocks(): ParameterBlocks {
    if (this.#gone)
      throw new DisposedError(
        `lora: expected adapters on a model, got those that ${this.#gone} has taken off. Use the model that ${this.#gone} returned.`,
      );
    const { parameters: table, weights, base } = this;
    const frozen = { table: base.parameters, weights: base.weights };
    const adapters = new Map([...this.#adapters].map(([layer, adapter]) => [layer, adaptedLayer(adapter)]));
    return { table, weights, frozen, adapters };
  }

  override beforeHead(graph: Graph, state: Tensor): Tensor {
    return this.base.beforeHead(graph, state);
  }

  override forward(graph: Graph, inputs: RowInputs): Tensor[] {
    return this.base.forward(graph, inputs);
  }

  override summary(): string {
    return formatSummary(this.family, this.config, this.base.parameters, this.headTable, this.parameters);
  }

  /**
   * What a checkpoint of the adapters belongs to, beside the shape of the model: their options, and the weights of the base.
   * It reads all of these once, which takes about a second for each GiB.
   */
  async identity(): Promise<Readonly<Record<string, string | number | boolean>>> {
    const { rank, alpha, dropout, targetModules, useRslora } = this.lora;
    this.#checksum ??= this.base.checksum();
    const base = `${this.dtype}, crc32 ${(await this.#checksum).toString(16).padStart(8, '0')}`;
    return { rank, alpha, dropout, targetModules: targetModules.join(), useRslora, base };
  }

  /**
   * Saves the adapters as a folder that `loadLora` and PEFT read: adapter_config.json, adapter_model.safetensors, and
   * tokenizer.json when a tokenizer is given. The base model is not in it.
   * @param target path, URL or Directory
   */
  override async save(target: string | URL | Directory, { tokenizer, metadata }: SaveOptions = {}): Promise<void> {
    const directory = await openDirectory(target);
    const entries = this.parameters.list.map((parameter) => entryOf(this.#block, parameter));
    await writeSafetensors(directory, ADAPTER_WEIGHTS, entries, metadata);
    await directory.write(ADAPTER_CONFIG, formatLoraConfig(this.lora));
    if (tokenizer) await directory.write('tokenizer.json', `${JSON.stringify(tokenizer.toJSON(), null, 2)}\n`);
  }

  /**
   * Replaces the adapters' values by those of a folder.
   * @throws CheckpointError when layers, shapes or scale differ; the values are then as before
   */
  override async restore(source: string | URL | Directory): Promise<void> {
    const directory = await openDirectory(source);
    const file = `${directory.name}/${ADAPTER_CONFIG}`;
    const { config } = parseLoraConfig(await directory.readText(ADAPTER_CONFIG), file);
    const [expected, found] = [loraScale(this.lora), loraScale(config)];
    if (found !== expected)
      throw new CheckpointError(
        `${file}: expected adapters of scale ${expected}, got ${found}. Load them with loadLora.`,
        {
          file,
        },
      );
    const weights = await openSafetensors(directory, ADAPTER_WEIGHTS);
    try {
      await this.stream(weights);
    } finally {
      await weights.close();
    }
  }

  /** @internal Reads all adapters from an open file. */
  async stream(weights: Weights): Promise<void> {
    const { found, unexpected } = checkTensors(weights, this.parameters.list);
    const [other] = unexpected;
    if (other !== undefined) {
      const { file } = weights.info(other);
      const layers = [...this.#adapters.keys()];
      throw new CheckpointError(
        `${file}: expected adapters of ${layers.length} layers from ${layers[0]} to ${layers.at(-1)} alone, got ${JSON.stringify(other)} too. Load them with the model they were trained on; trained layers of other kinds are not supported.`,
        { file },
      );
    }
    for (const [name, nameInFile] of found) await this.#block.load(name, weights, nameInFile);
  }

  /**
   * Adds the adapters to the weights of the base model and takes them off: what is left computes the same, but for rounding,
   * at the speed of a model without adapters, and `save` writes a folder that transformers loads.
   * @returns the base model, which no longer belongs to this one
   * @throws ConfigError for a base in q8 or q4, which has no room for small changes; CheckpointError when a sum has no
   * place in f16, with some layers merged already: load the base again then
   */
  async merge(): Promise<GPT> {
    const { base } = this;
    if (isStored(base.parameters.encoding))
      throw new ConfigError(
        `lora: expected a base in f32, f16 or bf16 to merge into, got ${base.dtype}. Load the model that it was quantized from, put the adapters on it with loadLora, and merge these.`,
      );
    for (const layer of this.#adapters.keys()) await this.#mergeLayer(layer);
    this.#takeOff('merge');
    return base;
  }

  /** W += scale · (B · A)ᵀ, W [in, out]. */
  async #mergeLayer(layer: string): Promise<void> {
    const { a, b, scale: factor } = this.#adapters.get(layer)!;
    const name = `${layer}.weight`;
    const { inputs, outputs } = productSize(this.base.parameters.get(name));
    const graph = this.graph();
    const [low, high] = [graph.parameter(a), graph.parameter(b)];
    const merged = graph.region(name, inputs * outputs);
    const scaled = scale(graph, b, high, factor);
    recordGemm(graph, name, {
      out: graph.view(merged, inputs, outputs),
      a: low,
      b: scaled,
      m: inputs,
      n: outputs,
      k: high.cols,
      flags: op.FLAG_TRANSPOSE_A | op.FLAG_TRANSPOSE_B | op.FLAG_ACCUMULATE,
    });
    const plan = await Plan.compile(this.engine, graph, `merging ${layer}`);
    try {
      plan.write(merged, await this.base.readParameter(name));
      await plan.run();
      await this.base.writeParameter(name, await plan.readRegion(merged));
    } finally {
      plan.dispose();
    }
  }

  /**
   * Takes the adapters off and gives their memory back.
   * @returns the base model, as it was before, which no longer belongs to this one
   */
  unload(): GPT {
    this.#takeOff('unload');
    return this.base;
  }

  #takeOff(by: 'merge' | 'unload'): void {
    if (this.#gone) return;
    this.#gone = by;
    this.#block.release();
  }

  /** Gives all memory and threads back, those of the base model too; after `merge` or `unload` it does nothing. */
  override dispose(): void {
    if (!this.#gone) this.base.dispose();
  }
}

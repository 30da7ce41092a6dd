/**
 * LoRA (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): a model whose weights are frozen, in any
 * dtype, and whose linear layers get additions of low rank, which alone are trained:  y = x · W + b + scale · (x · Aᵀ) · Bᵀ
 *
 * Two blocks: the base model's, and that of the adapters. Graphs read both (`ParameterBlocks.frozen`); gradients, moments and
 * checkpoints belong to the second, so that a trainer sees a small model. Folders are PEFT's (formats/peft/).
 */

import * as op from '../../abi/index.ts';
import { CheckpointError, ConfigError, DisposedError } from '../../errors.ts';
import { type Directory, openDirectory } from '../../files/index.ts';
import {
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
} from '../../formats/index.ts';
import type { AdaptedLayer, ParameterBlocks } from '../../graph/graph.ts';
import { scale } from '../../graph/ops/elementwise.ts';
import { adaptedLinear } from '../../graph/ops/low-rank.ts';
import { recordGemm } from '../../graph/ops/matmul.ts';
import { type ParameterSpec, productSize } from '../../graph/parameters.ts';
import { Plan } from '../../graph/plan.ts';
import { drop } from '../../nn/dropout.ts';
import { constant, normal } from '../../nn/scope.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { Dtype } from '../dtype.ts';
import type { LanguageModelHead } from '../heads/language-model.ts';
import { matchTensors } from '../match-tensors.ts';
import { type CausalLM, Model } from '../model.ts';
import { type SaveOptions, saveTokenizer } from '../save.ts';
import { formatSummary } from '../summary.ts';
import { checkSeed, initialize } from '../weights/initialize.ts';
import { isStored, ParameterBlock } from '../weights/parameter-block.ts';
import { entryOf } from '../weights/tensor-entry.ts';

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
 * @param model - A causal language model, loaded with any dtype. It belongs to the LoraModel from now on, which disposes it.
 * @param options - `rank` (1…4096, default 8), `alpha` (above 0, default as rank; the addition is scaled by alpha / rank),
 * `dropout` (0 ≤ p < 1, default 0), `targetModules` (of `c_attn`, `c_proj`, `c_fc`, or longer ends of names such as `attn.c_proj`;
 * default what the family says, such as `['c_attn']`), `useRslora` (scale by alpha / √rank, default false), `baseModel` (what PEFT is to load as the base),
 * `seed` (0…2^53 − 1, default 0).
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
  const config = completeLoraConfig(withTargets(model, options), 'addLora');
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

/** The layers of a model that can be adapted, in the order of the forward pass. */
function linearLayers(model: CausalLM): string[] {
  if (model instanceof LoraModel)
    throw new ConfigError(
      'lora: expected a model without adapters, got one that has them. Merge or unload them first.',
    );
  const isLinear = ({ layer, product }: ParameterSpec) => layer === 'Linear' && product !== undefined;
  return model.parameters.list.filter(isLinear).map(({ name }) => name.slice(0, -'.weight'.length));
}

/** Options with the family's default layers where none are named. */
function withTargets({ family }: CausalLM, { targetModules, ...options }: LoraOptions): LoraOptions {
  return { targetModules: targetModules ?? family.adapterTargets, ...options };
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
  return (graph, name, x, weight, options, dropout) => {
    const input = drop(graph, `${name} adapter dropout`, x, p, { dropout });
    return adaptedLinear(graph, name, x, weight, options, {
      input,
      a: graph.parameter(a),
      b: graph.parameter(b),
      scale,
    });
  };
}

type Named = Pick<ParameterSpec, 'name' | 'shape'>;

/** The adapters of layers as parameters; B is 0, so that nothing is added at first. */
function loraParameters(base: CausalLM, { rank }: LoraConfig, layers: readonly string[]): ParameterSpec[] {
  return layers.flatMap((layer) => {
    const { inputs, outputs } = productSize(base.parameters.get(`${layer}.weight`));
    const [a, b] = loraTensors(layer, rank, inputs, outputs) as [Named, Named];
    return [
      { ...a, layer: 'LoRA', init: normal(1 / Math.sqrt(3 * inputs)) },
      { ...b, layer: 'LoRA', init: constant(0) },
    ];
  });
}

/**
 * A model with adapters: it trains, generates and scores like any other, and `parameters`, `readParameter`, `save` and `restore` are
 * about the adapters. Made by `addLora` and `loadLora`.
 */
export class LoraModel extends Model<LanguageModelHead> {
  /** The model that is adapted. On its own it computes what it did without adapters. */
  readonly base: CausalLM;
  /** The options of the adapters. */
  readonly lora: LoraConfig;
  readonly #block: ParameterBlock;
  readonly #adapters: ReadonlyMap<string, Adapter>;
  /** Where the base model went; undefined while it belongs to this one. */
  #gone: 'merge' | 'unload' | undefined;
  #checksum: Promise<number> | undefined;

  private constructor(
    base: CausalLM,
    lora: LoraConfig,
    layers: readonly string[],
    engine: Engine | undefined,
    block: ParameterBlock,
  ) {
    super(base, engine, block);
    this.base = base;
    this.lora = lora;
    this.#block = block;
    const [scale, { dropout }] = [loraScale(lora), lora];
    this.#adapters = new Map(layers.map((layer) => [layer, { ...loraNames(layer), scale, dropout }]));
  }

  /** @internal Adapters whose values are about to be written. */
  static async allocate(base: CausalLM, lora: LoraConfig, layers: readonly string[]): Promise<LoraModel> {
    const block = await ParameterBlock.allocate(base.engine, loraParameters(base, lora, layers));
    return new LoraModel(base, lora, layers, base.engine, block);
  }

  /**
   * @internal A model without memory: to check options, and to compute what it would need.
   * @param where, nameOption what messages call the place and an option
   */
  static blueprint(
    base: CausalLM,
    options: LoraOptions = {},
    where = 'lora',
    nameOption: (option: keyof LoraConfig) => string = (option) => option,
  ): LoraModel {
    const lora = completeLoraConfig(withTargets(base, options), where, nameOption);
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

  override summary(): string {
    return formatSummary(this.base, this.parameters);
  }

  /**
   * What a checkpoint of the adapters belongs to, beside the shape of the model: their options, and the weights of the base.
   * It reads all of these once, which takes about a second for each GiB.
   */
  override async identity(): Promise<Readonly<Record<string, string | number | boolean>>> {
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
    await directory.write(
      ADAPTER_CONFIG,
      formatLoraConfig(this.lora, { fanInFanOut: this.#fanInFanOut(), taskType: 'CAUSAL_LM' }),
    );
    if (tokenizer) await saveTokenizer(directory, tokenizer);
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
    const { found, unexpected } = matchTensors(weights, this.parameters.list);
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
  async merge(): Promise<CausalLM> {
    const { base } = this;
    if (isStored(base.parameters.encoding))
      throw new ConfigError(
        `lora: expected a base in f32, f16 or bf16 to merge into, got ${base.dtype}. Load the model that it was quantized from, put the adapters on it with loadLora, and merge these.`,
      );
    for (const layer of this.#adapters.keys()) await this.#mergeLayer(layer);
    this.#takeOff('merge');
    return base;
  }

  /** Whether the adapted weights are stored [in, out]. */
  #fanInFanOut(): boolean {
    const [layer] = this.#adapters.keys();
    return this.base.parameters.get(`${layer}.weight`).product === 'in-out';
  }

  /** W += scale · (B · A)ᵀ for W [in, out], W += scale · B · A for W [out, in]. */
  async #mergeLayer(layer: string): Promise<void> {
    const { a, b, scale: factor } = this.#adapters.get(layer)!;
    const name = `${layer}.weight`;
    const parameter = this.base.parameters.get(name);
    const { inputs, outputs } = productSize(parameter);
    const graph = this.graph();
    const [low, high] = [graph.parameter(a), graph.parameter(b)];
    const k = high.cols;
    const merged = graph.region(name, inputs * outputs);
    const scaled = scale(graph, b, high, factor);
    if (parameter.product === 'in-out') {
      const [out, flags] = [graph.view(merged, inputs, outputs), op.FLAG_TRANSPOSE_A | op.FLAG_TRANSPOSE_B];
      recordGemm(graph, name, { out, a: low, b: scaled, m: inputs, n: outputs, k, flags: flags | op.FLAG_ACCUMULATE });
    } else {
      const out = graph.view(merged, outputs, inputs);
      recordGemm(graph, name, { out, a: scaled, b: low, m: outputs, n: inputs, k, flags: op.FLAG_ACCUMULATE });
    }
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
  unload(): CausalLM {
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

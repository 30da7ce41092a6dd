/**
 * A model with LoRA adapters (adapters.ts): its weights are frozen, in any dtype, and the adapters alone are trained.
 *
 * Two blocks of parameters: the base model's, and that of the adapters. Graphs read both (`ParameterBlocks.frozen`); gradients,
 * moments and checkpoints are those of the second, so that a trainer sees a small model. Folders are PEFT's (formats/peft/).
 */
import { CheckpointError, ConfigError, DisposedError } from '../../errors.ts';
import { type Directory, openDirectory } from '../../files/index.ts';
import {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  formatLoraConfig,
  type LoraConfig,
  type LoraOptions,
  loraScale,
  openSafetensors,
  parseLoraConfig,
  type Weights,
  writeSafetensors,
} from '../../formats/index.ts';
import type { ParameterBlocks } from '../../graph/graph.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { Dtype } from '../dtype.ts';
import type { LanguageModelHead } from '../heads/language-model.ts';
import { matchTensors } from '../match-tensors.ts';
import { type CausalLM, Model } from '../model.ts';
import { type SaveOptions, saveTokenizer } from '../save.ts';
import { formatSummary } from '../summary.ts';
import { initialize } from '../weights/initialize.ts';
import { isStored, ParameterBlock } from '../weights/parameter-block.ts';
import { entryOf } from '../weights/tensor-entry.ts';
import { type Adapter, adaptedLayer, adaptersOf, loraParameters, resolveLora } from './adapters.ts';
import { mergeLayer } from './merge.ts';

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
  /** What took the adapters off the base model; undefined while this model owns it. */
  #takenOffBy: 'merge' | 'unload' | undefined;
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
    this.#adapters = adaptersOf(lora, layers);
  }

  /** @internal Adapters whose values are about to be written. */
  static async allocate(base: CausalLM, lora: LoraConfig, layers: readonly string[]): Promise<LoraModel> {
    const block = await ParameterBlock.allocate(base.engine, loraParameters(base.parameters, lora, layers));
    return new LoraModel(base, lora, layers, base.engine, block);
  }

  /**
   * @internal A model without memory: to check options, and to compute what it would need.
   * @param where what messages name
   * @param nameOption the name of an option in a message. Default: as here
   */
  static blueprint(
    base: CausalLM,
    options: LoraOptions = {},
    where = 'lora',
    nameOption?: (option: keyof LoraConfig) => string,
  ): LoraModel {
    const { lora, layers } = resolveLora(base, options, where, nameOption);
    const block = ParameterBlock.blueprint(loraParameters(base.parameters, lora, layers));
    return new LoraModel(base, lora, layers, undefined, block);
  }

  /** @internal Draws A; B is 0. */
  initialize(seed: number): Promise<void> {
    return initialize(this.engine, this.#block, seed);
  }

  override get dtype(): Dtype {
    return this.base.dtype;
  }

  override get blocks(): ParameterBlocks {
    if (this.#takenOffBy)
      throw new DisposedError(
        `lora: expected adapters on a model, got those that ${this.#takenOffBy} has taken off. Use the model that ${this.#takenOffBy} returned.`,
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
   * What a run of training depends on beside `config`: the options of the adapters, and the weights of the base by a checksum.
   * It reads all weights once, which takes about a second for each GiB.
   * @returns names and values, which must be equal when a checkpoint is resumed
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
   * @returns the base model, which this one no longer owns
   * @throws ConfigError for a base in q8 or q4, which has no room for small changes; CheckpointError when a sum has no
   * place in f16, with some layers merged already: load the base again then
   */
  async merge(): Promise<CausalLM> {
    const { base } = this;
    if (isStored(base.parameters.encoding))
      throw new ConfigError(
        `lora: expected a base in f32, f16 or bf16 to merge into, got ${base.dtype}. Load the model that it was quantized from, put the adapters on it with loadLora, and merge these.`,
      );
    for (const [layer, adapter] of this.#adapters) await mergeLayer(this, base, layer, adapter);
    this.#takeOff('merge');
    return base;
  }

  /** Whether the adapted weights are stored [in, out]. */
  #fanInFanOut(): boolean {
    const [layer] = this.#adapters.keys();
    return this.base.parameters.get(`${layer}.weight`).product === 'in-out';
  }

  /**
   * Takes the adapters off and gives their memory back.
   * @returns the base model, as it was before, which this one no longer owns
   */
  unload(): CausalLM {
    this.#takeOff('unload');
    return this.base;
  }

  #takeOff(by: 'merge' | 'unload'): void {
    if (this.#takenOffBy) return;
    this.#takenOffBy = by;
    this.#block.release();
  }

  /** Gives all memory and threads back, those of the base model too; after `merge` or `unload` it does nothing. */
  override dispose(): void {
    if (!this.#takenOffBy) this.base.dispose();
  }
}

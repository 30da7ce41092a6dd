/** Reading a model folder: config.json names the family, and the weights stream into the block of its parameters. */
import { ConfigError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { checkNames, checkOptions, type NameOption } from '../formats/config/options.ts';
import { openWeights, type Quantization } from '../formats/index.ts';
import type { Encoding } from '../graph/encoding.ts';
import { type EngineOptions, withEngine } from '../runtime/engine.ts';
import { DTYPES, type Dtype } from './dtype.ts';
import type { Family, ModelConfig } from './family.ts';
import { asCausalLM, buildLayers, type CausalLM, Model } from './model.ts';
import { readConfig } from './read-config.ts';
import { ParameterBlock } from './weights/parameter-block.ts';
import { streamWeights } from './weights/stream.ts';

/** How a model is loaded, and what runs it. */
export interface LoadOptions extends EngineOptions {
  /**
   * How weights are kept in memory: `f32`, 16 bits (`f16`, `bf16`), or integers with a scale for each 64 (`q8`) or 32 (`q4`) of them.
   * Default: that of a quantized folder, else `f32`.
   */
  readonly dtype?: Dtype | undefined;
  /** Keep f32 weights so that a Trainer can change them; inference is then slower. Default false. */
  readonly trainable?: boolean | undefined;
  /** Folder of LoRA adapters to put on the model, which is then a LoraModel. Default none. */
  readonly adapter?: string | URL | Directory | undefined;
  /**
   * What training drops, by the names of the family's configuration (`embdDropout`, `attnDropout`, `residDropout`), 0 ≤ p < 1, or one
   * number for all of them. Default: as in config.json.
   */
  readonly dropout?: number | Readonly<Record<string, number>> | undefined;
}

const LOAD_OPTIONS: Readonly<Record<keyof LoadOptions, true>> = {
  dtype: true,
  trainable: true,
  adapter: true,
  dropout: true,
  threads: true,
  precision: true,
};

/**
 * Loads the weights of a Hugging Face folder (config.json and model.safetensors, also sharded; F32, F16, BF16, or quantized here).
 * They are packed, rounded or quantized as they stream: besides the model itself at most 8 MiB are in use.
 * @param source path, URL, Directory or the files of a browser's picker
 * @param options `dtype`, `trainable`, `adapter` and `dropout`, see LoadOptions; `threads` and `precision` as for `createModel`
 * @returns a model of the family that `model_type` names; with `adapter` a LoraModel
 * @throws CheckpointError or ConfigError naming file, field or tensor; MemoryError when 4 GiB do not hold it
 * @example
 * const model = await loadCausalLM('./gpt2', { trainable: true });
 */
export async function loadCausalLM(
  source: string | URL | Directory | Iterable<File>,
  options: LoadOptions = {},
): Promise<CausalLM> {
  const { dtype, trainable = false, adapter, dropout, ...engineOptions } = options;
  const directory = await openDirectory(source);
  const { family, config: stored, quantization } = await readConfig(directory);
  const misplaced = family.dropouts.find((option) => Object.hasOwn(options, option));
  if (misplaced !== undefined)
    throw new ConfigError(`load: expected { dropout: { ${misplaced} } }, got ${misplaced}. It would be ignored.`);
  checkNames(LOAD_OPTIONS, options, 'load');
  const config = withDropout(family, stored, dropout, 'load');
  const encoding = chooseEncoding(dtype, trainable, quantization);
  const weights = await openWeights(directory);
  try {
    const kernels = trainable || adapter !== undefined ? 'full' : 'inference';
    return await withEngine(engineOptions, kernels, async (engine) => {
      const { parts, declared } = buildLayers(family, config);
      const block = await ParameterBlock.allocate(engine, declared, encoding);
      await streamWeights(block, weights, family.names, quantization);
      const model = asCausalLM(new Model(parts, engine, block), directory.name);
      if (adapter === undefined) return model;
      const { loadLora } = await import('./lora/attach.ts');
      return await loadLora(model, adapter);
    });
  } finally {
    await weights.close();
  }
}

/**
 * The configuration with other dropouts.
 * @throws ConfigError for a name that is no dropout of the family, or a value out of range
 */
export function withDropout<C extends ModelConfig>(
  { rules, dropouts, modelType }: Family<C>,
  config: C,
  dropout: LoadOptions['dropout'],
  where: string,
  nameOption?: NameOption,
): C {
  if (dropout === undefined) return config;
  if (typeof dropout !== 'number' && (typeof dropout !== 'object' || dropout === null))
    throw new ConfigError(
      `${where}: expected dropout to be a number, or numbers by the names ${dropouts.join(', ')}, got ${JSON.stringify(dropout)}. Change dropout.`,
    );
  if (dropouts.length === 0 && dropout !== 0)
    throw new ConfigError(
      `${where}: expected no dropout, as ${modelType} models have none, got ${JSON.stringify(dropout)}. Leave it out.`,
    );
  const values =
    typeof dropout === 'number' ? Object.fromEntries(dropouts.map((option) => [option, dropout])) : dropout;
  for (const option of Object.keys(values))
    if (!dropouts.includes(option))
      throw new ConfigError(
        `${where}: expected dropout to be of ${dropouts.join(', ')} for ${modelType}, got ${option}. Check the spelling.`,
      );
  return checkOptions(rules, { ...config, ...values }, where, nameOption);
}

function chooseEncoding(
  dtype: Dtype | undefined,
  trainable: boolean,
  quantization: Quantization | undefined,
): Encoding {
  const wanted = dtype === undefined ? (quantization ?? 'f32') : dtype;
  if (!DTYPES.includes(wanted))
    throw new ConfigError(`load: expected dtype to be one of ${DTYPES.join(', ')}, got ${JSON.stringify(dtype)}.`);
  if (quantization && (trainable || wanted !== quantization))
    throw new ConfigError(
      `load: expected ${trainable ? 'weights as floats to train' : `dtype ${quantization}`}, got a folder in ${quantization}${trainable ? '' : ` and dtype ${dtype}`}. Load the model that it was quantized from.`,
    );
  if (trainable && wanted !== 'f32')
    throw new ConfigError(`load: expected dtype f32 for trainable weights, got ${dtype}. Leave one of the two out.`);
  return wanted === 'f32' && !trainable ? 'packed' : wanted;
}

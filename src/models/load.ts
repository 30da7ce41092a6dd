/** Reading a model folder: config.json says which class, the weights stream into its block. */
import { type Directory, openDirectory } from '../files/index.ts';
import { type GPTConfig, type ModelFamily, openWeights, type Quantization, readConfig } from '../formats/index.ts';
import type { Encoding } from '../graph/encoding.ts';
import type { EngineOptions } from '../runtime/engine.ts';
import { type Dtype, type GPT, type GPTClass, streamWeights, withEngine } from './gpt.ts';
import { GPT2 } from './gpt2.ts';
import { ParameterBlock } from './parameter-block.ts';

/** GPT-2 is at hand; a program loads the class of another family with its first model. */
const CLASSES: Record<ModelFamily, () => GPTClass<GPT> | Promise<GPTClass<GPT>>> = {
  gpt2: () => GPT2,
  'openai-gpt': async () => (await import('./gpt1.ts')).GPT1,
};

export const DTYPES: readonly Dtype[] = ['f32', 'f16', 'bf16', 'q8', 'q4'];

export interface LoadOptions extends EngineOptions {
  /**
   * How weights are kept in memory: `f32`, 16 bits (`f16`, `bf16`), or integers with a scale for each 32 of them (`q8`, `q4`).
   * Default: as a quantized folder has them, else `f32`.
   */
  readonly dtype?: Dtype | undefined;
  /** Keep f32 weights so that a Trainer can change them; inference is then slower. Default false. */
  readonly trainable?: boolean | undefined;
  /** Folder of LoRA adapters to put on the model, which is then a LoraModel. Default none. */
  readonly adapter?: string | URL | Directory | undefined;
  /** Dropouts in training, 0 ≤ p < 1. Default: those of config.json. */
  readonly embdDropout?: number | undefined;
  readonly attnDropout?: number | undefined;
  readonly residDropout?: number | undefined;
}

/**
 * Loads the weights of a Hugging Face folder (config.json and model.safetensors, also sharded; F32, F16, BF16, or quantized here).
 * They are packed, rounded or quantized as they stream: besides the model itself at most 8 MiB are in use.
 * @param source path, URL, Directory or the files of a browser's picker
 * @param options `dtype`, `trainable`, `adapter` and dropouts, see LoadOptions; `threads` and `precision` as for `GPT2.create`
 * @returns a GPT2 or GPT1, as `model_type` says; with `adapter` a LoraModel of one
 * @throws CheckpointError or ConfigError naming file, field or tensor; MemoryError when 4 GiB do not hold it
 */
export async function loadGPT(
  source: string | URL | Directory | Iterable<File>,
  { dtype, trainable = false, adapter, embdDropout, attnDropout, residDropout, ...options }: LoadOptions = {},
): Promise<GPT> {
  const directory = await openDirectory(source);
  const parsed = await readConfig(directory);
  const { family, quantization } = parsed;
  const config = await withDropouts(parsed.config, { embdDropout, attnDropout, residDropout });
  const encoding = await chooseEncoding(dtype, trainable, quantization);
  const type = await CLASSES[family]();
  const weights = await openWeights(directory);
  try {
    const kernels = trainable || adapter !== undefined ? 'full' : 'inference';
    return await withEngine(options, kernels, async (engine) => {
      const block = await ParameterBlock.allocate(engine, type.parameters(config), encoding);
      await streamWeights(block, weights, quantization);
      const model = new type(config, engine, block);
      if (adapter === undefined) return model;
      const { loadLora } = await import('./lora.ts'); // which most programs never need
      return await loadLora(model, adapter);
    });
  } finally {
    await weights.close();
  }
}

/** The configuration with the dropouts that were given. */
async function withDropouts(
  config: GPTConfig,
  dropouts: Partial<Record<keyof GPTConfig, number | undefined>>,
): Promise<GPTConfig> {
  const given = Object.entries(dropouts).filter(([, value]) => value !== undefined);
  if (given.length === 0) return config;
  const { checkGPTConfig } = await import('../formats/config/check-config.ts');
  return checkGPTConfig({ ...config, ...Object.fromEntries(given) }, 'load');
}

async function chooseEncoding(
  dtype: Dtype | undefined,
  trainable: boolean,
  quantization: Quantization | undefined,
): Promise<Encoding> {
  const wanted = dtype === undefined ? (quantization ?? 'f32') : dtype;
  if (!DTYPES.includes(wanted) || (quantization ?? wanted) !== wanted || (trainable && wanted !== 'f32'))
    throw (await import('./load-errors.ts')).dtypeError(dtype, trainable, quantization);
  return wanted === 'f32' && !trainable ? 'packed' : wanted;
}

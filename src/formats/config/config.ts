/** config.json of any family: `model_type` says whose rules read it. */

import type { TensorShape } from '../tensor-names.ts';
import { ConfigFields, type ConfigRecord, formatFields } from './fields.ts';
import type { GPTConfig } from './gpt-config.ts';
import { gpt2Fields, gpt2Tensors, parseGPT2Config } from './gpt2.ts';
import { openAIGPTFields, openAIGPTTensors, parseOpenAIGPTConfig } from './openai-gpt.ts';

interface Family {
  readonly parse: (fields: ConfigFields) => GPTConfig;
  readonly fields: (config: GPTConfig) => ConfigRecord;
  readonly tensors: (config: GPTConfig) => TensorShape[];
}

const FAMILIES = {
  gpt2: { parse: parseGPT2Config, fields: gpt2Fields, tensors: gpt2Tensors },
  'openai-gpt': { parse: parseOpenAIGPTConfig, fields: openAIGPTFields, tensors: openAIGPTTensors },
} satisfies Record<string, Family>;

/** A model family by the name that config.json gives it in `model_type`. */
export type ModelFamily = keyof typeof FAMILIES;

/** What a config.json says. */
export interface ParsedConfig {
  readonly family: ModelFamily;
  readonly config: GPTConfig;
  /** How the weights of products are stored, where that is not as floats. */
  readonly quantization?: Quantization;
}

/** How this package stores quantized weights (`quantization_config` in config.json; layout: ARCHITECTURE.md). */
export type Quantization = 'q8' | 'q4';

const QUANT_METHOD = 'lanewise';

/** The fields of config.json that say how weights are quantized. */
export function quantizationFields(format: Quantization): ConfigRecord {
  return { quantization_config: { quant_method: QUANT_METHOD, format, block_size: 32 } };
}

/**
 * Reads a Hugging Face config.json.
 * @param json text of the file.
 * @param file what messages call it. Default 'config.json'.
 * @returns the family and the configuration in this package's names.
 * @throws ConfigError naming file, field, expected and found value.
 */
export function parseConfig(json: string, file = 'config.json'): ParsedConfig {
  const fields = ConfigFields.parse(json, file);
  const family = fields.get('model_type');
  if (typeof family !== 'string' || !Object.hasOwn(FAMILIES, family)) {
    throw fields.error('model_type', `one of ${Object.keys(FAMILIES).join(', ')}`, 'Other models are not supported.');
  }
  const parsed = { family: family as ModelFamily, config: FAMILIES[family as ModelFamily].parse(fields) };
  const quantization = parseQuantization(fields);
  return quantization ? { ...parsed, quantization } : parsed;
}

function parseQuantization(fields: ConfigFields): Quantization | undefined {
  const value = fields.get('quantization_config');
  if (value === undefined || value === null) return undefined;
  const method = value instanceof Map ? value.get('quant_method') : undefined;
  const format = value instanceof Map ? value.get('format') : undefined;
  if (method === QUANT_METHOD && (format === 'q8' || format === 'q4')) return format;
  throw fields.error(
    'quantization_config',
    `absent, or quant_method ${QUANT_METHOD} with format q8 or q4`,
    'Take the model in F32, F16 or BF16 and quantize it here.',
  );
}

/**
 * Writes a config.json that transformers loads.
 * @param family the model family.
 * @param config the configuration.
 * @param extra fields to add or replace, such as `architectures`.
 * @returns text of the file.
 * @throws ConfigError when the configuration is not valid, or the family cannot express it.
 */
export function formatConfig(family: ModelFamily, config: GPTConfig, extra: ConfigRecord = {}): string {
  return formatFields({ ...FAMILIES[family].fields(config), ...extra });
}

/**
 * Names and shapes of a model's tensors, as Hugging Face writes them.
 * @param family the model family.
 * @param config the configuration.
 * @returns the tensors from input to output.
 */
export function modelTensors(family: ModelFamily, config: GPTConfig): TensorShape[] {
  return FAMILIES[family].tensors(config);
}

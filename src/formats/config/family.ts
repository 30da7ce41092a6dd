/** What config.json says of any family: which it is, and how its weights are stored. */
import { numberOf } from '../json.ts';
import type { TensorShape } from '../tensor-names.ts';
import type { ConfigFields } from './fields.ts';
import type { GPTConfig } from './gpt-config.ts';
import { BLOCK_SIZES, QUANT_METHOD } from './plain-gpt2.ts';
import type { ConfigRecord } from './write-fields.ts';

const FAMILIES = ['gpt2', 'openai-gpt'] as const;

/** A model family by the name that config.json gives it in `model_type`. */
export type ModelFamily = (typeof FAMILIES)[number];

/** A family's rules: what its config.json means, and which tensors its models have. */
export interface Family {
  readonly parse: (fields: ConfigFields) => GPTConfig;
  readonly tensors: (config: GPTConfig) => TensorShape[];
}

/** What a config.json says. */
export interface ParsedConfig {
  readonly family: ModelFamily;
  readonly config: GPTConfig;
  /** How the weights of products are stored, where that is not as floats. */
  readonly quantization?: Quantization;
}

/** How this package stores quantized weights (`quantization_config` in config.json; layout: ARCHITECTURE.md). */
export type Quantization = 'q8' | 'q4';

/** The fields of config.json that say how weights are quantized. */
export function quantizationFields(format: Quantization): ConfigRecord {
  return { quantization_config: { quant_method: QUANT_METHOD, format, block_size: BLOCK_SIZES[format] } };
}

/** @throws ConfigError for a family that this package does not have. */
export function familyOf(fields: ConfigFields): ModelFamily {
  const family = FAMILIES.find((name) => name === fields.get('model_type'));
  if (family !== undefined) return family;
  throw fields.error('model_type', `one of ${FAMILIES.join(', ')}`, 'Other models are not supported.');
}

/** Reads the fields by the family's rules. */
export function parseFields(fields: ConfigFields, family: ModelFamily, { parse }: Pick<Family, 'parse'>): ParsedConfig {
  const parsed = { family, config: parse(fields) };
  const quantization = parseQuantization(fields);
  return quantization ? { ...parsed, quantization } : parsed;
}

function parseQuantization(fields: ConfigFields): Quantization | undefined {
  const value = fields.get('quantization_config');
  if (value === undefined || value === null) return undefined;
  const method = value instanceof Map ? value.get('quant_method') : undefined;
  const format = value instanceof Map ? value.get('format') : undefined;
  const blockSize = value instanceof Map ? numberOf(value.get('block_size')) : undefined;
  if (method === QUANT_METHOD && (format === 'q8' || format === 'q4') && blockSize === BLOCK_SIZES[format])
    return format;
  throw fields.error(
    'quantization_config',
    `absent, or quant_method ${QUANT_METHOD} with format q8 and block_size ${BLOCK_SIZES.q8} or format q4 and block_size ${BLOCK_SIZES.q4}`,
    'Take the model in F32, F16 or BF16 and quantize it here.',
  );
}

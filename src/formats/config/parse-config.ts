/** config.json of any family, read: `model_type` says whose rules read it. */
import { numberOf } from '../json.ts';
import type { ModelFamily, ParsedConfig, Quantization } from './family.ts';
import { ConfigFields } from './fields.ts';
import type { GPTConfig } from './gpt-config.ts';
import { parseGPT2Config } from './gpt2.ts';
import { parseOpenAIGPTConfig } from './openai-gpt.ts';
import { BLOCK_SIZES, QUANT_METHOD } from './plain-gpt2.ts';

const FAMILIES: Readonly<Record<ModelFamily, (fields: ConfigFields) => GPTConfig>> = {
  gpt2: parseGPT2Config,
  'openai-gpt': parseOpenAIGPTConfig,
};

/**
 * Reads a Hugging Face config.json.
 * @param json text of the file.
 * @param file what messages call it. Default 'config.json'.
 * @returns the family and the configuration in this package's names.
 * @throws ConfigError naming file, field, expected and found value.
 */
export function parseConfig(json: string, file = 'config.json'): ParsedConfig {
  const fields = ConfigFields.parse(json, file);
  const names = Object.keys(FAMILIES) as ModelFamily[];
  const family = names.find((name) => name === fields.get('model_type'));
  if (family === undefined)
    throw fields.error('model_type', `one of ${names.join(', ')}`, 'Other models are not supported.');
  const parsed = { family, config: FAMILIES[family](fields) };
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

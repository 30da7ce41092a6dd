/** How the weights of a quantized folder are stored: `quantization_config` in config.json. */
import { Q4_BLOCK, Q8_BLOCK } from '../../abi/index.ts';
import { numberOf } from '../json.ts';
import type { ConfigFields } from './fields.ts';
import type { ConfigRecord } from './write-fields.ts';

/** Integers of 8 or 4 bits with a scale for each block of inputs. */
export type Quantization = 'q8' | 'q4';

const QUANT_METHOD = 'lanewise';
/** Inputs that share a scale. */
const BLOCK_SIZES: Readonly<Record<Quantization, number>> = { q8: Q8_BLOCK, q4: Q4_BLOCK };

/**
 * How the weights of a folder are stored; undefined: as floats.
 * @throws ConfigError for quantized weights of another kind
 */
export function readQuantization(fields: ConfigFields): Quantization | undefined {
  const value = fields.get('quantization_config');
  if (value === undefined) return undefined;
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

/** The field of config.json for weights in this format. */
export function quantizationFields(format: Quantization): ConfigRecord {
  return { quantization_config: { quant_method: QUANT_METHOD, format, block_size: BLOCK_SIZES[format] } };
}

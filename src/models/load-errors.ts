/** Why a model is not loaded, in words. */
import { ConfigError } from '../errors.ts';
import type { Quantization } from '../formats/index.ts';
import type { Dtype } from './gpt.ts';
import { DTYPES } from './load.ts';

/** A dtype that there is not, or that does not go with the rest. */
export function dtypeError(
  dtype: Dtype | undefined,
  trainable: boolean,
  quantization: Quantization | undefined,
): ConfigError {
  if (dtype !== undefined && !DTYPES.includes(dtype))
    return new ConfigError(`load: expected dtype to be one of ${DTYPES.join(', ')}, got ${JSON.stringify(dtype)}.`);
  if (quantization)
    return new ConfigError(
      `load: expected ${trainable ? 'weights as floats to train' : `dtype ${quantization}`}, got a folder in ${quantization}${trainable ? '' : ` and dtype ${dtype}`}. Load the model that it was quantized from.`,
    );
  return new ConfigError(`load: expected dtype f32 for trainable weights, got ${dtype}. Leave one of the two out.`);
}

/** Why a model is not loaded, in words. */
import { CheckpointError, ConfigError } from '../errors.ts';
import type { Quantization } from '../formats/index.ts';
import type { Encoding } from '../graph/encoding.ts';
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

const REASONS: Partial<Record<Encoding, string>> = {
  f16: 'finite values of at most 65,504',
  q8: 'finite values',
  q4: 'finite values',
};

/** Values of a parameter that its encoding cannot hold. */
export function noPlaceFor(name: string, encoding: Encoding): CheckpointError {
  return new CheckpointError(
    `${name}: expected ${REASONS[encoding]} for dtype ${encoding}, got others. Load the model as f32, or mend its weights.`,
  );
}

/** What config.json says of any family: which it is, and how its weights are stored. */
import type { GPTConfig } from './gpt-config.ts';
import { BLOCK_SIZES, QUANT_METHOD } from './plain-gpt2.ts';
import type { ConfigRecord } from './write-fields.ts';

/** A model family by the name that config.json gives it in `model_type`. */
export type ModelFamily = 'gpt2' | 'openai-gpt';

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

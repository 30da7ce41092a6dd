/** The files of a model folder: config.json and safetensors, read and written. */

export { ConfigFields } from './config/fields.ts';
export { checkOptions, definedOptions } from './config/options.ts';
export { type Quantization, quantizationFields } from './config/quantization.ts';
export { crc32 } from './crc32.ts';
export {
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  completeLoraConfig,
  formatLoraConfig,
  type LoraConfig,
  type LoraOptions,
  layerOfLoraTensor,
  loraNames,
  loraScale,
  parseLoraConfig,
  targetLayers,
} from './peft/lora-config.ts';
export { convertFromF32, convertToF32 } from './safetensors/convert.ts';
export {
  dtypeBits,
  elementCount,
  type FloatDtype,
  type TensorDtype,
  tensorBytes,
} from './safetensors/dtype.ts';
export type { Weights } from './safetensors/file-weights.ts';
export { readSafetensorsHeader, type TensorInfo } from './safetensors/header.ts';
export { INDEX_FILE, openSafetensors, openWeights, WEIGHTS_FILE } from './safetensors/open.ts';
export { type SaveWeightsOptions, saveWeights } from './safetensors/save.ts';
export { FileWindow, streamTensor } from './safetensors/window.ts';
export {
  encodeSafetensorsHeader,
  type TensorEntry,
  writeSafetensors,
} from './safetensors/write.ts';

/** The files of a model folder: config.json and safetensors, read and written. */

export { ConfigFields } from './config/fields.ts';
export { checkOptions, type NameOption, type OptionRule, type OptionRules } from './config/options.ts';
export { type Quantization, quantizationFields } from './config/quantization.ts';
export type { ConfigRecord, ConfigValue } from './config/write-fields.ts';
export { crc32 } from './crc32.ts';
export {
  describeJsonValue,
  type JsonMap,
  JsonNumber,
  JsonSyntaxError,
  type JsonValue,
  numberOf,
  parseJsonValue,
  parseStrictJson,
} from './json.ts';
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
  isTensorDtype,
  type TensorDtype,
  tensorBytes,
} from './safetensors/dtype.ts';
export type { WeightInfo, Weights } from './safetensors/file-weights.ts';
export { readSafetensorsHeader, type SafetensorsHeader, type TensorInfo } from './safetensors/header.ts';
export { INDEX_FILE, openSafetensors, openWeights, WEIGHTS_FILE } from './safetensors/open.ts';
export { type SaveWeightsOptions, saveWeights } from './safetensors/save.ts';
export { FileWindow, streamTensor } from './safetensors/window.ts';
export {
  type EncodedHeader,
  encodeSafetensorsHeader,
  f32Entry,
  type TensorDescription,
  type TensorEntry,
  writeSafetensors,
} from './safetensors/write.ts';

/** The files of a model folder: config.json and safetensors, read and written. */

export { ConfigFields } from './config/fields.ts';
export { checkOptions, type NameOption, type OptionRule, type OptionRules } from './config/options.ts';
export { type Quantization, quantizationFields } from './config/quantization.ts';
export type { ConfigRecord, ConfigValue } from './config/write-fields.ts';
export { convertToF32 } from './convert.ts';
export { convertFromF32 } from './convert-back.ts';
export { crc32 } from './crc32.ts';
export { type Dtype, dtypeBits, elementCount, type FloatDtype, isDtype, tensorBytes } from './dtype.ts';
export type { WeightInfo, Weights } from './file-weights.ts';
export { FileWindow } from './file-window.ts';
export {
  describeJson,
  JsonNumber,
  type JsonObject,
  JsonSyntaxError,
  type JsonValue,
  numberOf,
  parseJson,
  parseJsonObject,
} from './json.ts';
export {
  completeLoraConfig,
  formatLoraConfig,
  type LoraConfig,
  type LoraOptions,
  layerOfLoraTensor,
  loraNames,
  loraScale,
  loraTensors,
  parseLoraConfig,
  targetLayers,
} from './peft/lora-config.ts';
export { readSafetensorsHeader } from './safetensors.ts';
export {
  type EncodedHeader,
  encodeSafetensorsHeader,
  f32Entry,
  type TensorDescription,
  type TensorEntry,
  writeSafetensors,
} from './safetensors-write.ts';
export { type SaveWeightsOptions, saveWeights } from './save-weights.ts';
export { type SafetensorsHeader, streamTensor, type TensorInfo } from './tensor-info.ts';
export { INDEX_FILE, openSafetensors, openWeights, WEIGHTS_FILE } from './weights.ts';

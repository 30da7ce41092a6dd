/** The files of a model folder: config.json and safetensors, read and written. */

export { checkTensors, type ResolvedNames, resolveTensorNames } from './check-tensors.ts';
export { checkGPTConfig } from './config/check-config.ts';
export { formatConfig, modelTensors } from './config/config.ts';
export { type ModelFamily, type ParsedConfig, type Quantization, quantizationFields } from './config/family.ts';
export {
  type Activation,
  GPT_DEFAULTS,
  type GPTConfig,
} from './config/gpt-config.ts';
export { completeGPTConfig, type GPTOptions } from './config/gpt-options.ts';
export { gpt2Tensors } from './config/gpt2-tensors.ts';
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
} from './config/lora.ts';
export { openAIGPTTensors } from './config/openai-gpt-tensors.ts';
export { parseConfig } from './config/parse-config.ts';
export { readConfig } from './config/read-config.ts';
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
export { matchTensors, resolveTensorName, type TensorShape } from './tensor-names.ts';

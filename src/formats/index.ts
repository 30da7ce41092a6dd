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
export { matchTensors, resolveTensorName, type TensorShape } from './tensor-names.ts';
export { INDEX_FILE, openSafetensors, openWeights, WEIGHTS_FILE } from './weights.ts';

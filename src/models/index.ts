/** Models of all families, and what runs them. */

export type { CacheDtype } from '../graph/ops/cached-attention.ts';
export { checkTokens } from './check-tokens.ts';
export {
  type CreateModelOptions,
  type CreateOptions,
  completeConfig,
  createModel,
  createModelOf,
  createOf,
  loadFamily,
  sizeOptions,
} from './create.ts';
export { DTYPES, type Dtype } from './dtype.ts';
export type { Architecture, Body, CacheShape, Family, ModelConfig, Options, TensorNames } from './family.ts';
export { type ForwardResult, forward } from './forward.ts';
export type { Head } from './heads/head.ts';
export { LanguageModelHead } from './heads/language-model.ts';
export { type AppendOptions, Session, type SessionOptions } from './inference/session.ts';
export { type Inspection, inspect } from './inspect.ts';
export { isModelOf } from './is-model-of.ts';
export { type LoadOptions, loadCausalLM, withDropout } from './load.ts';
export { type AddLoraOptions, addLora, loadLora } from './lora/attach.ts';
export { LoraModel } from './lora/lora-model.ts';
export { matchTensors } from './match-tensors.ts';
export { asCausalLM, blueprint, type CausalLM, isCausalLM, Model } from './model.ts';
export { formatConfig, type ParsedConfig, parseConfig, readConfig } from './read-config.ts';
export {
  type ConfigOf,
  DEFAULT_FAMILY,
  DEFAULT_SIZE,
  type FamilyEntry,
  type FamilyName,
  familyEntries,
  type HeadOf,
  registerFamily,
  type SizeOf,
  SMALL_SIZE,
} from './registry.ts';
export type { SaveOptions } from './save.ts';
export type { LikelyToken } from './token-probabilities.ts';
export { initialize } from './weights/initialize.ts';
export { ParameterBlock, tensorsInFile } from './weights/parameter-block.ts';
export { entryOf } from './weights/tensor-entry.ts';

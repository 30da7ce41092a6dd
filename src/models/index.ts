/** The model families, and what runs them: a loss for training, a cached session for generation. */

export type { CacheDtype } from '../graph/ops/cached-attention.ts';
export { GPT2_SIZES, type GPT2Size } from './create-gpt2.ts';
export { type ForwardResult, forward } from './forward.ts';
export { blueprint, type CreateOptions, type Dtype, GPT, type GPTClass } from './gpt.ts';
export { GPT1, GPT1_SIZES } from './gpt1.ts';
export { GPT2 } from './gpt2.ts';
export { type AppendOptions, Session, type SessionOptions } from './inference.ts';
export { type Inspection, inspect } from './inspect.ts';
export { DTYPES, type LoadOptions, loadGPT } from './load.ts';
export { ADAPTER_CONFIG, ADAPTER_WEIGHTS, type AddLoraOptions, addLora, LoraModel, loadLora } from './lora.ts';
export { type LossProgram, type LossShape, languageModelProgram, type TokenBatch, type TokenSequence } from './loss.ts';
export { ParameterBlock, tensorsInFile } from './parameter-block.ts';
export type { SaveOptions } from './save.ts';
export { entryOf } from './tensor-entry.ts';
export type { LikelyToken } from './token-probabilities.ts';

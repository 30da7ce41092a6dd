/** Generating text and tokens: sampling, streaming, and model and tokenizer as one. */
export {
  type GeneratedToken,
  type GenerationSpeed,
  type GenerationSummary,
  generateTokens,
} from './generate.ts';
export { loadModel, loadTokenizer } from './load-model.ts';
export type { FinishReason, GenerateOptions, SamplingOptions } from './options.ts';
export type { GeneratedSequence } from './sequence.ts';
export {
  type BatchResult,
  type GeneratedText,
  TextModel,
  type TextOptions,
  type TextPiece,
  type TextResult,
} from './text-model.ts';

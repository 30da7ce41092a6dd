/**
 * `lanewise/family`: what a model family consists of, for families that other packages define. The families of this package are
 * written against the same names. docs/extending/add-a-model.md walks through one.
 */
export { ConfigFields } from './formats/config/fields.ts';
export {
  DROPOUT,
  EPSILON,
  multipleOf,
  type NameOption,
  numberBetween,
  type OptionRule,
  type OptionRules,
  oneOf,
  optionError,
  TOKEN_ID,
  wholeNumber,
} from './formats/config/options.ts';
export { type ConfigRecord, type ConfigValue, PythonFloat } from './formats/config/write-fields.ts';
export type { Graph } from './graph/graph.ts';
export { type ActivationName, activate, add, multiply, scale } from './graph/ops/elementwise.ts';
export type { Initializer } from './graph/parameters.ts';
export type { Tensor } from './graph/tensor.ts';
export {
  type Architecture,
  type Body,
  type CacheShape,
  type CreateOptions,
  createModelOf,
  type Family,
  type FamilyEntry,
  type Head,
  LanguageModelHead,
  type ModelConfig,
  type Options,
  registerFamily,
  type TensorNames,
} from './models/index.ts';
export { type Projections, SelfAttention, type SelfAttentionOptions } from './nn/attention.ts';
export { drop } from './nn/dropout.ts';
export { Embedding, type EmbeddingOptions, embedTokens } from './nn/embedding.ts';
export { FeedForward, type FeedForwardOptions } from './nn/feed-forward.ts';
export { Linear, type LinearOptions } from './nn/linear.ts';
export { LayerNorm, RMSNorm } from './nn/norms.ts';
export type { RowInputs } from './nn/rows.ts';
export { constant, type Declaration, normal, Scope } from './nn/scope.ts';

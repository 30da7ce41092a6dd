/** Models without memory, which the verbs check and describe before they load any weights. */
import { ConfigError } from '../errors.ts';
import type { Encoding } from '../graph/encoding.ts';
import { blueprint, type CausalLM, isCausalLM, type Model, type ParsedConfig } from '../models/index.ts';

/** Where `train` keeps its checkpoints, below the model folder. */
export const CHECKPOINTS = 'checkpoints';

/**
 * A causal language model without memory.
 * @throws ConfigError for a model of another kind
 */
export function causalBlueprint({ family, config }: ParsedConfig, encoding: Encoding): CausalLM {
  const model = blueprint(family, config, encoding);
  if (isCausalLM(model)) return model;
  throw new ConfigError(
    `expected a causal language model, got a ${model.head.kind} model of ${family.modelType}. Choose another model.`,
  );
}

/** The model of a config.json, without memory. */
export function blueprintOf({ family, config, quantization }: ParsedConfig): Model {
  return blueprint(family, config, quantization ?? 'f32');
}

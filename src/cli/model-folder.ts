/** Models without memory, which the verbs check and describe before they load any weights. */
import type { Encoding } from '../graph/encoding.ts';
import { asCausalLM, blueprint, type CausalLM, type Model, type ParsedConfig } from '../models/index.ts';

/** Where `train` keeps its checkpoints, below the model folder. */
export const CHECKPOINTS = 'checkpoints';

/**
 * A causal language model without memory.
 * @throws ConfigError for a model of another kind
 */
export function causalBlueprint({ family, config }: ParsedConfig, encoding: Encoding): CausalLM {
  return asCausalLM(blueprint(family, config, encoding), 'train');
}

/** The model of a config.json, without memory. */
export function blueprintOf({ family, config, quantization }: ParsedConfig): Model {
  return blueprint(family, config, quantization ?? 'f32');
}

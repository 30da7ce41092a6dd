/**
 * Adapters of linear layers (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models"): which layers have one, their
 * parameters, and what they record:  y = x · W + b + scale · (x · Aᵀ) · Bᵀ
 */
import { ConfigError } from '../../errors.ts';
import {
  completeLoraConfig,
  type LoraConfig,
  type LoraOptions,
  loraNames,
  loraScale,
  targetLayers,
} from '../../formats/index.ts';
import type { AdaptedLayer } from '../../graph/graph.ts';
import { adaptedLinear } from '../../graph/ops/low-rank.ts';
import { type ParameterSpec, type ParameterTable, productSize } from '../../graph/parameters.ts';
import { drop } from '../../nn/dropout.ts';
import { constant, normal } from '../../nn/scope.ts';
import type { CausalLM } from '../model.ts';

/** What is added to a linear layer: scale · (x · Aᵀ) · Bᵀ (graph/ops/low-rank.ts). */
export interface Adapter {
  /** Names of the parameters A [rank, in] and B [out, rank]. */
  readonly a: string;
  readonly b: string;
  readonly scale: number;
  /** Share of x that is set to 0 in training. */
  readonly dropout: number;
}

/** The adapters of layers, by the names of the layers. */
export function adaptersOf(lora: LoraConfig, layers: readonly string[]): ReadonlyMap<string, Adapter> {
  const [scale, { dropout }] = [loraScale(lora), lora];
  return new Map(layers.map((layer) => [layer, { ...loraNames(layer), scale, dropout }]));
}

/** The name of an option in a message. */
type NameOption = (option: keyof LoraConfig) => string;

/**
 * Completes options with their defaults, the target layers with those of the model's family.
 * @param where what messages name: a function, a command
 * @returns the options, and the layers that they name, in the order of the forward pass
 * @throws ConfigError for an option out of its range, a target that is no linear layer, or a model that has adapters
 */
export function resolveLora(
  model: CausalLM,
  options: LoraOptions,
  where: string,
  nameOption?: NameOption,
): { lora: LoraConfig; layers: string[] } {
  const targetModules = options.targetModules ?? model.family.adapterTargets;
  const lora = completeLoraConfig({ ...options, targetModules }, where, nameOption);
  return { lora, layers: targetLayers(lora, linearLayers(model), where, nameOption) };
}

/** The layers of a model that can be adapted, in the order of the forward pass. */
export function linearLayers(model: CausalLM): string[] {
  if (model.blocks.adapters)
    throw new ConfigError(
      'lora: expected a model without adapters, got one that has them. Merge or unload them first.',
    );
  const isLinear = ({ layer, product }: ParameterSpec) => layer === 'Linear' && product !== undefined;
  return model.parameters.list.filter(isLinear).map(({ name }) => name.slice(0, -'.weight'.length));
}

/** Records a linear layer with its adapter. */
export function adaptedLayer({ a, b, scale, dropout: p }: Adapter): AdaptedLayer {
  return (graph, name, x, weight, options, dropout) => {
    const input = drop(graph, `${name} adapter dropout`, x, p, { dropout });
    return adaptedLinear(graph, name, x, weight, options, {
      input,
      a: graph.parameter(a),
      b: graph.parameter(b),
      scale,
    });
  };
}

/** The parameters of adapters, as PEFT has them: A [rank, in] and B [out, rank] of each layer. B is 0, so that nothing is added at first. */
export function loraParameters(base: ParameterTable, { rank }: LoraConfig, layers: readonly string[]): ParameterSpec[] {
  return layers.flatMap((layer) => {
    const { inputs, outputs } = productSize(base.get(`${layer}.weight`));
    const { a, b } = loraNames(layer);
    return [
      { name: a, shape: [rank, inputs], layer: 'LoRA', init: normal(1 / Math.sqrt(3 * inputs)) },
      { name: b, shape: [outputs, rank], layer: 'LoRA', init: constant(0) },
    ];
  });
}

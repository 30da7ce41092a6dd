/** The layers of a transformer, each named after its parameters: `transformer.h.0.attn.c_attn` + `.weight`, `.bias`. */
import type { Graph } from '../graph/graph.ts';
import { attention, cachedAttention } from '../graph/ops/attention.ts';
import { type ActivationName, dropout, gelu } from '../graph/ops/elementwise.ts';
import { layerNorm } from '../graph/ops/layer-norm.ts';
import { adaptedLinear } from '../graph/ops/low-rank.ts';
import { linear } from '../graph/ops/matmul.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { RowInputs } from './rows.ts';

/** x · weight + bias, weight stored [in, out] (transformers calls it Conv1D), and what an adapter adds to it. */
export function conv1d(graph: Graph, name: string, x: Tensor, { dropoutSource }: RowInputs): Tensor {
  const weight = graph.parameter(`${name}.weight`);
  const bias = graph.parameter(`${name}.bias`);
  const adapter = graph.adapter(name);
  if (!adapter) return linear(graph, name, x, weight, { bias });
  const [a, b] = [graph.parameter(adapter.a), graph.parameter(adapter.b)];
  const input = dropout(graph, `${name} adapter dropout`, x, adapter.dropout, dropoutSource);
  return adaptedLinear(graph, name, x, weight, bias, { input, a, b, scale: adapter.scale });
}

/** Layer norm with learned scale and shift. */
export function norm(graph: Graph, name: string, x: Tensor, epsilon: number): Tensor {
  return layerNorm(graph, name, x, graph.parameter(`${name}.weight`), graph.parameter(`${name}.bias`), epsilon);
}

export interface BlockOptions {
  readonly nHead: number;
  readonly activation: ActivationName;
  readonly layerNormEpsilon: number;
  readonly attnDropout: number;
  readonly residDropout: number;
}

/** Masked multi-head self-attention: one product for queries, keys and values, one for the output. */
export function selfAttention(
  graph: Graph,
  name: string,
  x: Tensor,
  inputs: RowInputs,
  layer: number,
  options: BlockOptions,
): Tensor {
  const qkv = conv1d(graph, `${name}.c_attn`, x, inputs); // [rows, 3C]
  const cache = inputs.caches?.[layer];
  const mixed = cache
    ? cachedAttention(graph, name, qkv, cache, inputs.segments, options.nHead)
    : attention(graph, name, qkv, inputs.segments, {
        heads: options.nHead,
        causal: true,
        dropout: options.attnDropout,
        dropoutSource: inputs.dropoutSource,
      }); // [rows, C]
  const out = conv1d(graph, `${name}.c_proj`, mixed, inputs);
  return dropout(graph, `${name}.dropout`, out, options.residDropout, inputs.dropoutSource);
}

/** The position-wise feed-forward network: widen, activate, narrow. */
export function feedForward(graph: Graph, name: string, x: Tensor, inputs: RowInputs, options: BlockOptions): Tensor {
  const hidden = gelu(graph, `${name}.act`, conv1d(graph, `${name}.c_fc`, x, inputs), options.activation); // [rows, nInner]
  const out = conv1d(graph, `${name}.c_proj`, hidden, inputs);
  return dropout(graph, `${name}.dropout`, out, options.residDropout, inputs.dropoutSource);
}

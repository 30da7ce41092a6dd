/** The layers of a transformer, each named after its parameters: `transformer.h.0.attn.c_attn` + `.weight`, `.bias`. */
import type { Graph } from '../graph/graph.ts';
import { type ActivationName, gelu } from '../graph/ops/elementwise.ts';
import { layerNorm } from '../graph/ops/layer-norm.ts';
import { linear } from '../graph/ops/matmul.ts';
import { columnsOf, type Tensor } from '../graph/tensor.ts';
import type { RowInputs } from './rows.ts';

/** x · weight + bias, weight stored [in, out] (transformers calls it Conv1D), and what an adapter adds to it. */
export function conv1d(graph: Graph, name: string, x: Tensor, { dropout }: RowInputs): Tensor {
  const weight = graph.parameter(`${name}.weight`);
  const bias = graph.parameter(`${name}.bias`);
  const adapted = graph.parameters.adapters?.get(name);
  return adapted ? adapted(graph, name, x, weight, bias, dropout) : linear(graph, name, x, weight, { bias });
}

/** Dropout of probability p, where there is any. */
export function drop(
  graph: Graph,
  label: string,
  x: Tensor,
  p: number,
  { dropout }: Pick<RowInputs, 'dropout'>,
): Tensor {
  return dropout?.(graph, label, x, p) ?? x;
}

/** Layer norm with learned scale and shift. */
export function norm(graph: Graph, name: string, x: Tensor, epsilon: number): Tensor {
  return layerNorm(graph, name, x, graph.parameter(`${name}.weight`), graph.parameter(`${name}.bias`), epsilon);
}

export interface BlockOptions {
  readonly nHead: number;
  /** Share of the attention weights that is set to 0 in training. */
  readonly attnDropout: number;
  readonly activation: ActivationName;
  readonly layerNormEpsilon: number;
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
  const [query, key, value] = [0, 1, 2].map((part) => columnsOf(qkv, part * x.cols, x.cols)) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const heads = { heads: options.nHead, dropout: options.attnDropout };
  const mixed = inputs.attend(graph, name, { query, key, value }, layer, heads); // [rows, C]
  const out = conv1d(graph, `${name}.c_proj`, mixed, inputs);
  return drop(graph, `${name}.dropout`, out, options.residDropout, inputs);
}

/** The position-wise feed-forward network: widen, activate, narrow. */
export function feedForward(graph: Graph, name: string, x: Tensor, inputs: RowInputs, options: BlockOptions): Tensor {
  const hidden = gelu(graph, `${name}.act`, conv1d(graph, `${name}.c_fc`, x, inputs), options.activation); // [rows, nInner]
  const out = conv1d(graph, `${name}.c_proj`, hidden, inputs);
  return drop(graph, `${name}.dropout`, out, options.residDropout, inputs);
}

/** Multi-head self-attention (Vaswani et al. 2017, §3.2.2). */
import type { Graph } from '../graph/graph.ts';
import type { QueryKeyValue } from '../graph/ops/attention-heads.ts';
import { columnsOf, type Tensor } from '../graph/tensor.ts';
import { drop } from './dropout.ts';
import type { Linear } from './linear.ts';
import type { AttendOptions, RowInputs } from './rows.ts';
import type { Scope } from './scope.ts';

/** Three products, of width heads · headSize for queries and keyValueHeads · headSize for keys and values. */
export interface Projections {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
}

/** The linear layers and heads of self-attention. */
export interface SelfAttentionOptions extends AttendOptions {
  /** Queries, keys and values by three products, or side by side by one, which is read faster. */
  readonly projection: Linear | Projections;
  /** From the heads' outputs, side by side, back to the width of the input. */
  readonly output: Linear;
  /** Share of the outputs that training sets to 0; `dropout` is that of the attention weights. */
  readonly outputDropout: number;
}

/** Multi-head self-attention, with or without a key-value cache. */
export class SelfAttention {
  readonly #name: string;
  readonly #options: SelfAttentionOptions;

  constructor({ path }: Scope, options: SelfAttentionOptions) {
    this.#name = path;
    this.#options = options;
  }

  /**
   * x [rows, width] → [rows, width]. `inputs` decides which rows see each other.
   * @param layer whose cache it is, where there is one
   */
  record(graph: Graph, x: Tensor, inputs: RowInputs, layer: number): Tensor {
    const { projection, output, outputDropout, ...options } = this.#options;
    const projected =
      'query' in projection ? separate(graph, projection, x, inputs) : fused(graph, projection, x, inputs, options);
    const mixed = inputs.attend(graph, this.#name, projected, layer, options); // [rows, heads · headSize]
    return drop(graph, `${this.#name}.dropout`, output.record(graph, mixed, inputs), outputDropout, inputs);
  }
}

/** One product, whose columns are queries, keys and values. */
function fused(
  graph: Graph,
  projection: Linear,
  x: Tensor,
  inputs: RowInputs,
  { heads, keyValueHeads = heads }: AttendOptions,
): QueryKeyValue {
  const all = projection.record(graph, x, inputs); // [rows, (heads + 2 · keyValueHeads) · headSize]
  const headSize = all.cols / (heads + 2 * keyValueHeads);
  const [queries, keys] = [heads * headSize, keyValueHeads * headSize];
  return {
    query: columnsOf(all, 0, queries),
    key: columnsOf(all, queries, keys),
    value: columnsOf(all, queries + keys, keys),
  };
}

function separate(graph: Graph, { query, key, value }: Projections, x: Tensor, inputs: RowInputs): QueryKeyValue {
  return {
    query: query.record(graph, x, inputs),
    key: key.record(graph, x, inputs),
    value: value.record(graph, x, inputs),
  };
}

/** Multi-head self-attention (Vaswani et al. 2017, §3.2.2). */
import type { Graph } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop } from './dropout.ts';
import type { Linear } from './linear.ts';
import type { RowInputs } from './rows.ts';
import type { Scope } from './scope.ts';

export interface SelfAttentionOptions {
  /** Queries, keys and values by one product: [width, 3 · width]. */
  readonly projection: Linear;
  /** [width, width]. */
  readonly output: Linear;
  readonly heads: number;
  /** Share of the attention weights, and of the outputs, that training sets to 0. */
  readonly attentionDropout: number;
  readonly outputDropout: number;
}

export class SelfAttention {
  readonly #name: string;
  readonly #options: SelfAttentionOptions;

  constructor({ path }: Scope, options: SelfAttentionOptions) {
    this.#name = path;
    this.#options = options;
  }

  /**
   * x [rows, width] → [rows, width]. Which rows see each other is the business of `inputs`.
   * @param layer whose cache it is, where there is one
   */
  record(graph: Graph, x: Tensor, inputs: RowInputs, layer: number): Tensor {
    const { projection, output, heads, attentionDropout, outputDropout } = this.#options;
    const qkv = projection.record(graph, x, inputs); // [rows, 3 · width]
    const mixed = inputs.attend(graph, this.#name, qkv, layer, { nHead: heads, attnDropout: attentionDropout }); // [rows, width]
    return drop(graph, `${this.#name}.dropout`, output.record(graph, mixed, inputs), outputDropout, inputs);
  }
}

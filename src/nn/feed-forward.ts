/** The position-wise feed-forward network (Vaswani et al. 2017, §3.3): widen, activate, narrow. */
import type { Graph } from '../graph/graph.ts';
import { type ActivationName, activate } from '../graph/ops/elementwise.ts';
import type { Tensor } from '../graph/tensor.ts';
import { drop } from './dropout.ts';
import type { Linear } from './linear.ts';
import type { RowInputs } from './rows.ts';
import type { Scope } from './scope.ts';

/** The two linear layers of a feed-forward network, and what is between them. */
export interface FeedForwardOptions {
  /** [width, inner]. */
  readonly up: Linear;
  /** [inner, width]. */
  readonly down: Linear;
  readonly activation: ActivationName;
  /** Share of the outputs that training sets to 0. */
  readonly dropout: number;
}

/** The position-wise feed-forward network: down(activation(up(x))). */
export class FeedForward {
  readonly #name: string;
  readonly #options: FeedForwardOptions;

  constructor({ path }: Scope, options: FeedForwardOptions) {
    this.#name = path;
    this.#options = options;
  }

  /** x [rows, width] → [rows, width]. */
  record(graph: Graph, x: Tensor, inputs: RowInputs): Tensor {
    const { up, down, activation, dropout } = this.#options;
    const hidden = activate(graph, `${this.#name}.act`, up.record(graph, x, inputs), activation); // [rows, inner]
    return drop(graph, `${this.#name}.dropout`, down.record(graph, hidden, inputs), dropout, inputs);
  }
}

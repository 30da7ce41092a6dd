/** Normalization of rows. */
import type { Graph } from '../graph/graph.ts';
import { layerNorm } from '../graph/ops/layer-norm.ts';
import type { Tensor } from '../graph/tensor.ts';
import { constant, type Scope } from './scope.ts';

/** Layer normalization with learned scale and shift (Ba, Kiros & Hinton 2016). */
export class LayerNorm {
  readonly #name: string;
  readonly #weight: string;
  readonly #bias: string;
  readonly #epsilon: number;

  constructor(scope: Scope, width: number, epsilon: number) {
    this.#name = scope.path;
    this.#weight = scope.declare('weight', { shape: [width], init: constant(1), layer: 'LayerNorm' });
    this.#bias = scope.declare('bias', { shape: [width], init: constant(0), layer: 'LayerNorm' });
    this.#epsilon = epsilon;
  }

  /** x [rows, width] → [rows, width]. */
  record(graph: Graph, x: Tensor): Tensor {
    const [weight, bias] = [graph.parameter(this.#weight), graph.parameter(this.#bias)];
    return layerNorm(graph, this.#name, x, weight, bias, this.#epsilon);
  }
}

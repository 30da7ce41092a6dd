/** Normalization of rows. */
import type { Graph } from '../graph/graph.ts';
import { layerNorm, type RmsNormOptions, rmsNorm } from '../graph/ops/norm.ts';
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

/** Root mean square normalization with learned scale (Zhang & Sennrich 2019). */
export class RMSNorm {
  readonly #name: string;
  readonly #weight: string;
  readonly #options: RmsNormOptions;

  /** New weights scale by 1, however they are stored. */
  constructor(scope: Scope, width: number, options: RmsNormOptions) {
    this.#name = scope.path;
    this.#weight = scope.declare('weight', {
      shape: [width],
      init: constant(1 - (options.offset ?? 0)),
      layer: 'RMSNorm',
    });
    this.#options = options;
  }

  /** x [rows, width] → [rows, width]. */
  record(graph: Graph, x: Tensor): Tensor {
    return rmsNorm(graph, this.#name, x, graph.parameter(this.#weight), this.#options);
  }
}

/** A linear layer: x · W + b. */
import type { Graph } from '../graph/graph.ts';
import { linear } from '../graph/ops/matmul.ts';
import type { Initializer } from '../graph/parameters.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { RowInputs } from './rows.ts';
import { constant, type Scope } from './scope.ts';

/** Shape and layout of a linear layer. */
export interface LinearOptions {
  /** Columns of the input, 1 or more. */
  readonly inputs: number;
  /** Columns of the output, 1 or more. */
  readonly outputs: number;
  /** Of the weight; the bias starts from 0. */
  readonly init: Initializer;
  /** How files store the weight: [in, out] (transformers' Conv1D) or [out, in] (PyTorch's Linear). */
  readonly layout: 'in-out' | 'out-in';
  /** Whether it adds a bias [out]. Default true. */
  readonly bias?: boolean;
}

/** A linear layer, x · W + b, under the names `weight` and `bias`; LoRA can adapt it. */
export class Linear {
  /** Name of the layer, by which adapters find it. */
  readonly name: string;
  readonly #weight: string;
  readonly #bias: string | undefined;
  readonly #transposed: boolean;

  constructor(scope: Scope, { inputs, outputs, init, layout, bias = true }: LinearOptions) {
    this.name = scope.path;
    this.#transposed = layout === 'out-in';
    const shape = this.#transposed ? [outputs, inputs] : [inputs, outputs];
    this.#weight = scope.declare('weight', { shape, init, product: layout, layer: 'Linear' });
    this.#bias = bias ? scope.declare('bias', { shape: [outputs], init: constant(0), layer: 'Linear' }) : undefined;
  }

  /** x [rows, in] → [rows, out], and what an adapter of this layer adds to it. */
  record(graph: Graph, x: Tensor, { dropout }: Pick<RowInputs, 'dropout'>): Tensor {
    const weight = graph.parameter(this.#weight);
    const options = {
      bias: this.#bias === undefined ? undefined : graph.parameter(this.#bias),
      transposed: this.#transposed,
    };
    const adapted = graph.parameters.adapters?.get(this.name);
    return adapted
      ? adapted(graph, this.name, x, weight, options, dropout)
      : linear(graph, this.name, x, weight, options);
  }
}

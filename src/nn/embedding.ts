/** A table of vectors, one for each token id or position. */
import type { Graph } from '../graph/graph.ts';
import { embedding } from '../graph/ops/embedding.ts';
import type { Initializer } from '../graph/parameters.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { Rows } from './rows.ts';
import type { Scope } from './scope.ts';

/** Shape of a table of vectors. */
export interface EmbeddingOptions {
  /** Rows of the table. */
  readonly count: number;
  /** Columns of the table. */
  readonly width: number;
  readonly init: Initializer;
  /** Whether an output layer reads the same table as [out, in], so that it takes the dtype of products. Default false. */
  readonly tied?: boolean;
}

/** A table of vectors [count, width], under the name `weight`. */
export class Embedding {
  /** Whole name of the table. */
  readonly weight: string;

  constructor(scope: Scope, { count, width, init, tied = false }: EmbeddingOptions) {
    const declaration = { shape: [count, width], init, layer: 'Embedding' };
    this.weight = scope.declare('weight', tied ? { ...declaration, product: 'out-in' } : declaration);
  }

  /** The table [count, width]. */
  table(graph: Graph): Tensor {
    return graph.parameter(this.weight);
  }
}

/**
 * Records the input of a transformer: tokens[id] + positions[position] of each row.
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param inputs the rows of the run: their number, token ids and positions
 * @param tokens table with a vector for each token id
 * @param positions table with a vector for each position, of the same width
 * @returns hidden states [rows, width]
 * @example
 * const x = embedTokens(graph, 'embedding', inputs, this.#tokens, this.#positions);
 */
export function embedTokens(
  graph: Graph,
  label: string,
  { rows, tokens: ids, positions: places }: Pick<Rows, 'rows' | 'tokens' | 'positions'>,
  tokens: Embedding,
  positions: Embedding,
): Tensor {
  return embedding(graph, label, rows, ids, places, tokens.table(graph), positions.table(graph));
}

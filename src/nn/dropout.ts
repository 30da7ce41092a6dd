/** Dropout where a model's inputs have it: in training. */
import type { Graph } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { RowInputs } from './rows.ts';

/**
 * Records dropout in training: elements are set to 0 with probability p, the others scaled by 1 / (1 − p).
 * @param graph the graph that records it
 * @param label layer and operation, for profiles and messages
 * @param x [rows, columns]
 * @param p share of the elements that is set to 0, 0 ≤ p < 1
 * @param inputs the inputs of the forward pass, which have dropout in training only
 * @returns the same shape; x itself where there is no dropout
 * @example
 * x = drop(graph, 'drop', x, config.embdDropout, inputs);
 */
export function drop(
  graph: Graph,
  label: string,
  x: Tensor,
  p: number,
  { dropout }: Pick<RowInputs, 'dropout'>,
): Tensor {
  return dropout?.(graph, label, x, p) ?? x;
}

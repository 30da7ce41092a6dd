/** Dropout where a model's inputs have it: in training. */
import type { Graph } from '../graph/graph.ts';
import type { Tensor } from '../graph/tensor.ts';
import type { RowInputs } from './rows.ts';

/** x with elements set to 0 with probability p; x itself where there is no dropout. */
export function drop(
  graph: Graph,
  label: string,
  x: Tensor,
  p: number,
  { dropout }: Pick<RowInputs, 'dropout'>,
): Tensor {
  return dropout?.(graph, label, x, p) ?? x;
}

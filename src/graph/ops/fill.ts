/** Tensors and blocks of one value. */

import * as op from '../../abi/index.ts';
import { f32Word, type Graph } from '../graph.ts';
import type { Region, Tensor } from '../tensor.ts';

/** Records tensor = value. */
export function recordFill(graph: Graph, label: string, tensor: Tensor, value: number): void {
  graph.record({
    opcode: op.OP_FILL,
    label,
    fields: [
      [op.FILL_OUT, tensor],
      [op.FILL_ROWS, tensor.rows],
      [op.FILL_COLS, tensor.cols],
      [op.FILL_VALUE, f32Word(value)],
    ],
  });
}

/** Records region = value. */
export function fill(graph: Graph, label: string, region: Region, value: number): void {
  recordFill(graph, label, graph.view(region, 1, region.bytes / 4), value);
}

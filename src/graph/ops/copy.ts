/** Copies, and sums in place. */

import * as op from '../../abi/index.ts';
import type { Graph } from '../graph.ts';
import type { Tensor } from '../tensor.ts';

/** Records out = inp, or out += inp with `accumulate`, of equal shape. */
export function recordCopy(graph: Graph, label: string, out: Tensor, inp: Tensor, accumulate: boolean): void {
  graph.record({
    opcode: op.OP_COPY,
    label,
    fields: [
      [op.COPY_OUT, out],
      [op.COPY_INP, inp],
      [op.COPY_ROWS, inp.rows],
      [op.COPY_COLS, inp.cols],
      [op.COPY_FLAGS, accumulate ? op.FLAG_ACCUMULATE : 0],
    ],
  });
}

/** The sum of a block of floats. */

import * as op from '../../abi/index.ts';
import type { Graph } from '../graph.ts';
import type { Region } from '../tensor.ts';

/** out = Σ of a region's first `count` floats, added in order. */
export function sum(graph: Graph, label: string, out: Region, inp: Region, count: number): void {
  graph.record({
    opcode: op.OP_SUM,
    label,
    fields: [
      [op.SUM_OUT, out],
      [op.SUM_INP, inp],
      [op.SUM_ROWS, 1],
      [op.SUM_COLS, count],
    ],
  });
}

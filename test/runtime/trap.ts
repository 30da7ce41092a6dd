/** A plan that ends in a trap, of every thread but the first where there are several. */

import * as op from '../../src/abi/index.ts';
import { Graph } from '../../src/graph/graph.ts';
import { ParameterTable } from '../../src/graph/parameters.ts';
import { Plan } from '../../src/graph/plan.ts';
import type { Engine } from '../../src/runtime/engine.ts';

const SHARE_BYTES = 1 << 20;

/**
 * Adds up a region of which only the first MiB is memory: thread 0's share, and the last that there is. A run of it alone
 * has two shares, of which it reaches the second itself. (Sums are dealt in as many shares as there are threads.)
 */
export async function trapBehindThread0(engine: Engine): Promise<Plan> {
  const gap = await engine.allocate(SHARE_BYTES, 'room for the plan');
  const address = await engine.allocate(SHARE_BYTES, 'the share of thread 0');
  engine.release(gap);
  const graph = new Graph({ table: new ParameterTable([]), weights: { label: 'none', bytes: 0, address: 64 } });
  const bytes = SHARE_BYTES * Math.max(2, engine.threads);
  const region = { label: 'too large', bytes, address };
  graph.record({
    opcode: op.OP_ADD,
    label: 'sum',
    fields: [
      [op.ADD_OUT, region],
      [op.ADD_A, region],
      [op.ADD_B, region],
      [op.ADD_ROWS, 1],
      [op.ADD_COLS, bytes / 4],
    ],
  });
  return Plan.compile(engine, graph, 'a plan that traps');
}

/**
 * How token ids enter a plan. A plan works on rows; each row is one (token, position), and segments say which rows
 * follow each other in the same sequence. Training batches, prefill, decoding and several prompts at once differ only here.
 */

import { SEGMENT_WORDS } from '../abi/index.ts';
import type { Dropout, Graph } from '../graph/graph.ts';
import type { HeadOptions, QueryKeyValue, Segments } from '../graph/ops/attention-heads.ts';
import type { Plan } from '../graph/plan.ts';
import type { Extent, Region, Size, Tensor } from '../graph/tensor.ts';

/** The rows of a run. */
export interface Rows {
  readonly rows: Extent;
  /** i32[rows]. */
  readonly tokens: Region;
  /** i32[rows]. */
  readonly positions: Region;
  readonly segments: Segments;
}

/** What a model's forward pass reads. */
export interface RowInputs extends Rows {
  /** Lets rows attend to their sequence: to what a layer's cache holds of it (models/inference/), or whole (whole-sequences.ts). */
  attend(graph: Graph, name: string, inputs: QueryKeyValue, layer: number, options: AttendOptions): Tensor;
  /** Absent: no dropout. */
  readonly dropout?: Dropout | undefined;
}

export interface AttendOptions extends HeadOptions {
  /** Whether rows see only themselves and earlier rows. Default true; with a cache always. */
  readonly causal?: boolean | undefined;
  /** Share of the attention weights that is set to 0 in training. Default 0. */
  readonly dropout?: number | undefined;
}

/** Rows of one sequence in a run. */
export interface RowGroup {
  readonly tokens: ArrayLike<number>;
  /** Position of the first token in its sequence. Default 0. */
  readonly position?: number;
  /** Which slot of the cache holds the sequence. Default 0. */
  readonly slot?: number;
}

/** Rows whose sizes each run sets anew. */
export interface DynamicRows extends Rows {
  readonly rows: Size;
  readonly segments: Segments & { readonly count: Size };
}

/** Up to `maxRows` rows in up to `maxSegments` sequences: inference. `maxLength` is the longest sequence. */
export function dynamicRows(graph: Graph, maxRows: number, maxSegments: number, maxLength: number): DynamicRows {
  return {
    rows: graph.size('rows', maxRows),
    tokens: graph.region('tokens', maxRows),
    positions: graph.region('positions', maxRows),
    segments: {
      table: graph.region('segments', maxSegments * SEGMENT_WORDS),
      count: graph.size('segments', maxSegments),
      maxLength,
    },
  };
}

/** Writes the rows of the next run; returns the first row of each group. Ids must have been checked. */
export function writeRows(plan: Plan, inputs: Rows, groups: readonly RowGroup[]): number[] {
  const count = groups.reduce((sum, group) => sum + group.tokens.length, 0);
  const tokens = new Int32Array(count);
  const positions = new Int32Array(count);
  const table = new Int32Array(groups.length * SEGMENT_WORDS);
  const starts: number[] = [];
  let row = 0;
  groups.forEach(({ tokens: ids, position = 0, slot = 0 }, index) => {
    tokens.set(ids, row);
    for (let i = 0; i < ids.length; i++) positions[row + i] = position + i;
    table.set([row, ids.length, position, slot], index * SEGMENT_WORDS);
    starts.push(row);
    row += ids.length;
  });
  plan.write(inputs.tokens, tokens);
  plan.write(inputs.positions, positions);
  plan.write(inputs.segments.table, table);
  if (typeof inputs.rows !== 'number') plan.setSize(inputs.rows, count);
  if (typeof inputs.segments.count !== 'number') plan.setSize(inputs.segments.count, groups.length);
  return starts;
}

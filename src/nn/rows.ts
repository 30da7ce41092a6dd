/**
 * How token ids enter a plan. A plan works on rows; each row is one (token, position), and segments say which rows
 * follow each other in the same sequence. Training batches, prefill, decoding and several prompts at once differ only here.
 */
import type { Graph } from '../graph/graph.ts';
import { SEGMENT_WORDS } from '../graph/opcodes.ts';
import type { LayerCache, Segments } from '../graph/ops/attention.ts';
import type { DropoutSource } from '../graph/ops/elementwise.ts';
import type { Plan } from '../graph/plan.ts';
import type { Extent, Region, Size } from '../graph/tensor.ts';

/** What a model's forward pass reads. */
export interface RowInputs {
  readonly rows: Extent;
  /** i32[rows]. */
  readonly tokens: Region;
  /** i32[rows]. */
  readonly positions: Region;
  readonly segments: Segments;
  /** One cache for each layer; absent: rows attend within their segment only. */
  readonly caches?: readonly LayerCache[];
  /** Absent: no dropout. */
  readonly dropoutSource?: DropoutSource;
}

/** Rows of one sequence in a run. */
export interface RowGroup {
  readonly tokens: ArrayLike<number>;
  /** Position of the first token in its sequence. Default 0. */
  readonly position?: number;
  /** Which block of the cache belongs to the sequence. Default 0. */
  readonly slot?: number;
}

/** Row inputs whose sizes each run sets anew. */
export interface DynamicRows extends RowInputs {
  readonly rows: Size;
  readonly segments: Segments & { readonly count: Size };
}

/** Inputs for `sequences` sequences of exactly `length` rows each: training and evaluation. */
export function fixedRows(graph: Graph, sequences: number, length: number): RowInputs {
  const rows = sequences * length;
  return {
    rows,
    tokens: graph.region('tokens', rows),
    positions: graph.region('positions', rows),
    segments: { table: graph.region('segments', sequences * SEGMENT_WORDS), count: sequences, maxLength: length },
  };
}

/** Inputs for up to `maxRows` rows in up to `maxSegments` sequences: inference. `maxLength` is the longest sequence. */
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
export function writeRows(plan: Plan, inputs: RowInputs, groups: readonly RowGroup[]): number[] {
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

/** Rows that attend within their run: training, scoring, looking inside. Programs that only generate never load it. */

import { SEGMENT_WORDS } from '../abi/index.ts';
import type { Graph } from '../graph/graph.ts';
import { attention } from '../graph/ops/attention.ts';
import { type DropoutSource, dropout } from '../graph/ops/dropout.ts';
import type { RowInputs, Rows } from './rows.ts';

/**
 * Inputs of a model whose sequences are whole in these rows.
 * @param dropoutSource absent: no dropout
 */
export function wholeSequences<R extends Rows>(rows: R, dropoutSource?: DropoutSource): R & RowInputs {
  return {
    ...rows,
    attend(graph, name, inputs, _layer, options) {
      const { causal = true, dropout = 0 } = options;
      return attention(graph, name, inputs, rows.segments, { ...options, causal, dropout, dropoutSource });
    },
    dropout: dropoutSource && ((graph, label, x, p) => dropout(graph, label, x, p, dropoutSource)),
  };
}

/** Inputs for `sequences` sequences of exactly `length` rows each: training and evaluation. */
export function fixedRows(graph: Graph, sequences: number, length: number, dropoutSource?: DropoutSource): RowInputs {
  const rows = sequences * length;
  return wholeSequences(
    {
      rows,
      tokens: graph.region('tokens', rows),
      positions: graph.region('positions', rows),
      segments: { table: graph.region('segments', sequences * SEGMENT_WORDS), count: sequences, maxLength: length },
    },
    dropoutSource,
  );
}

/**
 * Programs for sequences of different lengths, packed one after the other without padding: the rows of a run are filled
 * with as many sequences as fit, and each attends within itself only.
 */

import type { TokenSequence } from '../data/index.ts';
import { Plan } from '../graph/plan.ts';
import type { CausalLM } from '../models/index.ts';
import { dynamicRows, writeRows } from '../nn/rows.ts';
import { wholeSequences } from '../nn/whole-sequences.ts';

/** Rows of a run, where no single sequence needs more: enough for matrix products to run at full speed (guess). */
const ROWS_PER_RUN = 512;

/** Cuts sequences into runs, in their order. */
export function packSequences<T extends TokenSequence>(sequences: readonly T[]): { runs: T[][]; maxRows: number } {
  const longest = Math.max(...sequences.map(({ tokens }) => tokens.length));
  const total = sequences.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const maxRows = Math.min(total, Math.max(longest, ROWS_PER_RUN));
  const runs: T[][] = [];
  let room = 0;
  for (const sequence of sequences) {
    if (sequence.tokens.length > room) {
      runs.push([]);
      room = maxRows;
    }
    runs.at(-1)!.push(sequence);
    room -= sequence.tokens.length;
  }
  return { runs, maxRows };
}

/** Losses of one run: for each row −log p(target), and 1 where the target was the likeliest. */
export interface RowLosses {
  readonly losses: Float32Array;
  readonly correct: Float32Array;
}

/** The language-model loss of packed sequences, forward only. Logits exist chunk by chunk, see `graph/ops/loss.ts`. */
export async function packedLoss(
  model: CausalLM,
  maxRows: number,
  maxSequences: number,
): Promise<{ run(sequences: readonly TokenSequence[]): Promise<RowLosses>; dispose(): void }> {
  const { blockSize } = model.config;
  const graph = model.graph();
  const inputs = wholeSequences(dynamicRows(graph, maxRows, maxSequences, Math.min(maxRows, blockSize)));
  const hidden = model.body.record(graph, inputs).at(-1)!;
  const { targets, losses, correct } = model.head.recordLoss(graph, hidden);
  const plan = await Plan.compile(model.engine, graph, `scoring ${maxRows} rows`);

  async function run(sequences: readonly TokenSequence[]): Promise<RowLosses> {
    const starts = writeRows(plan, inputs, sequences);
    const ids = new Int32Array(maxRows).fill(-1); // rows after the last sequence are not predicted
    sequences.forEach((sequence, index) => {
      ids.set(sequence.targets, starts[index]!);
    });
    plan.write(targets, ids);
    await plan.run();
    return { losses: await plan.readRegion(losses), correct: await plan.readRegion(correct) };
  }

  return { run, dispose: () => plan.dispose() };
}

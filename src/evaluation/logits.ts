/** The logits of whole sequences, a few positions at a time: those of one GPT-2 context are 206 MB. */
import { DataError } from '../errors.ts';
import type { Directory } from '../files/index.ts';
import { writeSafetensors } from '../formats/index.ts';
import { gatherRows } from '../graph/ops/embedding.ts';
import { Plan } from '../graph/plan.ts';
import { type CausalLM, checkTokens } from '../models/index.ts';
import { dynamicRows, writeRows } from '../nn/rows.ts';
import { wholeSequences } from '../nn/whole-sequences.ts';
import type { ScoreOptions } from './score.ts';

/** Positions whose logits are computed together: 13 MB of GPT-2's. */
const POSITIONS_PER_PIECE = 64;

/**
 * Logits of some positions of a row.
 *
 * @example
 * ```ts
 * for await (const { row, position, logits } of logitsOf(model, [[464, 3290]])) console.log(row, position, logits.length);
 * ```
 */
export interface LogitsPiece {
  readonly row: number;
  /** Position of the first. */
  readonly position: number;
  /** One position after the other, vocabSize values each. The array is the reader's own. */
  readonly logits: Float32Array<ArrayBuffer>;
}

/**
 * Computes the logits after every token of some rows, each row on its own, piece by piece in order.
 *
 * @param model - Any causal language model.
 * @param rows - 1 … blockSize token ids each.
 * @param options - See {@link ScoreOptions}.
 * @returns Pieces in the order of the rows, each with its logits [tokens, vocabSize].
 * @throws {DataError} For rows of another length, or ids outside the vocabulary.
 * @throws {MemoryError} When the activations do not fit beside the model.
 * @throws {DisposedError} When the model was disposed.
 * @example
 * ```ts
 * for await (const { logits } of logitsOf(model, [[464, 3290]])) console.log(logits); // 2 · vocabSize values
 * ```
 */
export async function* logitsOf(
  model: CausalLM,
  rows: readonly ArrayLike<number>[],
  { signal }: ScoreOptions = {},
): AsyncGenerator<LogitsPiece, void, undefined> {
  const { blockSize, vocabSize } = model.config;
  rows.forEach((row, index) => {
    checkTokens(row, vocabSize, `logits: row ${index}`);
    if (row.length < 1 || row.length > blockSize)
      throw new DataError(
        `logits: expected rows of 1 to ${blockSize} tokens, got ${row.length} in row ${index}. Cut longer rows into contexts.`,
      );
  });
  if (rows.length === 0) return;
  signal?.throwIfAborted();
  const longest = Math.max(...rows.map(({ length }) => length));
  const graph = model.graph();
  const inputs = wholeSequences(dynamicRows(graph, longest, 1, longest));
  graph.section('body');
  const hidden = graph.keep(model.body.record(graph, inputs).at(-1)!);
  graph.section('head');
  const count = graph.size('head rows', POSITIONS_PER_PIECE);
  const indices = graph.region('head rows', POSITIONS_PER_PIECE);
  const some = gatherRows(graph, 'some rows', hidden, indices, count);
  const out = graph.keep(model.head.record(graph, some));
  const plan = await Plan.compile(model.engine, graph, `logits of ${longest} positions`);
  try {
    for (const [row, tokens] of rows.entries()) {
      writeRows(plan, inputs, [{ tokens }]);
      await plan.run('body');
      for (let position = 0; position < tokens.length; position += count.max) {
        signal?.throwIfAborted();
        const positions = Math.min(count.max, tokens.length - position);
        plan.write(
          indices,
          Int32Array.from({ length: positions }, (_, i) => position + i),
        );
        plan.setSize(count, positions);
        await plan.run('head');
        yield { row, position, logits: await plan.read(out, positions) };
      }
    }
  } finally {
    plan.dispose();
  }
}

/**
 * Writes the logits of rows of equal length as a safetensors file with one F32 tensor, `logits` [rows, T, V]. They go to the
 * file as they are computed; only a few positions are in memory.
 *
 * @param model - Any causal language model.
 * @param rows - Token ids, all rows of the same length, 1 … blockSize.
 * @param directory - Where to.
 * @param path - Relative path of the file.
 * @param options - See {@link ScoreOptions}.
 * @throws {DataError} For rows of different lengths, and as `logitsOf`. No file is then left.
 * @example
 * ```ts
 * await writeLogits(model, [[464, 3290], [464, 3797]], await openDirectory('.'), 'logits.safetensors');
 * ```
 */
export async function writeLogits(
  model: CausalLM,
  rows: readonly ArrayLike<number>[],
  directory: Directory,
  path: string,
  options: ScoreOptions = {},
): Promise<void> {
  const length = rows[0]?.length ?? 0;
  rows.forEach((row, index) => {
    if (row.length !== length)
      throw new DataError(
        `logits: expected rows of equal length, got ${length} tokens in row 0 and ${row.length} in row ${index}. Write rows of other lengths to files of their own.`,
      );
  });
  async function* chunks() {
    for await (const { logits } of logitsOf(model, rows, options)) yield new Uint8Array(logits.buffer);
  }
  const shape = [rows.length, length, model.config.vocabSize];
  await writeSafetensors(directory, path, [{ name: 'logits', dtype: 'F32', shape, chunks }]);
}

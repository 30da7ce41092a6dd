/** Losses and logits against transformers and against forward. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataError, DisposedError } from '../../src/errors.ts';
import { logitsOf, scoreTokens, writeLogits } from '../../src/evaluation/index.ts';
import { packSequences } from '../../src/evaluation/packed.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import { forward } from '../../src/models/forward.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { readArray } from '../formats/read-tensor.ts';
import { oracle, randomTokens, tinyModel } from '../generation/models.ts';

let model: CausalLM;
let oracleRows: number[][];
beforeAll(async () => {
  model = await tinyModel();
  const { values, shape } = await oracle('input_ids');
  oracleRows = [values.slice(0, shape[1]), values.slice(shape[1])];
});
afterAll(() => model.dispose());

/** ln p of each token but the first, from logits in double precision; and whether it was the likeliest. */
async function byForward(tokens: readonly number[]): Promise<{ log: number[]; hit: number[] }> {
  const { logits } = await forward(model, tokens.slice(0, -1));
  const log: number[] = [];
  const hit: number[] = [];
  tokens.slice(1).forEach((target, i) => {
    const row = Array.from(logits.subarray(i * 512, (i + 1) * 512));
    const max = Math.max(...row);
    log.push(row[target]! - max - Math.log(row.reduce((sum, logit) => sum + Math.exp(logit - max), 0)));
    hit.push(row.indexOf(max) === target ? 1 : 0);
  });
  return { log, hit };
}

/** Logs near 6, from sums of 512 f32 terms. */
const TOLERANCE = 2e-5;

function expectClose(actual: ArrayLike<number>, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value)).toBeLessThan(TOLERANCE);
}

describe('scoreTokens', () => {
  it('gives the loss of transformers', async () => {
    const { loss, tokens, perplexity } = await scoreTokens(model, oracleRows);
    expect(tokens).toBe(62);
    expect(loss).toBeCloseTo((await oracle('loss')).values[0]!, 5);
    expect(Math.abs(perplexity / Math.exp(loss) - 1)).toBeLessThan(1e-15);
  });

  it('gives each token what forward gives it', async () => {
    const rows = [2, 9, 1, 33, 65, 17, 0].map((length, i) => randomTokens(length, i));
    rows.push((await oracle('greedy')).values); // tokens that the model finds likeliest
    const result = await scoreTokens(model, rows);
    for (const [i, row] of rows.entries()) {
      const { log, hit } = row.length > 1 ? await byForward(row) : { log: [], hit: [] };
      expectClose(result.logProbabilities[i]!, log);
      expect([...result.correct[i]!]).toEqual(hit);
    }
    expect(result.tokens).toBe(1 + 8 + 32 + 64 + 16 + 30);
    const hits = result.correct.flatMap((row) => [...row]);
    expect(hits.filter(Boolean).length).toBeGreaterThanOrEqual(24);
    expect(result.accuracy).toBe(hits.filter(Boolean).length / result.tokens);
    const logs = result.logProbabilities.flatMap((row) => [...row]);
    expect(result.loss).toBe(-logs.reduce((sum, log) => sum + log, 0) / result.tokens);
  });

  it('cuts long rows into windows that predict each token once', async () => {
    const row = randomTokens(64 * 2 + 20, 3);
    const { logProbabilities, tokens } = await scoreTokens(model, [row]);
    expect(tokens).toBe(row.length - 1);
    const windows = [row.slice(0, 65), row.slice(64, 129), row.slice(128)];
    const expected = [];
    for (const window of windows) expected.push(...(await byForward(window)).log);
    expectClose(logProbabilities[0]!, expected);
  });

  it('scores a row the same in any company, over several runs', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => randomTokens(2 + ((i * 37) % 60), i));
    const together = await scoreTokens(model, rows);
    for (const i of [0, 13, 39])
      expect((await scoreTokens(model, [rows[i]!])).logProbabilities[0]).toEqual(together.logProbabilities[i]);
    using two = await tinyModel({ threads: 2, precision: 'exact' });
    expect(await scoreTokens(two, rows)).toEqual(together);
  });

  it('frees its memory, also when it is cancelled', async () => {
    const used = model.engine.usedBytes;
    const reason = new Error('enough');
    await expect(scoreTokens(model, oracleRows, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const many = Array.from({ length: 3000 }, (_, i) => randomTokens(60, i));
    await expect(scoreTokens(model, many, { signal: AbortSignal.timeout(40) })).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    expect(model.engine.usedBytes).toBe(used);
  });

  it('says what cannot be scored', async () => {
    await expect(scoreTokens(model, [[5], []])).rejects.toThrow(
      new DataError(
        'score: expected a row of at least 2 tokens, got 2 shorter ones. The first token of a row is not predicted; put the end-of-text token in front to have it predicted too.',
      ),
    );
    await expect(
      scoreTokens(model, [
        [1, 2],
        [1, 512],
      ]),
    ).rejects.toThrow('score: row 1: expected token ids from 0 to 511, got 512 at 1.');
    const other = await tinyModel();
    other.dispose();
    await expect(scoreTokens(other, [[1, 2]])).rejects.toThrow(DisposedError);
  });
});

describe('packSequences', () => {
  it('fills runs in order, and makes none longer than it must be', () => {
    const sequences = [300, 200, 20, 600, 1, 5].map((length) => ({ tokens: new Array(length), targets: [] }));
    const { runs, maxRows } = packSequences(sequences);
    expect(maxRows).toBe(600);
    expect(runs.map((run) => run.map(({ tokens }) => tokens.length))).toEqual([[300, 200, 20], [600], [1, 5]]);
    expect(packSequences(sequences.slice(4)).maxRows).toBe(6);
  });
});

describe('logitsOf', () => {
  it('gives the bits of forward, piece by piece', async () => {
    const rows = [randomTokens(64, 1), randomTokens(30, 2)];
    const found: number[][] = [[], []];
    for await (const { row, position, logits } of logitsOf(model, rows)) {
      expect(found[row]!.length).toBe(position * 512);
      found[row]!.push(...logits);
    }
    for (const [i, row] of rows.entries()) expect(found[i]).toEqual([...(await forward(model, row)).logits]);
  });

  it('gives a position the same bits in a longer row', async () => {
    const row = randomTokens(64, 1);
    const { logits } = await forward(model, row);
    for await (const piece of logitsOf(model, [row.slice(0, 3)]))
      expect(piece.logits).toEqual(logits.slice(0, 3 * 512));
  });

  it('frees its memory on break and throws for what does not fit', async () => {
    const used = model.engine.usedBytes;
    for await (const _ of logitsOf(model, oracleRows)) break;
    expect(model.engine.usedBytes).toBe(used);
    await expect(logitsOf(model, [[1], randomTokens(65, 1)]).next()).rejects.toThrow(
      new DataError('logits: expected rows of 1 to 64 tokens, got 65 in row 1. Cut longer rows into contexts.'),
    );
  });
});

describe('writeLogits', () => {
  it('writes one tensor, as close to transformers as f32 allows', async () => {
    const directory = memoryDirectory();
    await writeLogits(model, oracleRows, directory, 'logits.safetensors');
    const file = await openSafetensors(directory, 'logits.safetensors');
    const expected = await oracle('logits');
    expect(file.names).toEqual(['logits']);
    expect(file.info('logits').shape).toEqual(expected.shape);
    expectClose((await readArray(file, 'logits')) as Float32Array, expected.values);
    await file.close();
  });

  it('leaves no file for rows of different lengths', async () => {
    const directory = memoryDirectory();
    await expect(writeLogits(model, [[1, 2], [3]], directory, 'x.safetensors')).rejects.toThrow(
      new DataError(
        'logits: expected rows of equal length, got 2 tokens in row 0 and 1 in row 1. Write rows of other lengths to files of their own.',
      ),
    );
    expect(await directory.list()).toEqual([]);
  });
});

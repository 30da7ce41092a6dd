/** generate, score, info and tokenize on one tiny model; help of all verbs. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDirectory } from '../../src/files/index.ts';
import { openSafetensors } from '../../src/formats/index.ts';
import { readFloats } from '../formats/read-tensor.ts';
import { lanewise, lastJson, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const model = folder.at('model');

beforeAll(async () => {
  await succeed(['train', '--data', text, '--out', model, ...TINY, '--steps', '40']);
  cpSync(model, folder.at('ids-only'), { recursive: true });
  rmSync(folder.at('ids-only/tokenizer.json'));
});
afterAll(() => folder.remove());

describe('generate', () => {
  const generate = (...flags: string[]) =>
    succeed(['generate', model, '--prompt', 'the whale', '--precision', 'exact', '--max-new-tokens', '30', ...flags]);

  test('streams text to stdout, nothing else', async () => {
    const { stdout, stderr } = await generate('--seed', '1');
    expect(stdout).toHaveLength(31); // 30 characters and the end of the line
    expect(stderr).toBe('');
  });

  test('--json: the same text, and every documented field', async () => {
    const { stdout: streamed } = await generate('--seed', '1');
    const { stdout } = await generate('--seed', '1', '--json', '--threads', '2');
    expect(stdout.trimEnd().split('\n')).toHaveLength(1);
    const result = lastJson(stdout);
    expect(result).toEqual({
      text: streamed.slice(0, -1),
      tokenIds: expect.any(Array),
      promptTokens: 9,
      finishReason: 'length',
      prefillTokensPerSecond: expect.any(Number),
      decodeTokensPerSecond: expect.any(Number),
      threads: 2,
      binary: 'simd128-threads',
      precision: 'exact',
      dtype: 'f32',
      runtime: `node ${process.versions.node}`,
    });
    expect(result.tokenIds).toHaveLength(30);
  });

  test('a seed gives the same text, another seed another one; temperature 0 needs none', async () => {
    const [one, again, two] = await Promise.all([
      generate('--seed', '1'),
      generate('--seed', '1'),
      generate('--seed', '2'),
    ]);
    expect(again.stdout).toBe(one.stdout);
    expect(two.stdout).not.toBe(one.stdout);
    const greedy = await generate('--temperature', '0', '--seed', '1');
    expect((await generate('--temperature', '0', '--seed', '2')).stdout).toBe(greedy.stdout);
    expect((await generate('--top-k', '1')).stdout).toBe(greedy.stdout);
  });

  test('--stop ends the text before the string', async () => {
    const { stdout: whole } = await generate('--seed', '1');
    const stop = whole.slice(10, 12);
    const { stdout } = await generate('--seed', '1', '--stop', 'never there', '--stop', stop);
    expect(stdout).toBe(`${whole.slice(0, whole.indexOf(stop))}\n`);
  });

  test('a checkpoint is a model folder', async () => {
    const { stdout } = await succeed(['generate', `${model}/checkpoints/step-00000040`, '--prompt', 'the']);
    expect(stdout.length).toBeGreaterThan(100);
  });

  test('a reader that closes the pipe is no error', async () => {
    const { code, stderr } = await lanewise(['generate', model, '--prompt', 'the', '--max-new-tokens', '20000'], {
      onStart: (child) => child.stdout!.once('data', () => child.stdout!.destroy()),
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('score', () => {
  beforeAll(() => {
    writeFileSync(folder.at('score.txt'), 'the old whale saw the ship.\n');
    writeFileSync(folder.at('rows.json'), '[[1, 2, 3, 4], [4, 3, 2, 1], [1, 2, 3, 5]]');
  });

  test('--text --json: every documented field', async () => {
    const { stdout } = await succeed(['score', model, '--text', folder.at('score.txt'), '--json', '--threads', '1']);
    const result = lastJson(stdout);
    expect(result).toEqual({
      loss: expect.any(Number),
      perplexity: expect.any(Number),
      tokens: 27,
      accuracy: expect.any(Number),
      logProbabilities: [expect.any(Array)],
      rows: 1,
      threads: 1,
      binary: expect.stringMatching(/^(simd128|relaxed)$/),
      precision: expect.stringMatching(/^(exact|fast)$/),
      dtype: 'f32',
      runtime: `node ${process.versions.node}`,
    });
    const [row] = result.logProbabilities as number[][];
    expect(row).toHaveLength(27);
    expect(result.loss).toBeCloseTo(-row!.reduce((sum, value) => sum + value, 0) / 27, 6);
    expect(result.perplexity).toBeCloseTo(Math.exp(result.loss as number), 4);
  });

  test('--text as text, --verbose for each token', async () => {
    const { stdout } = await succeed(['score', model, '--text', folder.at('score.txt'), '--verbose']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(29);
    expect(lines[0]).toMatch(/^0\t1\t\d+\t-\d+\.\d{4}\t"h"$/);
    expect(lines.at(-2)).toMatch(/^loss \d\.\d{4} {2}perplexity \d+\.\d\d {2}accuracy [\d.]+ %$/);
    expect(lines.at(-1)).toBe('27 predicted tokens');
  });

  test('--ids needs no tokenizer; each row is scored on its own', async () => {
    const args = ['score', folder.at('ids-only'), '--ids', folder.at('rows.json'), '--precision', 'exact', '--json'];
    const result = lastJson((await succeed(args)).stdout);
    const rows = result.logProbabilities as number[][];
    expect(rows.map((row) => row.length)).toEqual([3, 3, 3]);
    expect(rows[2]!.slice(0, 2)).toEqual(rows[0]!.slice(0, 2));
    expect(result).toMatchObject({ tokens: 9, rows: 3 });
  });

  test('--logits-out: [rows, T, V] in f32, which agree with the log-probabilities', async () => {
    const out = folder.at('logits.safetensors');
    const args = ['score', folder.at('ids-only'), '--ids', folder.at('rows.json'), '--precision', 'exact'];
    const { stdout } = await succeed([...args, '--logits-out', out, '--json']);
    const result = lastJson(stdout);
    expect(result.logits).toBe(out);
    const weights = await openSafetensors(await openDirectory(folder.path), 'logits.safetensors');
    const { vocab_size: V } = JSON.parse(readFileSync(`${model}/config.json`, 'utf8'));
    expect(weights.names).toEqual(['logits']);
    expect(weights.info('logits')).toMatchObject({ dtype: 'F32', shape: [3, 4, V] });
    const logits = await readFloats(weights, 'logits');
    await weights.close();
    const first = logits.subarray(0, V);
    const sum = first.reduce((total, logit) => total + Math.exp(logit), 0);
    expect((result.logProbabilities as number[][])[0]![0]).toBeCloseTo(first[2]! - Math.log(sum), 5);
  });

  test('a model of damaged weights gives JSON all the same', async () => {
    const bytes = readFileSync(`${model}/model.safetensors`);
    cpSync(model, folder.at('nan'), { recursive: true });
    bytes.fill(0xff, bytes.length - 4096);
    writeFileSync(folder.at('nan/model.safetensors'), bytes);
    const { stdout } = await succeed(['score', folder.at('nan'), '--text', folder.at('score.txt'), '--json']);
    expect(lastJson(stdout)).toMatchObject({ loss: null, perplexity: null, tokens: 27 });
  });
});

describe('info', () => {
  test('as text', async () => {
    const { stdout } = await succeed(['info', model]);
    expect(stdout).toMatch(/gpt2.*1 layers, 2 heads, 16 wide, context 16, vocabulary/);
    expect(stdout).toMatch(/parameters: [\d,]+/);
    expect(stdout).toMatch(/\nWeights: F32, [\d.]+ KiB\nTokenizer: characters, \d+ tokens\n/);
    expect(stdout).toContain('Checkpoints: steps 40, 36\n');
  });

  test('--json', async () => {
    const { stdout } = await succeed(['info', model, '--json']);
    expect(lastJson(stdout)).toEqual({
      dir: model,
      family: 'gpt2',
      config: expect.objectContaining({ nLayer: 1, nHead: 2, nEmbd: 16, blockSize: 16 }),
      parameters: expect.any(Number),
      weightBytes: expect.any(Number),
      dtypes: ['F32'],
      tokenizer: { type: 'characters', vocabSize: expect.any(Number) },
      checkpoints: [40, 36],
    });
  });

  test('a folder without tokenizer, and one of a run that has not finished', async () => {
    expect((await succeed(['info', folder.at('ids-only')])).stdout).toContain('Tokenizer: none in the folder');
    cpSync(`${model}/checkpoints`, folder.at('unfinished/checkpoints'), { recursive: true });
    expect((await succeed(['info', folder.at('unfinished')])).stdout).toContain('a run that has not finished');
  });
});

describe('tokenize', () => {
  test('stdin to ids and back, exactly', async () => {
    const input = '\u{feff}the whale – ü\r\n';
    await succeed([
      'train',
      '--data',
      text,
      '--out',
      folder.at('bpe'),
      ...TINY,
      '--tokenizer',
      'bpe:280',
      '--steps',
      '1',
    ]);
    const { stdout: ids } = await succeed(['tokenize', folder.at('bpe')], { input });
    expect(ids).toMatch(/^\[\d+(,\d+)*\]\n$/);
    expect((await succeed(['tokenize', folder.at('bpe'), '--decode'], { input: ids })).stdout).toBe(input);
  });

  test('--text reads a file; nothing gives no ids', async () => {
    writeFileSync(folder.at('some.txt'), 'the');
    const { stdout } = await succeed(['tokenize', model, '--text', folder.at('some.txt')]);
    expect(JSON.parse(stdout)).toHaveLength(3);
    expect((await succeed(['tokenize', model])).stdout).toBe('[]\n');
  });

  test('of vocab.json and merges.txt', async () => {
    const fixture = new URL('../fixtures/bpe-training/400/', import.meta.url).pathname;
    const { stdout } = await succeed(['tokenize', fixture], { input: 'the whale' });
    expect((await succeed(['tokenize', fixture, '--decode'], { input: stdout })).stdout).toBe('the whale');
  });
});

describe('help', () => {
  test.each(['train', 'generate', 'score', 'info', 'tokenize'])('%s --help has an example', async (verb) => {
    const { stdout } = await succeed([verb, '--help']);
    expect(stdout).toContain(`Usage: lanewise ${verb} [options]`);
    expect(stdout).toMatch(new RegExp(`Example:\n.*lanewise ${verb}`));
  });

  test('without a verb, and --version', async () => {
    expect((await succeed([])).stdout).toContain('Usage: lanewise [options] [command]');
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect((await succeed(['--version'])).stdout).toBe(`${version}\n`);
  });
});

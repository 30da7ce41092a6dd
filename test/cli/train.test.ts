/** `lanewise train`: what it writes, and what its options do. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lanewise, lastJson, sha256, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const train = (out: string, ...flags: string[]) =>
  succeed(['train', '--data', text, '--out', folder.at(out), ...TINY, ...flags]);
const weights = (out: string) => sha256(folder.at(`${out}/model.safetensors`));

beforeAll(() => train('reference', '--threads', '1', '--log', folder.at('log.jsonl')));
afterAll(() => folder.remove());

test('writes a model folder, checkpoints and nothing else', () => {
  expect(readdirSync(folder.at('reference')).sort()).toEqual([
    'checkpoints',
    'config.json',
    'model.safetensors',
    'tokenizer.json',
  ]);
  expect(readdirSync(folder.at('reference/checkpoints'))).toEqual(['step-00000010', 'step-00000012']);
  const config = JSON.parse(readFileSync(folder.at('reference/config.json'), 'utf8'));
  expect(config).toMatchObject({ model_type: 'gpt2', n_layer: 1, n_head: 2, n_embd: 16, n_positions: 16 });
});

test('--json: the last line of stdout has every documented field', async () => {
  const { stdout, stderr } = await train('json', '--threads', '2', '--json');
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  const result = lastJson(stdout);
  const characters = [...readFileSync(text, 'utf8')].length;
  expect(result).toEqual({
    step: 12,
    loss: expect.any(Number),
    evalLoss: expect.any(Number),
    evalAccuracy: expect.any(Number),
    // The last 10 % of the tokens, all but the first of which are predicted.
    evalTokens: characters - Math.floor(characters * 0.9) - 1,
    tokensPerSecond: expect.any(Number),
    seconds: expect.any(Number),
    resumedFrom: 0,
    reason: 'steps',
    parameters: expect.any(Number),
    out: folder.at('json'),
    threads: 2,
    binary: 'simd128-threads',
    precision: 'exact',
    runtime: `node ${process.versions.node}`,
  });
  expect(result.loss).toBeLessThan(3);
  expect(stderr).toMatch(/12\/12 {2}loss \d\.\d+ {2}[\d,]+ tokens\/s/);
  expect(weights('json')).toBe(weights('reference')); // 1 and 2 threads, the same bits
});

test('without --json: a summary', async () => {
  const { stdout } = await train('plain');
  expect(stdout).toMatch(/^12 steps; loss \d\.\d{4}; on unseen text \d\.\d{4}, accuracy [\d.]+ %; [\d,]+ tokens\/s\n/);
  expect(stdout).toContain(`saved in ${folder.at('plain')}\n`);
  expect(weights('plain')).toBe(weights('reference')); // and the same again on another run
});

test('another seed gives another model', async () => {
  await train('seed', '--seed', '4');
  expect(weights('seed')).not.toBe(weights('reference'));
});

test('--beta2 reaches AdamW; its default is 0.99', async () => {
  const settings = (out: string) =>
    JSON.parse(readFileSync(folder.at(`${out}/checkpoints/step-00000012/trainer.json`), 'utf8')).settings;
  await train('beta2-default', '--beta2', '0.99');
  expect(weights('beta2-default')).toBe(weights('reference'));
  await train('beta2', '--beta2', '0.9');
  expect(weights('beta2')).not.toBe(weights('reference'));
  expect([settings('reference').beta2, settings('beta2').beta2]).toEqual([0.99, 0.9]);
});

/** The steps of a log that evaluated. */
const evaluated = (log: string) =>
  readFileSync(folder.at(log), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ evalLoss }) => evalLoss !== undefined)
    .map(({ step }) => step);

test('--log: one line for each step, evaluations among them', () => {
  const lines = readFileSync(folder.at('log.jsonl'), 'utf8').trim().split('\n');
  const steps = lines.map((line) => JSON.parse(line));
  expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  expect(evaluated('log.jsonl').at(-1)).toBe(12);
});

test('evaluates ten times by default, but takes no more than a tenth of the time for it unless asked', async () => {
  const characters = [...readFileSync(text, 'utf8')].length;
  const withBatch = async (batch: number, ...flags: string[]) => {
    const log = `eval-${batch}${flags.join('')}.jsonl`;
    await train(`eval-${batch}${flags.join('')}`, '--batch', String(batch), '--log', folder.at(log), ...flags);
    return evaluated(log);
  };
  // Of 16 tokens in each sequence, three times the work for each.
  const every = (batch: number) => Math.ceil((10 * (characters - Math.floor(characters * 0.9))) / (3 * batch * 16));
  expect(every(2)).toBeGreaterThan(12);
  expect(await withBatch(2)).toEqual([12]);
  const batch = [4, 8, 16, 32, 64, 128, 256].find((size) => every(size) < 6)!;
  const steps = Math.max(2, every(batch));
  expect(await withBatch(batch)).toEqual([
    ...Array.from({ length: 11 }, (_, i) => i + 1).filter((step) => step % steps === 0),
    12,
  ]);
  expect(await withBatch(2, '--eval-every', '3')).toEqual([3, 6, 9, 12]);
  expect(await withBatch(2, '--patience', '9')).toEqual([2, 4, 6, 8, 10, 12]);
});

test('several files are joined in order, also inside a character', async () => {
  const whole = new TextEncoder().encode(readFileSync(text, 'utf8').replaceAll('whale', 'wal ü'));
  const cut = whole.indexOf(0xbc); // the second byte of ü
  writeFileSync(folder.at('whole.txt'), whole);
  writeFileSync(folder.at('a.txt'), whole.subarray(0, cut));
  writeFileSync(folder.at('b.txt'), whole.subarray(cut));
  await succeed(['train', '--data', folder.at('whole.txt'), '--out', folder.at('whole'), ...TINY]);
  await succeed(['train', '--data', folder.at('a.txt'), folder.at('b.txt'), '--out', folder.at('parts'), ...TINY]);
  expect(weights('parts')).toBe(weights('whole'));
});

describe('--tokenizer', () => {
  const vocabSize = (out: string) => JSON.parse(readFileSync(folder.at(`${out}/config.json`), 'utf8')).vocab_size;

  test('byte and bpe:N', async () => {
    await train('byte', '--tokenizer', 'byte', '--steps', '2');
    expect(vocabSize('byte')).toBe(256);
    await train('bpe', '--tokenizer', 'bpe:270', '--steps', '2');
    expect(vocabSize('bpe')).toBe(270);
    const config = JSON.parse(readFileSync(folder.at('bpe/config.json'), 'utf8'));
    expect(config.eos_token_id).toBe(0);
  });

  test('a folder with tokenizer.json', async () => {
    await train('again', '--tokenizer', folder.at('reference'));
    expect(weights('again')).toBe(weights('reference'));
    expect(sha256(folder.at('again/tokenizer.json'))).toBe(sha256(folder.at('reference/tokenizer.json')));
  });

  test('a folder with vocab.json and merges.txt', async () => {
    const fixture = new URL('../fixtures/bpe-training/400/', import.meta.url).pathname;
    await train('merges', '--tokenizer', fixture, '--steps', '2');
    expect(vocabSize('merges')).toBe(400);
  });
});

describe('the model', () => {
  const config = (out: string) => JSON.parse(readFileSync(folder.at(`${out}/config.json`), 'utf8'));

  test('--model gpt1', async () => {
    await train('gpt1', '--model', 'gpt1', '--steps', '2');
    expect(config('gpt1').model_type).toBe('openai-gpt');
  });

  test('--config: its shape, and its vocabulary where that is larger', async () => {
    const shape = { model_type: 'gpt2', n_layer: 2, n_head: 1, n_embd: 8, n_positions: 12, vocab_size: 99 };
    const file = folder.at('given.json');
    writeFileSync(file, JSON.stringify({ ...shape, bos_token_id: null, eos_token_id: null, resid_pdrop: 0.25 }));
    const flags = ['--tokenizer', 'char', '--steps', '2', '--batch', '2'];
    await succeed(['train', '--data', text, '--out', folder.at('given'), '--config', file, ...flags, '--dropout', '0']);
    expect(config('given')).toMatchObject({ ...shape, resid_pdrop: 0 });
    const bytes = ['--tokenizer', 'byte', '--steps', '2', '--batch', '2'];
    await succeed(['train', '--data', text, '--out', folder.at('wider'), '--config', file, ...bytes]);
    expect(config('wider')).toMatchObject({ vocab_size: 256, resid_pdrop: 0.25 });
  });

  test('all options of the trainer', async () => {
    await train(
      'options',
      ...['--dropout', '0.2', '--min-lr', '0.001', '--schedule', 'linear', '--warmup', '2', '--weight-decay', '0.01'],
      ...['--clip', '0.5', '--accumulate', '2', '--eval-every', '4', '--save-every', '5', '--patience', '3'],
    );
    const state = JSON.parse(readFileSync(folder.at('options/checkpoints/step-00000012/trainer.json'), 'utf8'));
    expect(state.settings).toMatchObject({
      batchSize: 4,
      length: 16,
      learningRate: 0.01,
      minLearningRate: 0.001,
      schedule: 'linear',
      warmupSteps: 2,
      weightDecay: 0.01,
      clip: 0.5,
      accumulate: 2,
      seed: 3,
    });
  });

  test('--save-every 0 leaves no checkpoints', async () => {
    await train('no-checkpoints', '--save-every', '0');
    expect(readdirSync(folder.at('no-checkpoints/checkpoints'))).toEqual([]);
    expect(weights('no-checkpoints')).toBe(weights('reference'));
  });

  test('--patience ends a run that no longer improves', async () => {
    const { stdout } = await train('patience', '--lr', '0', '--min-lr', '0', '--patience', '2', '--json');
    expect(lastJson(stdout)).toMatchObject({ reason: 'patience', step: 6 }); // evaluations at 2, 4, 6
  });
});

test('a folder that holds a run is kept, unless --overwrite', async () => {
  const args = ['train', '--data', text, '--out', folder.at('json'), ...TINY];
  const refused = await lanewise(args);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toBe(
    `lanewise train: ${folder.at('json')}: expected a new folder, got one with checkpoints up to step 12. Continue with --resume, replace it with --overwrite, or choose another --out.\n`,
  );
  expect(weights('json')).toBe(weights('reference'));
  await succeed([...args, '--overwrite', '--steps', '3']);
  expect(readdirSync(folder.at('json/checkpoints'))).toEqual(['step-00000002', 'step-00000003']);
});

test('a folder that holds a model is kept', async () => {
  const refused = await lanewise(['train', '--data', text, '--out', folder.at('no-checkpoints'), ...TINY]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('got one with a model. Replace it with --overwrite');
});

test('what 4 GiB do not hold is refused before anything is written, and what would fit is said', async () => {
  const flags = ['--size', '1.5B', '--batch', '1', '--threads', '1'];
  const args = [
    'train',
    '--data',
    text,
    '--tokenizer',
    'byte',
    '--context',
    '16',
    '--out',
    folder.at('large'),
    ...flags,
  ];
  const { code, stderr } = await lanewise(args);
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /^lanewise train: expected at most 4,096 MiB, got [\d,]+ MiB for weights, gradients and moments alone\. No batch fits: use a smaller model\.\n$/,
  );
  expect(existsSync(folder.at('large'))).toBe(false);
});

/** Interrupted and killed training runs: what they leave behind goes on bit for bit. */
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lanewise, lastJson, type Outcome, sha256, succeed, TINY, temporaryFolder, writeText } from './support.ts';

const folder = temporaryFolder();
const text = writeText(folder.at('text.txt'));
const FLAGS = [...TINY, '--steps', '60', '--dropout', '0.1', '--save-every', '4', '--eval-every', '10'];
const args = (out: string, ...more: string[]) => ['train', '--data', text, '--out', folder.at(out), ...FLAGS, ...more];
const weights = (out: string) => sha256(folder.at(`${out}/model.safetensors`));

/** What an uninterrupted run takes, milliseconds. */
let duration = 0;
beforeAll(async () => {
  const start = performance.now();
  await succeed(args('reference', '--threads', '1'));
  duration = performance.now() - start;
});
afterAll(() => folder.remove());

describe('kill -9 at any moment', () => {
  // Moments from the start of the process, as shares of an uninterrupted run.
  test.each([
    ['early', [0.2, 0.3, 0.4, 0.5]],
    ['late', [0.5, 0.6, 0.7, 0.9]],
  ])('and --resume gives the model of an uninterrupted run: %s', async (name, moments) => {
    const kills: (NodeJS.Signals | null)[] = [];
    for (const [index, moment] of moments.entries()) {
      const more = ['--resume', '--threads', String(1 + (index % 2)), '--log', folder.at(`${name}.jsonl`)];
      const { signal } = await lanewise(args(name, ...more), {
        onStart: (child) => setTimeout(() => child.kill('SIGKILL'), moment * duration),
      });
      kills.push(signal);
    }
    expect(kills).toContain('SIGKILL');
    await succeed(args(name, '--resume', '--threads', '2', '--log', folder.at(`${name}.jsonl`)));
    expect(weights(name)).toBe(weights('reference'));
    const steps = readFileSync(folder.at(`${name}.jsonl`), 'utf8')
      .trim()
      .split('\n');
    expect(steps.map((line) => JSON.parse(line).step)).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
  });

  test('also right behind checkpoints, where files are being written', async () => {
    // The log grows in the same moment as checkpoints are saved: kill as soon as another evaluation is reported.
    let reached = 0;
    for (let attempt = 0; attempt < 4; attempt++) {
      await lanewise(args('writing', '--resume'), {
        onStderr: (so, child) => {
          const step = Number([...so.matchAll(/^step (\d+):/gm)].at(-1)?.[1] ?? 0);
          if (step > reached) {
            reached = step;
            child.kill('SIGKILL');
          }
        },
      });
    }
    expect(reached).toBeGreaterThan(0);
    await succeed(args('writing', '--resume'));
    expect(weights('writing')).toBe(weights('reference'));
  });
});

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  let stopped: Outcome;
  beforeAll(async () => {
    let sent = false;
    stopped = await lanewise(args(signal, '--save-every', '0', '--steps', '5000'), {
      onStderr: (so, child) => {
        if (sent || !so.includes('step 10:')) return;
        sent = child.kill(signal);
      },
    });
  });

  test('ends the run behind its step with exit code 130 and says how to go on', () => {
    expect(stopped).toMatchObject({ code: 130, signal: null, stdout: '' });
    expect(stopped.stderr).toMatch(
      /lanewise train: stopped after step \d+ of 5000; a checkpoint is saved\. The same command with --resume continues\.\n$/,
    );
  });

  test('saves a checkpoint, which --resume continues', async () => {
    const step = Number(/stopped after step (\d+)/.exec(stopped.stderr)![1]);
    const more = ['--save-every', '0', '--steps', '5000', '--resume'];
    let resumed = '';
    await lanewise(args(signal, ...more), {
      onStderr: (so, child) => {
        resumed = so;
        if (so.includes('resumed')) child.kill('SIGKILL');
      },
    });
    expect(resumed).toContain(`resumed after step ${step}\n`);
  });
});

test('a signal before the first step saves nothing', async () => {
  let sent = false;
  const { code, stderr } = await lanewise(args('first', '--width', '256', '--batch', '512'), {
    onStderr: (so, child) => {
      if (!sent && so.includes('engine:')) sent = child.kill('SIGINT');
    },
  });
  expect(code).toBe(130);
  expect(stderr).toMatch(
    /stopped (before the first step; nothing was saved|after step 1 of 60; a checkpoint is saved)/,
  );
});

test('--resume without a checkpoint begins', async () => {
  const { stdout } = await succeed(args('fresh', '--resume', '--json'));
  expect(lastJson(stdout)).toMatchObject({ resumedFrom: 0, step: 60 });
  expect(weights('fresh')).toBe(weights('reference'));
});

test('--resume of a finished run evaluates and saves again', async () => {
  const { stdout } = await succeed(args('fresh', '--resume', '--json'));
  expect(lastJson(stdout)).toMatchObject({ resumedFrom: 60, step: 60, loss: null, evalLoss: expect.any(Number) });
  expect(weights('fresh')).toBe(weights('reference'));
});

test.each([
  ['--width', '32', 'expected nEmbd 32, got a checkpoint with 16'],
  ['--heads', '1', 'expected nHead 1, got a checkpoint with 2'],
  ['--model', 'gpt1', 'expected model "openai-gpt", got a checkpoint with "gpt2"'],
  ['--dropout', '0.3', 'expected embdDropout 0.3, got a checkpoint with 0.1'],
  ['--lr', '0.02', 'expected learningRate 0.02, got a checkpoint with 0.01'],
  ['--seed', '9', 'expected seed 9, got a checkpoint with 3'],
  ['--tokenizer', 'byte', 'expected vocabSize 256, got a checkpoint with'],
])('--resume with another %s %s is refused', async (flag, value, message) => {
  const { code, stderr } = await lanewise(args('reference', '--resume', flag, value));
  expect(code).toBe(2);
  expect(stderr.trimEnd().split('\n').at(-1)).toContain(message);
});

test('--resume with other data is refused', async () => {
  const other = folder.at('other.txt');
  writeFileSync(other, readFileSync(text, 'utf8').replace('the', 'a'));
  const { code, stderr } = await lanewise([
    'train',
    '--data',
    other,
    '--out',
    folder.at('reference'),
    ...FLAGS,
    '--resume',
  ]);
  expect(code).toBe(2);
  expect(stderr).toContain('Resume with the data the run began with');
});

test('--resume with a damaged checkpoint is refused, and an older one is used when it is removed', async () => {
  await succeed(args('damaged'));
  writeFileSync(folder.at('damaged/checkpoints/step-00000060/trainer.json'), '{');
  const { code, stderr } = await lanewise(args('damaged', '--resume'));
  expect(code).toBe(2);
  expect(stderr).toContain('step-00000060/trainer.json: expected JSON');
});

/** `kill -9` at random moments, most of them in the middle of saving: the resumed run ends in the same weights. */

import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Random } from '../../src/random/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { digestOf, dropout, killOptions, smallData, smallModel } from './small.ts';
import { keep, temporaryFolder, train } from './support.ts';

const RUNNER = fileURLToPath(new URL('../files/run-typescript.mjs', import.meta.url));
const CHILD = fileURLToPath(new URL('run-until-killed.ts', import.meta.url));
const STEPS = 24;
const KILLS = 3;

/** Runs the child; kills it `steps` steps and some share of a step after its first, unless they are undefined. */
function run(directory: string, steps?: number): Promise<{ out: string; signal: string | null; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [RUNNER, CHILD, directory, String(STEPS)]);
    let [out, err, started] = ['', '', 0];
    child.stdout.on('data', (data) => {
      started ||= performance.now();
      out += data;
      if (steps === undefined || out.split('\n').length - 1 <= steps) return;
      const perStep = steps < 1 ? 50 : (performance.now() - started) / steps;
      setTimeout(() => child.kill('SIGKILL'), perStep * (steps % 1));
    });
    child.stderr.on('data', (data) => (err += data));
    child.on('error', reject);
    child.on('close', (_, signal) => resolve({ out, signal, err }));
  });
}

it(`${KILLS} kills, then the end`, async () => {
  const whole = keep(await smallModel(dropout(0.1)));
  await train(new Trainer(causalLanguageModel(whole), smallData(), { ...killOptions, steps: STEPS }));
  const expected = await digestOf(whole);

  const directory = await temporaryFolder();
  const seed = Number(process.env.LANEWISE_SEED ?? Date.now() % 2 ** 31);
  console.log(`kill.test: seed ${seed} (set LANEWISE_SEED to repeat)`);
  const random = new Random(seed);
  const model = keep(await smallModel(dropout(0.1)));
  for (let kill = 0; kill < KILLS; kill++) {
    const { signal, err } = await run(directory, 6 * random.uniform(0, kill));
    expect([signal, err]).toEqual([expect.toBeOneOf(['SIGKILL', null]), '']); // null: it was through already
    // What is there resumes, whatever the moment was.
    const trainer = new Trainer(causalLanguageModel(model), smallData(), { ...killOptions, steps: STEPS, directory });
    expect(await trainer.resume()).toBeGreaterThan(0);
    trainer.dispose();
  }
  const { out, err } = await run(directory);
  expect(err).toBe('');
  expect(out.split('\n').at(-2)).toBe(expected);
  expect((await readdir(directory)).sort()).toEqual([`step-000000${STEPS - 1}`, `step-000000${STEPS}`]);
});

/** `kill -9` at random moments, most of them in the middle of saving: the resumed run ends in the same weights. */
import { spawn } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { Trainer } from '../../src/training/index.ts';
import { digestOf, dropout, killOptions, smallData, smallModel } from './small.ts';
import { keep, temporaryFolder, train } from './support.ts';

const RUNNER = fileURLToPath(new URL('../files/run-typescript.mjs', import.meta.url));
const CHILD = fileURLToPath(new URL('run-until-killed.ts', import.meta.url));
const STEPS = 80;
const KILLS = 4;

/** Runs the child; kills it `delay` milliseconds after its training began, unless that is undefined. */
function run(directory: string, delay?: number): Promise<{ out: string; signal: string | null; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [RUNNER, CHILD, directory, String(STEPS)]);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data) => {
      if (out === '' && delay !== undefined) setTimeout(() => child.kill('SIGKILL'), delay);
      out += data;
    });
    child.stderr.on('data', (data) => (err += data));
    child.on('error', reject);
    child.on('close', (_, signal) => resolve({ out, signal, err }));
  });
}

it(`${KILLS} kills, then the end`, async () => {
  const whole = keep(await smallModel(dropout(0.1)));
  await train(new Trainer(whole, smallData(), { ...killOptions, steps: STEPS }));
  const expected = await digestOf(whole);

  const directory = await temporaryFolder();
  const seed = Number(process.env.LANEWISE_SEED ?? Date.now() % 2 ** 31);
  console.log(`kill.test: seed ${seed} (set LANEWISE_SEED to repeat)`);
  let state = seed;
  for (let kill = 0; kill < KILLS; kill++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const { signal, err } = await run(directory, (state >>> 8) % 200);
    expect([signal, err]).toEqual([expect.toBeOneOf(['SIGKILL', null]), '']); // null: it was through already
    // What is there resumes, whatever the moment was.
    const model = await smallModel(dropout(0.1));
    const trainer = new Trainer(model, smallData(), { ...killOptions, steps: STEPS, directory });
    await trainer.resume();
    model.dispose();
  }
  const { out, err } = await run(directory);
  expect(err).toBe('');
  expect(out.split('\n')[1]).toBe(expected);
  const folders = await readdir(directory);
  expect(folders.length).toBeLessThanOrEqual(3); // two kept, and one that was being removed
});

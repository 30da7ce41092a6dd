/** The programs of examples/ run as they stand, on the built package. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { temporaryFolder, writeText } from './cli/support.ts';

const folder = temporaryFolder();
afterAll(() => folder.remove());

async function example(name: string, ...args: string[]): Promise<string> {
  const path = new URL(`../examples/${name}`, import.meta.url).pathname;
  return (await promisify(execFile)(process.execPath, [path, ...args])).stdout;
}

test('train-in-ten-lines.mjs learns, and generate.mjs continues', async () => {
  const text = writeText(folder.at('text.txt'), 600);
  const printed = await example('train-in-ten-lines.mjs', text, folder.at('model'));
  const losses = Array.from(printed.matchAll(/^step (\d+): loss [\d.]+, on unseen text ([\d.]+)$/gm), (match) =>
    match.slice(1).map(Number),
  );
  expect(losses.map(([step]) => step)).toEqual([100, 200]);
  expect(losses[1]![1]).toBeLessThan(3);
  expect(existsSync(folder.at('model/tokenizer.json'))).toBe(true);
  const continued = await example('generate.mjs', folder.at('model'), 'the old');
  expect(continued).toMatch(/(whale|ship|sea|captain|white)/);
});

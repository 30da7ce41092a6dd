// How large the package is where size counts: what a page loads that only generates with a GPT-2, and the six binaries. It prints all sizes
// and fails above the limits of the house. These are limits, not a ratchet: within them, size is no reason to write code another way.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { inChromium, PAGE, run } from './check-bundlers.mjs';
import { root } from './prepare.mjs';

/** Scripts and one inference binary, all that a page loads before the first token, by brotli. */
const INFERENCE_LIMIT_BYTES = 56_000;
/** A binary for inference alone, and one with all operations, as they are. */
const BINARY_LIMIT_BYTES = { inference: 56 * 1024, full: 96 * 1024 };

/** What an inference-only page must not load, by texts that minifying keeps and only these parts have. */
const LEFT_OUT = {
  trainer: 'Trainer: expected',
  benchmark: 'training step of 1',
  LoRA: 'adapter_config.json',
  saving: 'a name that the format allows',
  'GPT-1': 'gelu (its tanh form)',
};

/** Writes a model folder, as others serve one. */
const MODEL = `import { createModel, trainTokenizer } from 'lanewise';
const tokenizer = await trainTokenizer('once upon a time', { kind: 'byte-level-bpe', vocabSize: 258 });
const model = await createModel('gpt2', { nLayer: 1, nHead: 1, nEmbd: 16, blockSize: 16, vocabSize: 258, seed: 1 });
await model.save('./inference/public/model', { tokenizer });
model.dispose();
`;
/** A page that only loads a model and generates. */
const INFERENCE = `import { loadModel } from 'lanewise';
async function firstPiece() {
  const gpt = await loadModel('./model');
  for await (const piece of gpt.generate('Once', { seed: 1 })) return piece;
}
globalThis.result = firstPiece();
`;

/**
 * Checks the package that is installed in `folder`; throws at the first limit that is passed.
 * @param {string} folder
 */
export async function checkSizes(folder) {
  checkBinaries(join(folder, 'node_modules/lanewise/wasm'));
  await checkInference(folder);
}

/** @param {string} folder */
function checkBinaries(folder) {
  for (const name of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, name));
    const limit = BINARY_LIMIT_BYTES[name.includes('-inference') ? 'inference' : 'full'];
    console.log(`${name}: ${bytes.length} bytes of at most ${limit}, ${brotliCompressSync(bytes).length} by brotli.`);
    if (bytes.length > limit) throw new Error(`${name}: expected at most ${limit} bytes, got ${bytes.length}`);
  }
}

/**
 * What the page above loads in Chromium: every script and binary that its server is asked for, built by Vite as it comes.
 * @param {string} folder
 */
async function checkInference(folder) {
  const page = join(folder, 'inference');
  mkdirSync(page);
  writeFileSync(join(folder, 'model.js'), MODEL);
  run(process.execPath, ['model.js'], folder);
  writeFileSync(join(page, 'page.js'), INFERENCE);
  writeFileSync(join(page, 'index.html'), PAGE);
  run(
    process.execPath,
    [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--base', './', '--logLevel', 'warn'],
    page,
  );
  const site = join(page, 'dist');
  /** @type {Set<string>} */
  const asked = new Set();
  await inChromium(site, 'index.html', asked);
  const files = [...asked].filter((path) => /\.(js|wasm)$/.test(path)).map((path) => join(site, path));
  const scripts = files.filter((path) => path.endsWith('.js'));
  const binaries = files.filter((path) => path.endsWith('.wasm'));
  if (binaries.length !== 1) throw new Error(`an inference-only page: expected one binary, got ${binaries.join(', ')}`);
  const script = scripts.map((path) => readFileSync(path, 'utf8')).join('\n');
  const installed = join(folder, 'node_modules/lanewise/dist/runtime');
  const names = readdirSync(installed).filter((name) => name.endsWith('.js'));
  const all = names.map((name) => readFileSync(join(installed, name), 'utf8')).join('\n');
  for (const [part, text] of Object.entries(LEFT_OUT)) {
    if (!all.includes(text)) throw new Error(`check-sizes: expected "${text}" in the package, to know ${part} by`);
    if (script.includes(text)) throw new Error(`an inference-only page: expected no ${part}, got it ("${text}")`);
  }
  /** @param {readonly string[]} paths @param {(bytes: Buffer) => Buffer} compress */
  const size = (paths, compress) => paths.reduce((sum, path) => sum + compress(readFileSync(path)).length, 0);
  /** @param {(bytes: Buffer) => Buffer} compress */
  const sizes = (compress) => `${size(scripts, compress)} + ${size(binaries, compress)}`;
  const total = size(files, (bytes) => brotliCompressSync(bytes));
  console.log(
    `inference-only page without ${Object.keys(LEFT_OUT).join(', ')}: ${scripts.length} scripts and a binary are loaded before the first token, ${sizes((bytes) => gzipSync(bytes, { level: 9 }))} bytes by gzip, ${sizes((bytes) => brotliCompressSync(bytes))} = ${total} by brotli.`,
  );
  if (total > INFERENCE_LIMIT_BYTES)
    throw new Error(`an inference-only page: expected at most ${INFERENCE_LIMIT_BYTES} bytes, got ${total}`);
}

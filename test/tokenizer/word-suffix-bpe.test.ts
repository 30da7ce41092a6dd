/** GPT-1's tokenizer against the native one and recorded cases. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tokenizerFromJSON, tokenizerFromVocabAndMerges } from '../../src/tokenizer/index.ts';
import { anyText, check, expectSameAsNative, nativeOf, readShared, streamed } from './support.ts';

interface Case {
  text: string;
  ids: number[];
  decoded: string;
}

/** A vocabulary of GPT-1's kind, small enough to stand here. */
function smallGpt1() {
  const merges = ['t h', 'th e</w>', 'i n', 'in g</w>', 'e d</w>', 'a a', 'aa a</w>', "' l", "'l l</w>", '日 本</w>'];
  const characters = [...`abcdefghijklmnopqrstuvwxyz0123456789.,!?'"$<>|-_/éßσш日本🙂`];
  const tokens = [
    '<unk>',
    ...characters,
    ...characters.map((c) => `${c}</w>`),
    ...merges.map((m) => m.replace(' ', '')),
  ];
  const vocab = `{${[...new Set(tokens)].map((token, id) => `${JSON.stringify(token)}:${id}`).join(',')}}`;
  return tokenizerFromVocabAndMerges(vocab, `#version: 0.2\n${merges.join('\n')}\n`, { kind: 'word-suffix-bpe' });
}

describe('GPT-1 of ../shared', () => {
  const folder = 'tokenizers/openai-gpt';

  test('535 cases, from tokenizer.json and from vocab.json + merges.txt', (context) => {
    const cases = JSON.parse(readShared(`${folder}/cases.json`, context)) as Case[];
    const fromJson = tokenizerFromJSON(readShared(`${folder}/tokenizer.json`, context));
    const vocab = readShared(`${folder}/vocab.json`, context);
    const merges = readShared(`${folder}/merges.txt`, context);
    expect(cases).toHaveLength(535);
    for (const tokenizer of [fromJson, tokenizerFromVocabAndMerges(vocab, merges, { kind: 'word-suffix-bpe' })]) {
      expect(tokenizer.vocabSize).toBe(40478);
      expect(tokenizer.endOfText).toBeUndefined();
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

  test('any text and any ids are as native', async (context) => {
    const tokenizer = tokenizerFromJSON(readShared(`${folder}/tokenizer.json`, context));
    const native = nativeOf(tokenizer);
    await check(anyText, 1000, (value) => expectSameAsNative(tokenizer, native, value));
    await check(fc.array(fc.nat(40477)), 300, async (ids) => {
      expect(tokenizer.decode(ids)).toBe(await native.decode(ids, false));
    });
  });
});

describe('a small vocabulary of the same kind', () => {
  const tokenizer = smallGpt1();
  const native = nativeOf(tokenizer);

  test('any text is as native', () => check(anyText, 2000, (value) => expectSameAsNative(tokenizer, native, value)));

  test('spaces follow the words, not the pieces, and the last word has none', () => {
    const ids = tokenizer.encode('The thing aaaa!');
    expect(Array.from(ids, (id) => tokenizer.idToToken(id))).toEqual([
      ...['the</w>', 'th', 'ing</w>', 'aa', 'a', 'a</w>', '!</w>'],
    ]);
    expect(tokenizer.decode(ids)).toBe('the thing aaaa !');
  });

  test('streaming equals decode, for any ids', () =>
    check(fc.array(fc.nat(tokenizer.vocabSize - 1)), 1000, (ids) => {
      expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
      expect(streamed(tokenizer, ids, true)).toBe(tokenizer.decode(ids, { skipSpecialTokens: true }));
    }));

  test('half a surrogate pair counts as U+FFFD', () => {
    expect(tokenizer.encode('a\ud83db')).toEqual(tokenizer.encode('a\ufffdb'));
  });

  test('each part of the normalizer can be switched', async () => {
    for (const field of ['clean_text', 'handle_chinese_chars', 'strip_accents', 'lowercase']) {
      const json = tokenizer.toJSON();
      const normalizer = { ...(json.normalizer as object), [field]: false };
      const other = tokenizerFromJSON({ ...json, normalizer });
      const otherNative = nativeOf(other);
      await check(anyText, 300, (value) => expectSameAsNative(other, otherNative, value));
    }
    const bare = tokenizerFromJSON({ ...tokenizer.toJSON(), normalizer: null });
    const bareNative = nativeOf(bare);
    await check(anyText, 300, (value) => expectSameAsNative(bare, bareNative, value));
  });
});

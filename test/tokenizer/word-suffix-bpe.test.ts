/** GPT-1's tokenizer against the native one and recorded cases. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tokenizerFromJSON, tokenizerFromVocabAndMerges } from '../../src/tokenizer/index.ts';
import { anyText, check, expectSameAsNative, nativeOf, readShared, streamed, testShared } from './support.ts';

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

  testShared(folder, 'word-suffix-bpe', { vocabSize: 40478, endOfText: undefined });

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

/** Added and special tokens against the native tokenizers. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AddedToken, tokenizerFromJSON, trainTokenizer } from '../../src/tokenizer/index.ts';
import { check, expectSameAsNative, nativeOf } from './support.ts';

const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: false };

/** A small byte-level tokenizer with added tokens of these contents and settings. */
async function withTokens(tokens: Partial<AddedToken>[], edit: object = {}) {
  const json = (await trainTokenizer('a b ab the <s>', { kind: 'byte-level-bpe', vocabSize: 262 })).toJSON();
  const size = Object.keys(json.model.vocab).length;
  const added = tokens.map((token, i) => ({ id: size + i, content: '', ...plain, ...token }));
  return tokenizerFromJSON({ ...json, added_tokens: [...json.added_tokens, ...added], ...edit });
}

const unit = fc.constantFrom(
  ' ',
  '  ',
  '\n',
  '\u2003',
  'a',
  'b',
  'é',
  '𝒳',
  '_',
  '<',
  '>',
  '<s>',
  '<ss>',
  '<a b>',
  'word',
  '<|endoftext|>',
);
const text = fc.string({ unit, maxLength: 12 });

describe('added tokens are found as native finds them', () => {
  test.each([
    ['plain', {}],
    ['special', { special: true }],
    ['normalized', { normalized: true }],
    ['lstrip', { lstrip: true }],
    ['rstrip', { rstrip: true }],
    ['both strips', { lstrip: true, rstrip: true }],
    ['single_word', { single_word: true }],
    ['single_word with strips', { single_word: true, lstrip: true, rstrip: true }],
  ])('%s', async (_name, settings) => {
    const contents = ['<s>', '<ss>', '<a b>', 'word', 'é>', '日本'];
    const tokenizer = await withTokens(contents.map((content) => ({ content, ...settings })));
    const native = nativeOf(tokenizer);
    await check(text, 1000, (value) => expectSameAsNative(tokenizer, native, value));
  });

  test('of tokens that overlap the longest wins; those before normalization go first', async () => {
    const tokenizer = await withTokens([
      { content: 'word', normalized: true },
      { content: '<s>' },
      { content: '<s>word' },
      { content: 'or' },
    ]);
    await check(text, 500, (value) => expectSameAsNative(tokenizer, nativeOf(tokenizer), value));
    expect(Array.from(tokenizer.encode('<s>word'))).toEqual([264]);
  });

  test('a prefix space is added to every piece between them', async () => {
    const pre_tokenizer = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
    const tokenizer = await withTokens([{ content: '<s>' }], { pre_tokenizer });
    const native = nativeOf(tokenizer);
    await check(text, 500, (value) => expectSameAsNative(tokenizer, native, value));
  });

  test('allowSpecial: false leaves out the special ones only', async () => {
    const tokenizer = await withTokens([{ content: '<s>', special: true }, { content: '<ss>' }]);
    expect(Array.from(tokenizer.encode('<s><ss>')).slice(-2)).toEqual([262, 263]);
    const ids = Array.from(tokenizer.encode('<s><ss>', { allowSpecial: false }));
    expect(ids).not.toContain(262);
    expect(ids.at(-1)).toBe(263);
  });

  test('toVocabAndMerges holds the vocabulary without them, toJSON holds both', async () => {
    const tokenizer = await withTokens([{ content: '<s>' }]);
    expect(tokenizer.vocabSize).toBe(263);
    expect(Object.keys(JSON.parse(tokenizer.toVocabAndMerges!().vocabJson))).toHaveLength(262);
    expect(tokenizerFromJSON(JSON.stringify(tokenizer)).toJSON()).toEqual(tokenizer.toJSON());
  });
});

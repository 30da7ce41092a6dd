/** Character and byte tokenizers, and that Hugging Face's libraries read what they save. */
import { Tokenizer as JsTokenizer } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenizerError } from '../../src/errors.ts';
import { tokenizerFromJSON, trainTokenizer } from '../../src/tokenizer/index.ts';
import { check, expectSameAsNative, nativeOf, streamed } from './support.ts';

describe('character tokenizer', () => {
  const source = 'to be, or\nnot é日🙂\t0129"\\ __proto__';

  test('numbers the characters in the order of their code points', async () => {
    const tokenizer = await trainTokenizer('hello\n', { kind: 'char' });
    expect(tokenizer.vocabSize).toBe(5);
    expect(Array.from(tokenizer.encode('hello\n'))).toEqual([2, 1, 3, 3, 4, 0]);
    expect(tokenizer.endOfText).toBeUndefined();
    expect(tokenizer.toVocabAndMerges).toBeUndefined();
  });

  test('any text of its characters is as native, and comes back', async () => {
    const tokenizer = await trainTokenizer([source, 'xyz'], {
      kind: 'char',
      specialTokens: ['<|endoftext|>', '<pad>'],
    });
    expect([...tokenizer.specialTokens]).toEqual([
      ['<|endoftext|>', 0],
      ['<pad>', 1],
    ]);
    expect(tokenizer.endOfText).toBe(0);
    const native = nativeOf(tokenizer);
    const json = JSON.stringify(tokenizer);
    const loaded = tokenizerFromJSON(json);
    expect(JSON.stringify(loaded)).toBe(json);
    const unit = fc.constantFrom(...source, '<|endoftext|>', '<pad>');
    await check(fc.string({ unit }), 500, async (text) => {
      await expectSameAsNative(tokenizer, native, text);
      expect(loaded.encode(text)).toEqual(tokenizer.encode(text));
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      expect(streamed(tokenizer, tokenizer.encode(text))).toBe(text);
    });
  });

  test('@huggingface/tokenizers reads it too', async () => {
    const tokenizer = await trainTokenizer(source, { kind: 'char' });
    const theirs = new JsTokenizer(JSON.parse(JSON.stringify(tokenizer)), {});
    expect(theirs.encode(source).ids).toEqual(Array.from(tokenizer.encode(source)));
    expect(theirs.decode(theirs.encode(source).ids)).toBe(source);
  });

  test('an unknown character is named, with its place', async () => {
    const tokenizer = await trainTokenizer('ab<', { kind: 'char', specialTokens: ['<s>'] });
    for (const [text, got] of [
      ['abc', '"c" (U+0063) at index 2'],
      ['<s>a🙂b', '"🙂" (U+1F642) at index 4'],
      ['a\ud83d', 'half a surrogate pair (U+D83D) at index 1'],
    ] as const) {
      expect(() => tokenizer.encode(text)).toThrow(
        new TokenizerError(
          `encode: expected characters of the vocabulary, got ${got}. ` +
            'Train the tokenizer on text with this character, or remove it.',
        ),
      );
    }
  });

  test('with an unk_token an unknown character has its id, as native', async () => {
    const json = (await trainTokenizer('ab', { kind: 'char', specialTokens: ['<unk>'] })).toJSON();
    const tokenizer = tokenizerFromJSON({ ...json, model: { ...json.model, unk_token: '<unk>' } });
    await expectSameAsNative(tokenizer, nativeOf(tokenizer), 'axxb🙂');
  });

  test('refuses text without characters, half pairs, and a vocabulary that is too small', async () => {
    await expect(trainTokenizer('', { kind: 'char' })).rejects.toThrow(
      'trainTokenizer: expected text with at least one character, got none.',
    );
    await expect(trainTokenizer('a\udc00', { kind: 'char' })).rejects.toThrow('got half a surrogate pair at index 1');
    await expect(trainTokenizer('abc', { kind: 'char', vocabSize: 2 })).rejects.toThrow(
      'trainTokenizer: expected at most vocabSize 2 tokens, got 3.',
    );
  });
});

describe('byte tokenizer', () => {
  test('an id is a byte, and native reads it', async () => {
    const tokenizer = await trainTokenizer('', { kind: 'byte' });
    expect(tokenizer.vocabSize).toBe(256);
    expect(Array.from(tokenizer.encode('Aé'))).toEqual([0x41, 0xc3, 0xa9]);
    const native = nativeOf(tokenizer);
    await check(fc.string({ unit: 'binary' }), 300, (text) => {
      return expectSameAsNative(tokenizer, native, text.replace(/\p{Surrogate}/gu, ''));
    });
    expect(JSON.stringify(tokenizerFromJSON(JSON.stringify(tokenizer)))).toBe(JSON.stringify(tokenizer));
  });

  test('special tokens come before the bytes', async () => {
    const tokenizer = await trainTokenizer('', { kind: 'byte', specialTokens: ['<|endoftext|>'] });
    expect(tokenizer.vocabSize).toBe(257);
    expect(Array.from(tokenizer.encode('A<|endoftext|>'))).toEqual([0x42, 0]);
  });
});

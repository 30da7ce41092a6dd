/** Ids decoded one by one join to what decode gives. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tokenizerFromJSON, trainTokenizer } from '../../src/tokenizer/index.ts';
import { anyText, check, gpt2, readShared, streamed } from './support.ts';

describe('streaming equals decode', () => {
  const tokenizer = gpt2();

  test('GPT-2, any text and any ids', async () => {
    await check(anyText, 1000, (text) => {
      expect(streamed(tokenizer, tokenizer.encode(text))).toBe(text);
    });
    await check(fc.array(fc.oneof(fc.nat(50256), fc.nat(255))), 2000, (ids) => {
      expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
      expect(streamed(tokenizer, ids, true)).toBe(tokenizer.decode(ids, { skipSpecialTokens: true }));
    });
  });

  test('GPT-1, any ids', async (context) => {
    const gpt1 = tokenizerFromJSON(readShared('tokenizers/openai-gpt/tokenizer.json', context));
    await check(fc.array(fc.oneof(fc.nat(40477), fc.nat(300))), 1000, (ids) => {
      expect(streamed(gpt1, ids)).toBe(gpt1.decode(ids));
      expect(streamed(gpt1, ids, true)).toBe(gpt1.decode(ids, { skipSpecialTokens: true }));
    });
  });

  test('bytes: any bytes, valid or not', async () => {
    const bytes = await trainTokenizer('', { kind: 'byte' });
    const awkward = fc.constantFrom(
      0xf0,
      0x9f,
      0x99,
      0x82,
      0xe0,
      0xa0,
      0x80,
      0xed,
      0xbf,
      0xc0,
      0xc2,
      0xef,
      0xbb,
      0xff,
      0x41,
    );
    await check(fc.array(fc.oneof(awkward, fc.nat(255))), 5000, (ids) => {
      expect(streamed(bytes, ids)).toBe(bytes.decode(ids));
      expect(bytes.decode(ids)).toBe(Buffer.from(ids).toString('utf8'));
    });
  });

  test('a character comes when it is complete, and U+FFFD when it never is', async () => {
    const bytes = await trainTokenizer('', { kind: 'byte' });
    const stream = bytes.stream();
    expect([0xf0, 0x9f, 0x99, 0x82, 0x41].map((id) => stream.push(id))).toEqual(['', '', '', '🙂', 'A']);
    expect(stream.push(0xe2)).toBe('');
    expect(stream.push(0x41)).toBe('\ufffdA');
    expect(stream.push(0xf0)).toBe('');
    expect(stream.push(0x9f)).toBe('');
    expect(stream.flush()).toBe('\ufffd');
    // After flush another text begins.
    expect(stream.push(0x42)).toBe('B');
    expect(stream.flush()).toBe('');
  });

  test('two streams do not disturb each other', async () => {
    const bytes = await trainTokenizer('', { kind: 'byte' });
    const [a, b] = [bytes.stream(), bytes.stream()];
    expect(a.push(0xc3)).toBe('');
    expect(b.push(0x42)).toBe('B');
    expect(bytes.decode([0x43])).toBe('C');
    expect(a.push(0xa9)).toBe('é');
  });
});

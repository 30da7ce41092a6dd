/** Each decoder alone against the native one. */
import fc from 'fast-check';
import { bpeDecoder, fuseDecoder, type Decoder as NativeDecoder } from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { readDecoder } from '../../../src/tokenizer/decoders/read.ts';
import { check } from '../support.ts';

const TOKENS = ['a', 'Ġa', 'Ã', '©', 'Ã©', 'é', '日', 'x</w>', '</w>', '</w></w>y', ' ', 'a\ufeff', 'ï»¿', '', '🙂'];
const ids = fc.array(fc.nat(TOKENS.length - 1)).map((list) => Uint32Array.from(list));

function streamed(decoder: ReturnType<typeof readDecoder>, list: Uint32Array): string {
  const stream = decoder.stream();
  const once = () => Array.from(list, (id) => stream.push(id)).join('') + stream.flush();
  const text = once();
  // After flush another text begins.
  expect(once()).toBe(text);
  return text;
}

describe('decoders', () => {
  test.each<[string, object | null, (tokens: string[]) => string]>([
    ['BPEDecoder', { type: 'BPEDecoder', suffix: '</w>' }, native(bpeDecoder('</w>'))],
    ['Fuse', { type: 'Fuse' }, native(fuseDecoder())],
    ['none', null, (tokens) => tokens.join(' ')],
    ['ByteLevel', { type: 'ByteLevel' }, byDefinition],
  ])('%s: all at once and one by one', (_name, fields, expected) => {
    const decoder = readDecoder(fields, 'decoder', TOKENS);
    return check(ids, 1000, (list) => {
      expect(decoder.decode(list)).toBe(expected(Array.from(list, (id) => TOKENS[id]!)));
      expect(streamed(decoder, list)).toBe(decoder.decode(list));
    });
  });
});

function native(decoder: NativeDecoder): (tokens: string[]) => string {
  return (tokens) => decoder.decode(tokens);
}

/** The bytes that the characters of a token stand for, or those of its UTF-8 where one stands for none. */
function byDefinition(tokens: string[]): string {
  const bytes: Record<string, number> = {
    a: 0x61,
    Ġ: 0x20,
    Ã: 0xc3,
    '©': 0xa9,
    é: 0xe9,
    ï: 0xef,
    '»': 0xbb,
    '¿': 0xbf,
  };
  for (const character of 'x</w>y') bytes[character] = character.charCodeAt(0);
  const all = tokens.flatMap((token) => {
    const characters = Array.from(token);
    const known = characters.every((character) => bytes[character] !== undefined);
    return known ? characters.map((character) => bytes[character]!) : [...Buffer.from(token)];
  });
  return Buffer.from(all).toString('utf8');
}

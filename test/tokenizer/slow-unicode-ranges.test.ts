/** The frozen character classes against the library they were taken from. */
import { nfcNormalizer, nfdNormalizer, nfkcNormalizer, nfkdNormalizer } from 'tokenizers';
import { expect, test } from 'vitest';
import { UnicodeForm } from '../../src/tokenizer/normalizers/unicode-form.ts';
import * as bert from '../../src/tokenizer/unicode/bert-ranges.ts';
import * as letterNumber from '../../src/tokenizer/unicode/letter-number-ranges.ts';
import * as normalization from '../../src/tokenizer/unicode/normalization-ranges.ts';
import { nativeUnicodeRanges } from './native-unicode.ts';

test('the frozen character classes are those of the native tokenizers, for every code point', () => {
  expect({ ...letterNumber, ...bert, ...normalization }).toEqual(nativeUnicodeRanges());
});

test.each([
  ['NFC', nfcNormalizer()],
  ['NFD', nfdNormalizer()],
  ['NFKC', nfkcNormalizer()],
  ['NFKD', nfkdNormalizer()],
] as const)('%s of every character, alone and between others, is that of the native tokenizers', (form, native) => {
  const normalizer = new UnicodeForm(form);
  const wrong: string[] = [];
  for (let code = 0; code < 0x110000; code++) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    const text = `${character}e${character}\u0327\u0301${character}\u1100`;
    if (normalizer.normalize(text) !== native.normalizeString(text)) wrong.push(code.toString(16));
  }
  expect(wrong).toEqual([]);
});

/** Each normalizer alone against the native one. */

import fc from 'fast-check';
import {
  bertNormalizer,
  lowercase,
  type Normalizer as NativeNormalizer,
  nfcNormalizer,
  nfdNormalizer,
  nfkcNormalizer,
  nfkdNormalizer,
  prependNormalizer,
  replace,
  sequenceNormalizer,
} from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { readNormalizer } from '../../../src/tokenizer/normalizers/read.ts';
import { anyText, check } from '../support.ts';

const bert = {
  type: 'BertNormalizer',
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
};

describe('normalizers', () => {
  test.each<[string, object, NativeNormalizer]>([
    ['BertNormalizer', bert, bertNormalizer()],
    [
      'BertNormalizer that keeps case and accents',
      { ...bert, lowercase: false },
      bertNormalizer({ stripAccents: false, lowercase: false }),
    ],
    [
      'BertNormalizer that only strips accents',
      { ...bert, clean_text: false, handle_chinese_chars: false, strip_accents: true, lowercase: false },
      bertNormalizer({ cleanText: false, handleChineseChars: false, stripAccents: true, lowercase: false }),
    ],
    ['NFC', { type: 'NFC' }, nfcNormalizer()],
    ['NFD', { type: 'NFD' }, nfdNormalizer()],
    ['NFKC', { type: 'NFKC' }, nfkcNormalizer()],
    ['NFKD', { type: 'NFKD' }, nfkdNormalizer()],
    ['Lowercase', { type: 'Lowercase' }, lowercase()],
    ['Prepend', { type: 'Prepend', prepend: '▁' }, prependNormalizer('▁')],
    ['Replace', { type: 'Replace', pattern: { String: "'" }, content: '$&' }, replace("'", '$&')],
    [
      'Sequence',
      { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, { type: 'Prepend', prepend: 'A' }] },
      sequenceNormalizer([lowercase(), prependNormalizer('A')]),
    ],
  ])('%s is as native', (_name, fields, native) => {
    const normalizer = readNormalizer(fields, 'normalizer')!;
    return check(anyText, 500, (text) => {
      expect(normalizer.normalize(text)).toBe(native.normalizeString(text));
    });
  });

  describe.each([
    ['NFC', nfcNormalizer()],
    ['NFD', nfdNormalizer()],
    ['NFKC', nfkcNormalizer()],
    ['NFKD', nfkdNormalizer()],
  ] as const)('%s', (type, native) => {
    const normalizer = readNormalizer({ type }, 'normalizer')!;

    test('of any run of marks, jamos and letters is as native', () => {
      const marks = [
        '\u0334',
        '\u0327',
        '\u0301',
        '\u0323',
        '\u0345',
        '\u05b0',
        '\u3099',
        '\u093c',
        '\u{1e4ec}',
        '\u{16d67}',
      ];
      const others = [
        'a',
        'ê',
        '\u1100',
        '\u1161',
        '\u11a8',
        '가',
        'ﬁ',
        'か',
        '\u{16d63}',
        '日',
        '🙂',
        '\u0d46',
        '\u0d3e',
      ];
      const text = fc.string({ unit: fc.constantFrom(...marks, ...others), maxLength: 12 });
      return check(text, 3000, (value) => {
        expect(normalizer.normalize(value)).toBe(native.normalizeString(value));
      });
    });
  });

  test('none leaves text as it is', () => {
    expect(readNormalizer(null, 'normalizer')).toBeUndefined();
    expect(readNormalizer(undefined, 'normalizer')).toBeUndefined();
  });

  test('half a surrogate pair counts as U+FFFD for BertNormalizer, which removes it with clean_text alone', () => {
    expect(readNormalizer(bert, 'normalizer')!.normalize('a\ud83db')).toBe('ab');
    expect(readNormalizer({ ...bert, clean_text: false }, 'normalizer')!.normalize('a\ud83db')).toBe('a\ufffdb');
  });
});

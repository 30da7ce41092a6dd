/** Each normalizer alone against the native one. */

import {
  bertNormalizer,
  lowercase,
  type Normalizer as NativeNormalizer,
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

  test('none leaves text as it is', () => {
    expect(readNormalizer(null, 'normalizer')).toBeUndefined();
    expect(readNormalizer(undefined, 'normalizer')).toBeUndefined();
  });

  test('half a surrogate pair counts as U+FFFD for BertNormalizer, which removes it with clean_text alone', () => {
    expect(readNormalizer(bert, 'normalizer')!.normalize('a\ud83db')).toBe('ab');
    expect(readNormalizer({ ...bert, clean_text: false }, 'normalizer')!.normalize('a\ud83db')).toBe('a\ufffdb');
  });
});

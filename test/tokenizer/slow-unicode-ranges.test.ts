/** The frozen character classes against the library they were taken from. */
import { expect, test } from 'vitest';
import * as bert from '../../src/tokenizer/bert-ranges.ts';
import * as gpt2 from '../../src/tokenizer/gpt2-ranges.ts';
import { nativeUnicodeRanges } from './native-unicode.ts';

test('the frozen character classes are those of the native tokenizers, for every code point', () => {
  expect({ ...gpt2, ...bert }).toEqual(nativeUnicodeRanges());
});

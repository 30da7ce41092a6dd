/** The frozen character classes against the library they were taken from. */
import { expect, test } from 'vitest';
import * as bert from '../../src/tokenizer/unicode/bert-ranges.ts';
import * as letterNumber from '../../src/tokenizer/unicode/letter-number-ranges.ts';
import * as normalization from '../../src/tokenizer/unicode/normalization-ranges.ts';
import { nativeUnicodeRanges } from './native-unicode.ts';

test('the frozen character classes are those of the native tokenizers, for every code point', () => {
  expect({ ...letterNumber, ...bert, ...normalization }).toEqual(nativeUnicodeRanges());
});

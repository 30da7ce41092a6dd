/** The frozen character classes against the library they were taken from. */
import { expect, test } from 'vitest';
import * as ranges from '../../src/tokenizer/unicode-ranges.ts';
import { nativeUnicodeRanges } from './native-unicode.ts';

test('the frozen character classes are those of the native tokenizers, for every code point', () => {
  expect({ ...ranges }).toEqual(nativeUnicodeRanges());
});

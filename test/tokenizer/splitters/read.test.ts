/** Each splitter alone against the native one. */

import {
  bertPreTokenizer,
  byteLevelPreTokenizer,
  type PreTokenizer as NativeSplitter,
  sequencePreTokenizer,
} from 'tokenizers';
import { describe, expect, test } from 'vitest';
import { readSplitter } from '../../../src/tokenizer/splitters/read.ts';
import { anyText, check } from '../support.ts';

const byteLevel = (add_prefix_space: boolean, use_regex?: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space,
  use_regex,
});
const bert = { type: 'BertPreTokenizer' };

describe('splitters', () => {
  test.each<[string, object, NativeSplitter]>([
    ['ByteLevel', byteLevel(false), byteLevelPreTokenizer(false, true)],
    ['ByteLevel with a space in front', byteLevel(true, true), byteLevelPreTokenizer(true, true)],
    ['ByteLevel in one piece', byteLevel(true, false), byteLevelPreTokenizer(true, false)],
    ['BertPreTokenizer', bert, bertPreTokenizer()],
    [
      'Sequence',
      { type: 'Sequence', pretokenizers: [bert, byteLevel(true)] },
      sequencePreTokenizer([bertPreTokenizer(), byteLevelPreTokenizer(true, true)]),
    ],
  ])('%s is as native', (_name, fields, native) => {
    const splitter = readSplitter(fields, 'pre_tokenizer')!;
    return check(anyText, 500, (text) => {
      if (text === '') return;
      const words: string[] = [];
      splitter.split(text, (word) => words.push(word));
      expect(words).toEqual(native.preTokenizeString(text).map(([word]) => word));
      expect(words).not.toContain('');
    });
  });

  test('none, and a sequence of nothing, leave text in one piece', () => {
    expect(readSplitter(null, 'pre_tokenizer')).toBeUndefined();
    expect(readSplitter({ type: 'Sequence', pretokenizers: [] }, 'pre_tokenizer')).toBeUndefined();
  });

  test('a sequence of one is that one, which keeps the fast path of byte-level BPE', () => {
    const alone = readSplitter(byteLevel(false), 'pre_tokenizer')!;
    const inSequence = readSplitter({ type: 'Sequence', pretokenizers: [byteLevel(false)] }, 'pre_tokenizer')!;
    expect(inSequence.constructor).toBe(alone.constructor);
  });
});

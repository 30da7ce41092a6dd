/** The parts of tokenizer.json in every combination against the native tokenizers, and the fast path against the general one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenizerError } from '../../src/errors.ts';
import { byteCharactersInOrder } from '../../src/tokenizer/byte-alphabet.ts';
import { ByteLevelEncoder } from '../../src/tokenizer/byte-level-encoder.ts';
import { IdBuffer } from '../../src/tokenizer/id-buffer.ts';
import { tokenizerFromJSON } from '../../src/tokenizer/index.ts';
import { BPE } from '../../src/tokenizer/models/bpe.ts';
import { readMerges } from '../../src/tokenizer/models/merge-list.ts';
import { type PieceEncoder, WordEncoder } from '../../src/tokenizer/piece-encoder.ts';
import { ByteLevelSplitter } from '../../src/tokenizer/splitters/byte-level.ts';
import { anyText, check, expectSameAsNative, gpt2, nativeOf, streamed } from './support.ts';

const MERGES: readonly (readonly [string, string])[] = [
  ['t', 'h'],
  ['th', 'e'],
  ['th', 'e</w>'],
  ['Ġ', 't'],
  ['Ġt', 'h'],
  ['Ġth', 'e'],
  ['▁', 't'],
  ['▁', 'a'],
  [' ', ' '],
  ["'", 's'],
  ["'", 's</w>'],
  ['Ã', '©'],
  ['日', '本'],
];
const CHARACTERS = [...byteCharactersInOrder(), ' ', '\n', '▁', 'é', 'ß', '日', '本', '🙂'];
const TOKENS = [
  ...['<unk>', '[CLS]', '[SEP]'],
  ...CHARACTERS,
  ...CHARACTERS.map((character) => `${character}</w>`),
  ...MERGES.map((pair) => pair.join('')),
];
const VOCAB = Object.fromEntries([...new Set(TOKENS)].map((token, id) => [token, id]));

const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
const ADDED = ['<unk>', '[CLS]', '[SEP]'].map((content) => ({ id: VOCAB[content], content, ...flags }));

const bertNormalizer = {
  type: 'BertNormalizer',
  clean_text: true,
  handle_chinese_chars: true,
  strip_accents: null,
  lowercase: true,
};
const replace = (from: string, content: string) => ({ type: 'Replace', pattern: { String: from }, content });
const metaspace = {
  type: 'Sequence',
  normalizers: [{ type: 'Prepend', prepend: '▁' }, replace(' ', '▁'), replace('$', "$&$'")],
};
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const text = { Sequence: { id: 'A', type_id: 0 } };
const template = (...single: object[]) => ({
  type: 'TemplateProcessing',
  single,
  pair: [text, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: {
    '[CLS]': { id: '[CLS]', ids: [VOCAB['[CLS]']], tokens: ['[CLS]'] },
    '[SEP]': { id: '[SEP]', ids: [VOCAB['[SEP]'], VOCAB['[CLS]']], tokens: ['[SEP]', '[CLS]'] },
  },
});

/** The values of each part that this package reads. */
const parts = {
  normalizer: [
    null,
    bertNormalizer,
    { type: 'Lowercase' },
    { type: 'NFC' },
    { type: 'NFKD' },
    { type: 'Prepend', prepend: '▁' },
    replace('the', 'le'),
    metaspace,
    { type: 'Sequence', normalizers: [] },
    { type: 'Sequence', normalizers: [bertNormalizer, metaspace] },
  ],
  pre_tokenizer: [
    null,
    byteLevel,
    { ...byteLevel, add_prefix_space: true },
    { ...byteLevel, use_regex: false },
    { type: 'BertPreTokenizer' },
    { type: 'Sequence', pretokenizers: [{ type: 'BertPreTokenizer' }, { ...byteLevel, add_prefix_space: true }] },
    { type: 'Sequence', pretokenizers: [{ type: 'Sequence', pretokenizers: [] }, byteLevel] },
  ],
  post_processor: [
    null,
    byteLevel,
    template(text),
    template(special('[CLS]'), text, special('[SEP]')),
    { type: 'Sequence', processors: [byteLevel, template(special('[CLS]'), text)] },
    { type: 'Sequence', processors: [byteLevel] },
  ],
  decoder: [null, byteLevel, { type: 'Fuse' }, { type: 'BPEDecoder', suffix: '</w>' }],
  end_of_word_suffix: [null, '', '</w>'],
  fuse_unk: [false, true],
} as const;

const combination = fc.record({
  normalizer: fc.constantFrom(...parts.normalizer),
  pre_tokenizer: fc.constantFrom(...parts.pre_tokenizer),
  post_processor: fc.constantFrom(...parts.post_processor),
  decoder: fc.constantFrom(...parts.decoder),
  end_of_word_suffix: fc.constantFrom(...parts.end_of_word_suffix),
  fuse_unk: fc.constantFrom(...parts.fuse_unk),
});

function jsonOf(edit: object = {}, model: object = {}) {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: ADDED,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...edit,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      ...model,
      vocab: VOCAB,
      merges: MERGES,
    },
  };
}

const words = fc
  .array(
    fc.constantFrom('the', ' the', 'The', 'é', 'É', '日本', '  ', '\n', "'s", 'x', '$', '[SEP]', '▁', '\u0007', 'Ωω'),
  )
  .map((list) => list.join(''));

describe('any combination of parts', () => {
  const texts = fc.array(fc.oneof(words, anyText), { minLength: 1, maxLength: 4 });

  test('encodes and decodes like native, streams like decode, and is written as it was read', () =>
    check(fc.tuple(combination, texts), 600, async ([{ end_of_word_suffix, fuse_unk, ...edit }, values]) => {
      const json = jsonOf(edit, { end_of_word_suffix, fuse_unk });
      const tokenizer = tokenizerFromJSON(JSON.stringify(json));
      expect(JSON.stringify(tokenizer)).toBe(JSON.stringify(json));
      const native = nativeOf(tokenizer);
      for (const value of ['', ...values]) {
        await expectSameAsNative(tokenizer, native, value);
        const plain = tokenizer.encode(value, { addSpecialTokens: false });
        expect(Array.from(plain)).toEqual((await native.encode(value, null, { addSpecialTokens: false })).getIds());
        for (const skip of [false, true]) {
          const ids = tokenizer.encode(value);
          expect(streamed(tokenizer, ids, skip)).toBe(tokenizer.decode(ids, { skipSpecialTokens: skip }));
        }
      }
    }));

  test('any ids decode like native', () =>
    check(fc.tuple(combination, fc.array(fc.nat(Object.keys(VOCAB).length - 1))), 300, async ([{ decoder }, ids]) => {
      const tokenizer = tokenizerFromJSON(jsonOf({ decoder }));
      expect(tokenizer.decode(ids)).toBe(await nativeOf(tokenizer).decode(ids, false));
      expect(streamed(tokenizer, ids)).toBe(tokenizer.decode(ids));
    }));

  test('normalized added tokens are found in normalized text', () => {
    const contents = ['The', 'é', 'İX', ' x', '日'];
    const size = Object.keys(VOCAB).length;
    const missing = contents.filter((content) => VOCAB[content] === undefined);
    const added = contents.map((content) => {
      const id = VOCAB[content] ?? size + missing.indexOf(content);
      return { id, content, ...flags, special: false, normalized: true };
    });
    const added_tokens = [...ADDED, ...added];
    const values = fc.oneof(words, fc.string({ unit: fc.constantFrom('İX', 'i̇x', ' X', 'É', 'e\u0301', 'THE', '日') }));
    return check(fc.tuple(fc.constantFrom(...parts.normalizer), values), 400, async ([normalizer, value]) => {
      const tokenizer = tokenizerFromJSON(jsonOf({ normalizer, added_tokens }));
      await expectSameAsNative(tokenizer, nativeOf(tokenizer), value);
    });
  });
});

test('an added token of which normalization leaves nothing is not found (native panics)', () => {
  const id = Object.keys(VOCAB).length;
  const added_tokens = [...ADDED, { id, content: '\u0007', ...flags, special: false, normalized: true }];
  const tokenizer = tokenizerFromJSON(jsonOf({ normalizer: bertNormalizer, added_tokens }));
  expect(Array.from(tokenizer.encode('a\u0007b'))).toEqual([VOCAB.a, VOCAB.b]);
  expect(tokenizer.decode([id])).toBe('');
});

describe('the template', () => {
  const tokenizer = tokenizerFromJSON(jsonOf({ post_processor: template(special('[CLS]'), text, special('[SEP]')) }));
  const [cls, sep, a] = ['[CLS]', '[SEP]', 'a'].map((token) => VOCAB[token]!);

  test('is put around the text, once, unless that is not wanted', () => {
    expect(Array.from(tokenizer.encode('a[SEP]a'))).toEqual([cls, a, sep, a, sep, cls]);
    expect(Array.from(tokenizer.encode('a[SEP]a', { addSpecialTokens: false }))).toEqual([a, sep, a]);
    expect(Array.from(tokenizer.encode(''))).toEqual([cls, sep, cls]);
    expect(tokenizer.encode('', { addSpecialTokens: false }).length).toBe(0);
  });

  test('does not depend on allowSpecial, which concerns the text', () => {
    const ids = Array.from(tokenizer.encode('[SEP]', { allowSpecial: false }));
    expect([ids[0], ...ids.slice(-2)]).toEqual([cls, sep, cls]);
    expect(ids.slice(1, -2)).not.toContain(sep);
  });
});

describe('a character without a token', () => {
  const json = jsonOf({ added_tokens: [] }, { unk_token: null });
  const encode = (edit: object, value: string) => () => tokenizerFromJSON({ ...json, ...edit }).encode(value);

  test('is named with its place where the text is as the user gave it, and without one where it is not', () => {
    expect(encode({}, 'aΩ')).toThrow(
      'encode: expected characters of the vocabulary, got "Ω" (U+03A9) at index 1. Train',
    );
    expect(encode({ normalizer: bertNormalizer }, 'aΩ')).toThrow('got "ω" (U+03C9). Train');
    expect(encode({ pre_tokenizer: { type: 'BertPreTokenizer' } }, 'a Ω')).toThrow('got "Ω" (U+03A9). Train');
  });
});

describe('byte-level BPE: the fast encoder is the general one', () => {
  const ids = (encoder: PieceEncoder, value: string): number[] => {
    const out = new IdBuffer(1);
    encoder.encode(value, out);
    return Array.from(out.finish());
  };
  const settings = fc.record({ addPrefixSpace: fc.boolean(), splitWords: fc.boolean() });

  test('with the vocabulary of GPT-2', () => {
    const { vocab, merges } = gpt2().toJSON().model;
    const tokens = new Map(Object.entries(vocab));
    const table = readMerges(merges, tokens, 'merges');
    const model = new BPE(tokens, table, { suffix: '', unknownId: undefined, fuseUnknown: false });
    expect(ByteLevelEncoder.suits(model)).toBe(true);
    const pairs = new Map<string, [PieceEncoder, PieceEncoder]>();
    const value = fc.oneof(anyText, fc.string({ unit: fc.constantFrom('the', ' ', 'a', '日', '\n'), maxLength: 100 }));
    return check(fc.tuple(settings, value), 3000, ([fields, piece]) => {
      if (piece === '') return;
      const key = JSON.stringify(fields);
      const splitter = new ByteLevelSplitter(fields);
      const pair = pairs.get(key) ?? [new ByteLevelEncoder(splitter, model), new WordEncoder(splitter, model)];
      pairs.set(key, pair);
      expect(ids(pair[0], piece)).toEqual(ids(pair[1], piece));
    });
  });

  test('with few bytes, with and without a token for the others', () => {
    const tokens = new Map(['<unk>', ...'abcĠ', 'ab', 'abc', 'Ġa'].map((token, id) => [token, id]));
    const merges = [
      ['a', 'b'],
      ['ab', 'c'],
      ['Ġ', 'a'],
    ];
    const table = readMerges(merges, tokens, 'merges');
    const value = fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', 'x'), minLength: 1, maxLength: 100 });
    return check(fc.tuple(settings, value, fc.boolean()), 2000, ([fields, piece, hasUnknown]) => {
      const model = new BPE(tokens, table, {
        suffix: '',
        unknownId: hasUnknown ? 0 : undefined,
        fuseUnknown: false,
      });
      const splitter = new ByteLevelSplitter(fields);
      const fast = () => ids(new ByteLevelEncoder(splitter, model), piece);
      const general = () => ids(new WordEncoder(splitter, model), piece);
      if (!hasUnknown && piece.includes('x')) {
        expect(fast).toThrow(TokenizerError);
        expect(general).toThrow(TokenizerError);
      } else {
        expect(fast()).toEqual(general());
      }
    });
  });

  test('it is not taken where settings are not its own', () => {
    const none = readMerges([], new Map(), 'merges');
    const suits = (fields: object) =>
      ByteLevelEncoder.suits(
        new BPE(new Map(), none, { suffix: '', unknownId: undefined, fuseUnknown: false, ...fields }),
      );
    expect(suits({ suffix: '</w>' })).toBe(false);
    expect(suits({ fuseUnknown: true })).toBe(false);
  });
});

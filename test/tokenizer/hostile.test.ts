/** Damaged and hostile tokenizer files: every failure is a TokenizerError that names the field. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TokenizerError } from '../../src/errors.ts';
import { tokenizerFromJSON, tokenizerFromVocabAndMerges, trainTokenizer } from '../../src/tokenizer/index.ts';
import { check } from './support.ts';

type Json = Record<string, unknown>;

const good = JSON.parse(
  JSON.stringify(await trainTokenizer('to be or not to be', { kind: 'byte-level-bpe', vocabSize: 260 })),
) as Json & { model: Json & { vocab: Record<string, number>; merges: [string, string][] } };
const { vocab } = good.model;
const added = {
  id: 260,
  content: '<s>',
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
};

function expectError(load: () => unknown, message: string): void {
  let error: unknown;
  try {
    load();
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(TokenizerError);
  expect((error as Error).message).toContain(message);
  // where: expected …, got …. What to do.
  expect((error as Error).message).toMatch(/^[^:]+(: [^:]+)?: expected .+, got .+\. .+\.$/s);
}

describe('tokenizer.json', () => {
  const model = (edit: Json) => ({ ...good, model: { ...good.model, ...edit } });
  const template = (edit: Json) => ({
    ...good,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>' } }, { Sequence: { id: 'A' } }],
      special_tokens: { '<s>': { id: '<s>', ids: [0], tokens: ['<s>'] } },
      ...edit,
    },
  });
  const without = (token: string) => Object.fromEntries(Object.entries(vocab).filter(([key]) => key !== token));

  test('the file that the cases below damage is sound', () => {
    expect(tokenizerFromJSON(good).vocabSize).toBe(260);
    expect(tokenizerFromJSON({ ...good, added_tokens: [added] }).vocabSize).toBe(261);
  });

  test.each<[string, unknown, string]>([
    ['truncated', JSON.stringify(good).slice(0, 999), 'tokenizer.json: expected valid JSON, got an error:'],
    ['empty', '', 'tokenizer.json: expected valid JSON'],
    ['no object', '[]', 'tokenizer.json: expected an object, got an array of 0'],
    ['null', 'null', 'tokenizer.json: expected an object, got null'],
    ['no model', {}, 'tokenizer.json: model: expected an object, got nothing'],
    ['Unigram', model({ type: 'Unigram', vocab: [['a', 0]] }), 'model.type: expected "BPE", got "Unigram"'],
    ['no type and no merges', model({ type: undefined, merges: undefined }), 'model.type: expected "BPE", got nothing'],
    ['type is no text', model({ type: 7 }), 'model.type: expected a string, got 7'],
    ['type of an object field', model({ type: 'constructor' }), 'model.type: expected "BPE", got "constructor"'],
    ['vocab is an array', model({ vocab: ['a'] }), 'model.vocab: expected an object, got an array of 1'],
    [
      'id is text',
      model({ vocab: { ...vocab, '<x>': '260' } }),
      'model.vocab["<x>"]: expected an id, an integer of 0 or more',
    ],
    ['id is negative', model({ vocab: { ...vocab, '<x>': -1 } }), 'expected an id, an integer of 0 or more, got -1'],
    [
      'id is a fraction',
      model({ vocab: { ...vocab, '<x>': 1.5 } }),
      'expected an id, an integer of 0 or more, got 1.5',
    ],
    ['duplicate id', model({ vocab: { ...vocab, '<x>': 259 } }), 'expected one token per id, got'],
    [
      'enormous id',
      model({ vocab: { ...vocab, '<x>': 4294967295 } }),
      'expected ids 0 … 260 without holes for 261 tokens, got 4294967295',
    ],
    ['hole', model({ vocab: { ...vocab, xy: 261 } }), 'expected ids 0 … 260 without holes'],
    ['huge id', model({ vocab: { ...vocab, '<x>': 1e300 } }), 'expected an id, an integer of 0 or more, got 1e+300'],
    ['merges missing', model({ merges: undefined }), 'model.merges: expected an array, got nothing'],
    [
      'merge of three',
      model({ merges: [['a', 'b', 'c']] }),
      'model.merges[0]: expected two tokens, separated by one space, got an array of 3',
    ],
    ['merge of numbers', model({ merges: [[1, 2]] }), 'model.merges[0]: expected two tokens'],
    ['merge with two spaces', model({ merges: ['a b c'] }), 'expected two tokens, separated by one space, got "a b c"'],
    ['merge of nothing', model({ merges: ['a '] }), 'expected two tokens, separated by one space, got "a "'],
    [
      'merge of a missing token',
      model({ merges: [['t', 'zzz']] }),
      'expected tokens of the vocabulary, got "zzz" in merge 1',
    ],
    [
      'merge into a missing token',
      model({ merges: [['t', 't']] }),
      'expected tokens of the vocabulary, got "tt" in merge 1',
    ],
    ['dropout', model({ dropout: 0.1 }), 'model.dropout: expected null or 0, got 0.1'],
    ['byte_fallback', model({ byte_fallback: true }), 'model.byte_fallback: expected false, got true'],
    ['fuse_unk', model({ fuse_unk: 'true' }), 'model.fuse_unk: expected true or false, got "true"'],
    ['ignore_merges', model({ ignore_merges: true }), 'model.ignore_merges: expected'],
    [
      'prefix',
      model({ continuing_subword_prefix: '##' }),
      'model.continuing_subword_prefix: expected null or "", got "##"',
    ],
    ['suffix', model({ end_of_word_suffix: 7 }), 'model.end_of_word_suffix: expected a string, got 7'],
    [
      'unk_token missing',
      model({ unk_token: '<unk>' }),
      'model.unk_token: expected a token of the vocabulary, got "<unk>"',
    ],
    ['unk_token no text', model({ unk_token: 7 }), 'model.unk_token: expected a string, got 7'],
    [
      'normalizer',
      { ...good, normalizer: { type: 'Nmt' } },
      'normalizer: expected type none, BertNormalizer, Lowercase, Prepend, Replace, NFC, NFD, NFKC, NFKD or Sequence, got "Nmt"',
    ],
    [
      'normalizer in a sequence',
      { ...good, normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, { type: 'Nmt' }] } },
      'normalizer.normalizers[1]: expected type none, BertNormalizer, Lowercase,',
    ],
    [
      'nothing in a sequence',
      { ...good, normalizer: { type: 'Sequence', normalizers: [null] } },
      'normalizer.normalizers[0]: expected an object, got null',
    ],
    [
      'normalizer with a field missing',
      { ...good, normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true } },
      'normalizer.lowercase: expected true or false, got nothing',
    ],
    [
      'normalizer that replaces by a regular expression',
      { ...good, normalizer: { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' } },
      'normalizer.pattern.String: expected a string that is not empty, got nothing. Regular expressions are not supported',
    ],
    ['normalizer no object', { ...good, normalizer: 'NFC' }, 'normalizer: expected an object, got "NFC"'],
    [
      'pre_tokenizer',
      { ...good, pre_tokenizer: { type: 'Metaspace' } },
      'pre_tokenizer: expected type none, ByteLevel, BertPreTokenizer or Sequence, got "Metaspace"',
    ],
    [
      'pre_tokenizer in a sequence',
      { ...good, pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Split' }] } },
      'pre_tokenizer.pretokenizers[0]: expected type none, ByteLevel, BertPreTokenizer or Sequence, got "Split"',
    ],
    [
      'pre_tokenizer named like an object field',
      { ...good, pre_tokenizer: { type: 'toString' } },
      'pre_tokenizer: expected type none, ByteLevel, BertPreTokenizer or Sequence, got "toString"',
    ],
    [
      'add_prefix_space',
      { ...good, pre_tokenizer: { type: 'ByteLevel' } },
      'pre_tokenizer.add_prefix_space: expected true or false, got nothing',
    ],
    [
      'decoder',
      { ...good, decoder: { type: 'WordPiece' } },
      'decoder: expected type none, ByteLevel, BPEDecoder or Fuse, got "WordPiece"',
    ],
    [
      'decoder with an empty suffix',
      { ...good, decoder: { type: 'BPEDecoder', suffix: '' } },
      'decoder.suffix: expected a suffix such as "</w>", got ""',
    ],
    [
      'post_processor',
      { ...good, post_processor: { type: 'BertProcessing' } },
      'post_processor: expected type none, ByteLevel, TemplateProcessing or Sequence, got "BertProcessing"',
    ],
    [
      'template without special_tokens',
      template({ special_tokens: undefined }),
      'post_processor.special_tokens: expected an object, got nothing',
    ],
    [
      'template with a special token that is missing',
      template({ special_tokens: {} }),
      'post_processor.special_tokens["<s>"]: expected an object, got nothing',
    ],
    [
      'template with a special token named like an object field',
      template({ single: [{ SpecialToken: { id: 'toString' } }], special_tokens: {} }),
      'post_processor.special_tokens["toString"]: expected an object, got nothing',
    ],
    [
      'template with an id beyond the vocabulary',
      template({ special_tokens: { '<s>': { id: '<s>', ids: [0, 260] } } }),
      'post_processor.special_tokens["<s>"].ids[1]: expected an id of 0 … 259, got 260',
    ],
    [
      'template without ids',
      template({ special_tokens: { '<s>': { id: '<s>' } } }),
      'post_processor.special_tokens["<s>"].ids: expected an array, got nothing',
    ],
    ['template is no array', template({ single: '$A' }), 'post_processor.single: expected an array, got "$A"'],
    [
      'template of nothing',
      template({ single: [{}] }),
      'post_processor.single[0].Sequence: expected an object, got nothing',
    ],
    [
      'template of one text with two',
      template({ single: [{ Sequence: { id: 'B' } }] }),
      'post_processor.single[0].Sequence.id: expected "A", the only text, got "B"',
    ],
    ['added_tokens', { ...good, added_tokens: {} }, 'added_tokens: expected an array, got an object'],
    [
      'added token empty',
      { ...good, added_tokens: [{ ...added, content: '' }] },
      'added_tokens[0].content: expected a token that is not empty',
    ],
    [
      'added token twice',
      { ...good, added_tokens: [added, added] },
      'added_tokens[1].content: expected a token that is not empty and not there before',
    ],
    [
      'added token without a setting',
      { ...good, added_tokens: [{ ...added, lstrip: undefined }] },
      'added_tokens[0].lstrip: expected true or false, got nothing',
    ],
    [
      'added token beyond the vocabulary',
      { ...good, added_tokens: [{ ...added, id: 1e9 }] },
      'expected ids 0 … 260 without holes for 261 tokens, got 1000000000 for "<s>"',
    ],
    ['added token with a taken id', { ...good, added_tokens: [{ ...added, id: 5 }] }, 'expected one token per id, got'],
    [
      'added token with another id',
      { ...good, added_tokens: [{ ...added, id: 5, content: '!' }] },
      'added token "!": expected id 1 as in the vocabulary, got 5',
    ],
    [
      'a prototype',
      { ...model({ vocab: JSON.parse('{"__proto__":5}'), merges: [] }), added_tokens: [] },
      'expected ids 0 … 0 without holes for 1 tokens, got 5 for "__proto__"',
    ],
  ])('%s', (_name, json, message) => {
    expectError(() => tokenizerFromJSON(json as string), message);
  });

  test('a key twice is named', () => {
    const text = JSON.stringify(good).replace('"!":1,', '"to":1,');
    expectError(() => tokenizerFromJSON(text), 'expected valid JSON, got an error: the key "to" twice in one object');
  });

  test('a byte without a token is an error when a text has it', () => {
    const bytes = Object.fromEntries(
      Object.keys(without('z'))
        .filter((t) => t.length === 1)
        .map((t, id) => [t, id]),
    );
    const tokenizer = tokenizerFromJSON({ ...model({ vocab: bytes, merges: [] }), added_tokens: [] });
    expect(tokenizer.encode('abc').length).toBe(3);
    expectError(
      () => tokenizer.encode('xyz'),
      'encode: expected a vocabulary with all 256 bytes, got text with byte 122',
    );
  });

  test('tokens named like object fields are tokens', async () => {
    const names = ['__proto__', 'constructor', 'toString', '12', '7'];
    const tokenizer = await trainTokenizer('abc', { kind: 'char', specialTokens: names });
    const loaded = tokenizerFromJSON(JSON.stringify(tokenizer));
    expect(names.map((name) => loaded.tokenToId(name))).toEqual([0, 1, 2, 3, 4]);
    expect(loaded.tokenToId('valueOf')).toBeUndefined();
    expect(Array.from(loaded.encode('a12__proto__'))).toEqual([5, 3, 0]);
  });

  test('any damage to the text gives a tokenizer or a TokenizerError', () => {
    const text = JSON.stringify(good);
    const damage = fc.tuple(
      fc.nat(text.length),
      fc.nat(5),
      fc.constantFrom('', '"', '0', '-', '}', ',', 'null', '[]', '9'),
    );
    return check(damage, 1500, ([at, length, insert]) => {
      try {
        tokenizerFromJSON(text.slice(0, at) + insert + text.slice(at + length)).encode('to be or not');
      } catch (error) {
        expect(error).toBeInstanceOf(TokenizerError);
      }
    });
  });

  test('any value in the place of any field gives a tokenizer or a TokenizerError', () => {
    const values = fc.oneof(
      fc.constantFrom<unknown>(null, undefined, 0, -1, '', 'a', [], {}, [null], { type: 'ByteLevel' }, true),
      fc.anything(),
    );
    const fields = [
      'added_tokens',
      'normalizer',
      'pre_tokenizer',
      'post_processor',
      'decoder',
      'model',
      'type',
      'vocab',
      'merges',
      'unk_token',
      'dropout',
    ];
    return check(fc.tuple(fc.constantFrom(...fields), values), 1500, ([field, value]) => {
      const json = field in good ? { ...good, [field]: value } : model({ [field]: value });
      try {
        tokenizerFromJSON(json as Json).encode('to be or not');
      } catch (error) {
        expect(error).toBeInstanceOf(TokenizerError);
      }
    });
  });
});

describe('vocab.json and merges.txt', () => {
  const kind = { kind: 'byte-level-bpe' } as const;

  test('merges may end with empty lines and have Windows line ends', () => {
    const tokenizer = tokenizerFromVocabAndMerges('{"a":0,"b":1,"ab":2}', '#version: 0.2\r\na b\r\n\r\n', kind);
    expect(Array.from(tokenizer.encode('ab'))).toEqual([2]);
    expect(tokenizerFromVocabAndMerges('{"a":0}', '', kind).vocabSize).toBe(1);
  });

  test.each<[string, string, string, string]>([
    ['truncated', '{"a":0,', 'a b', 'vocab.json: expected valid JSON'],
    [
      'a key twice',
      '{"a":0,"a":0}',
      '',
      'vocab.json: expected valid JSON, got an error: the key "a" twice in one object',
    ],
    ['no object', '7', 'a b', 'vocab.json: expected an object, got 7'],
    ['hole', '{"a":0,"b":2}', '', 'vocab.json: expected ids 0 … 1 without holes for 2 tokens, got 2 for "b"'],
    ['duplicate', '{"a":0,"b":0}', '', 'vocab.json: expected one token per id, got "a" and "b" with id 0'],
    ['merge missing', '{"a":0,"b":1}', 'a b', 'merges.txt: expected tokens of the vocabulary, got "ab" in merge 1'],
    [
      'empty line',
      '{"a":0,"b":1,"ab":2}',
      '#version\n\na b',
      'merges.txt, line 2: expected two tokens, separated by one space, got ""',
    ],
    ['one token', '{"a":0}', '#version\na', 'merges.txt, line 2: expected two tokens, separated by one space, got "a"'],
    ['HTML', '{"a":0}', '<!DOCTYPE html>\n<html>', 'merges.txt, line 2: expected two tokens'],
  ])('%s', (_name, vocabJson, mergesTxt, message) => {
    expectError(() => tokenizerFromVocabAndMerges(vocabJson, mergesTxt, kind), message);
  });

  test('an unknown kind and a missing special token', () => {
    expectError(
      () => tokenizerFromVocabAndMerges('{}', '', { kind: 'bert' } as never),
      'expected kind "byte-level-bpe" or "word-suffix-bpe", got "bert"',
    );
    expectError(
      () => tokenizerFromVocabAndMerges('{"a":0}', '', { kind: 'byte-level-bpe', specialTokens: ['<s>'] }),
      'vocab.json: expected the special token "<s>", got no such token',
    );
  });
});

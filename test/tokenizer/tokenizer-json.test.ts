/** The reader of tokenizer.json: what it reads it reads as the native tokenizers do, and it says what it does not read. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenizerError } from '../../src/errors.ts';
import { type Tokenizer, tokenizerFromJSON, trainTokenizer } from '../../src/tokenizer/index.ts';
import { anyText, check, expectSameAsNative, nativeOf } from './support.ts';

const TEXT = 'to be or not to be, that is the question. '.repeat(4);
const trained = await trainTokenizer(TEXT, { kind: 'byte-level-bpe', vocabSize: 270 });
const json = trained.toJSON() as Record<string, Record<string, unknown>>;
const model = (edit: object) => ({ ...json, model: { ...json.model, ...edit } });

/** What a tokenizer is and makes of a text; it may lack a byte of it. */
function sampleOf(tokenizer: Tokenizer) {
  try {
    return { json: tokenizer.toJSON(), ids: Array.from(tokenizer.encode(`${TEXT}<|endoftext|>`)) };
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    return { json: tokenizer.toJSON(), refusal: error.message };
  }
}

/** The native tokenizer; undefined for what native refuses, such as a file without `version`. */
function nativeIfRead(tokenizer: Tokenizer) {
  try {
    return nativeOf(tokenizer);
  } catch {
    return undefined;
  }
}

describe('a usual tokenizer.json', () => {
  it.each<[string, object]>([
    ['of this package', json],
    [
      'with the template of transformers 5',
      {
        ...json,
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ Sequence: { id: 'A', type_id: 0 } }],
          pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
          special_tokens: {},
        },
      },
    ],
    [
      'with the processor of transformers',
      { ...json, post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true } },
    ],
    ['with merges as text', model({ merges: (json.model!.merges as string[][]).map((pair) => pair.join(' ')) })],
    ['with an unknown token', model({ unk_token: '<|endoftext|>' })],
    ['with fused unknown tokens', model({ unk_token: '<|endoftext|>', fuse_unk: true })],
  ])('%s is read as native reads it', async (_name, value) => {
    const tokenizer = tokenizerFromJSON(JSON.stringify(value));
    const merges = json.model!.merges;
    expect(tokenizer.toJSON()).toEqual({ ...value, model: { ...(value as typeof json).model, merges } });
    expect(sampleOf(tokenizer)).toEqual(sampleOf(tokenizerFromJSON(value as typeof json)));
    const native = nativeOf(tokenizer);
    await check(anyText, 200, (text) => expectSameAsNative(tokenizer, native, text));
  });

  it('writes the bytes that it was read from', async () => {
    const kinds = [
      trained,
      await trainTokenizer(TEXT, { kind: 'char', specialTokens: ['<|endoftext|>'] }),
      await trainTokenizer('', { kind: 'byte' }),
    ];
    for (const tokenizer of kinds) {
      const text = JSON.stringify(tokenizer);
      expect(JSON.stringify(tokenizerFromJSON(text))).toBe(text);
    }
  });

  it('may stand in any layout of JSON', () => {
    for (const text of [JSON.stringify(json, null, 2), JSON.stringify(json, null, '\t').replaceAll('": ', '" :\r\n')]) {
      expect(sampleOf(tokenizerFromJSON(text))).toEqual(sampleOf(trained));
    }
  });
});

describe('strict JSON', () => {
  const read = (text: string) => () => tokenizerFromJSON(text);
  const text = JSON.stringify(json);

  it.each([
    ['"vocab":{', '"vocab":{"a":0,', 'the key "a" twice in one object'],
    ['"model":{', '"model":{},"model":{', 'the key "model" twice in one object'],
    ['"version":"1.0"', '"version":"1.0","\\u0076ersion":"1.0"', 'the key "version" twice in one object'],
    ['"version":"1.0"', '"version":"\\ud83d"', 'half a surrogate pair'],
    ['"version":"1.0"', `"version":${'['.repeat(200)}${']'.repeat(200)}`, 'more than 128 levels of nesting'],
    ['"version":"1.0"', `"version":${'['.repeat(1e5)}${']'.repeat(1e5)}`, 'more than 128 levels of nesting'],
  ])('%s → %s is refused', (from, to, message) => {
    expect(text).toContain(from);
    const damaged = text.replace(from, to);
    expect(read(damaged)).toThrow(TokenizerError);
    expect(read(damaged)).toThrow(`tokenizer.json: expected valid JSON, got an error: ${message}`);
  });

  it.each([
    ['"version":"1.0"', '"version":"\\ud83d\\ude42"'],
    ['"version":"1.0"', '"version":"\\"a\\":\\\\"'],
    ['"version":"1.0"', '"version":"1.0","{[:\\\\":{"version":[{"version":null}]}'],
  ])('%s → %s is read', (from, to) => {
    expect(tokenizerFromJSON(text.replace(from, to)).encode(TEXT)).toEqual(trained.encode(TEXT));
  });
});

describe('the type of a model that does not say it', () => {
  const { type: _type, ...untyped } = json.model!;

  it('is BPE where it has merges, and is written', () => {
    const tokenizer = tokenizerFromJSON(JSON.stringify({ ...json, model: untyped }));
    expect(sampleOf(tokenizer)).toEqual(sampleOf(trained));
    expect(tokenizer.toJSON().model.type).toBe('BPE');
  });

  it('is told by the fields', () => {
    const typeOf = (fields: object) => () => tokenizerFromJSON({ ...json, model: fields });
    expect(typeOf({ vocab: [['a', 0]] })).toThrow('model.type: expected "BPE", got "Unigram"');
    expect(typeOf({ vocab: { a: 0 }, unk_token: 'a', max_input_chars_per_word: 100 })).toThrow('got "WordPiece"');
    expect(typeOf({ vocab: { a: 0 } })).toThrow('tokenizer.json: model.type: expected "BPE", got nothing');
  });

  it("reads the case of GPT-2's published file", () => {
    const url = new URL('../fixtures/cases/tokenizer-without-type/tokenizer.json', import.meta.url);
    const tokenizer = tokenizerFromJSON(readFileSync(url, 'utf8'));
    expect(Array.from(tokenizer.encode('The whale\n'))).toEqual([272, 299, 199]);
  });
});

describe('damage', () => {
  it('leaves a tokenizer that native reads in the same way, or is refused', async () => {
    const values = fc.constantFrom<unknown>(null, undefined, 0, false, true, '', 'a', [], {}, 5, { type: 'ByteLevel' });
    const paths = fc.constantFrom<[string, string?]>(
      ...(['normalizer', 'pre_tokenizer', 'post_processor', 'decoder', 'model', 'added_tokens'] as const).map(
        (field): [string] => [field],
      ),
      ...Object.keys(json.model!).map((field): [string, string] => ['model', field]),
      ...Object.keys(json.pre_tokenizer!).map((field): [string, string] => ['pre_tokenizer', field]),
      ['added_tokens', '0'],
    );
    const text = JSON.stringify(json);
    const cut = fc.tuple(fc.nat(text.length), fc.nat(5), fc.constantFrom('', '"', '0', '}', ',', 'null', '9'));
    const texts = fc.oneof(
      fc.tuple(paths, values).map(([[field, inner], value]) => {
        const copy = structuredClone(json);
        if (inner === undefined) copy[field] = value as Record<string, unknown>;
        else copy[field]![inner] = value;
        return JSON.stringify(copy);
      }),
      cut.map(([at, length, insert]) => text.slice(0, at) + insert + text.slice(at + length)),
    );
    let read = 0;
    await check(texts, 1500, async (damaged) => {
      let tokenizer: Tokenizer;
      try {
        tokenizer = tokenizerFromJSON(damaged);
        tokenizer.encode(TEXT);
      } catch (error) {
        expect(error).toBeInstanceOf(TokenizerError);
        return;
      }
      read++;
      expect(sampleOf(tokenizerFromJSON(JSON.stringify(tokenizer)))).toEqual(sampleOf(tokenizer));
      const native = nativeIfRead(tokenizer);
      if (native) await expectSameAsNative(tokenizer, native, `${TEXT}<|endoftext|>`);
    });
    expect(read).toBeGreaterThan(100);
  });
});

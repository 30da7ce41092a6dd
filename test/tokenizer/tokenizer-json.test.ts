/** The reader of a usual GPT-2's tokenizer.json: it knows what libraries write, and says nothing that the strict reader would not say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenizerError } from '../../src/errors.ts';
import { tokenizerFromJSON, trainTokenizer } from '../../src/tokenizer/index.ts';
import { readPlainByteLevel } from '../../src/tokenizer/plain-byte-level.ts';

const TEXT = 'to be or not to be, that is the question. '.repeat(4);
const trained = await trainTokenizer(TEXT, { kind: 'byte-level-bpe', vocabSize: 270 });
const json = trained.toJSON() as Record<string, Record<string, unknown>>;

/** What a tokenizer is and makes of a text; it may lack a byte of it. */
function sampleOf(tokenizer: { toJSON(): object; encode(text: string): Uint32Array }) {
  try {
    return { json: tokenizer.toJSON(), ids: Array.from(tokenizer.encode(`${TEXT}<|endoftext|>`)) };
  } catch (error) {
    if (!(error instanceof TokenizerError)) throw error;
    return { json: tokenizer.toJSON(), refusal: error.message };
  }
}

describe('a usual tokenizer.json', () => {
  it.each<[string, object]>([
    ['of this package', json],
    [
      'with the template of transformers 5',
      {
        ...json,
        post_processor: { type: 'TemplateProcessing', single: [{ Sequence: { id: 'A', type_id: 0 } }], pair: [] },
      },
    ],
    ['with the processor of transformers', { ...json, post_processor: { type: 'ByteLevel', trim_offsets: false } }],
    [
      'with merges as text',
      { ...json, model: { ...json.model, merges: (json.model!.merges as string[][]).map((pair) => pair.join(' ')) } },
    ],
    ['with an unknown token', { ...json, model: { ...json.model, unk_token: '<|endoftext|>' } }],
  ])('%s is read', (_name, value) => {
    const text = JSON.stringify(value);
    expect(sampleOf(readPlainByteLevel(text)!)).toEqual(sampleOf(tokenizerFromJSON(text)));
  });

  it.each([
    ['"vocab":{', '"vocab":{"a":0,'],
    ['"model":{', '"model":{},"model":{'],
  ])('a key twice is not: %s', (from, to) => {
    const text = JSON.stringify(json);
    expect(text).toContain(from);
    expect(readPlainByteLevel(text)).toBeDefined();
    expect(readPlainByteLevel(text.replace(from, to))).toBeUndefined();
  });

  it('says what the strict reader says, or nothing', () => {
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
    fc.assert(
      fc.property(texts, (damaged) => {
        const found = readPlainByteLevel(damaged);
        if (found) expect(sampleOf(found)).toEqual(sampleOf(tokenizerFromJSON(damaged)));
      }),
      { numRuns: 1500 },
    );
  });
});

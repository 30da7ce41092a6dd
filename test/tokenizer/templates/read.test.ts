/** Templates alone; against the native ones they stand in ../pipeline.test.ts. */
import { describe, expect, test } from 'vitest';
import { readTemplate } from '../../../src/tokenizer/templates/read.ts';
import { Vocabulary } from '../../../src/tokenizer/vocabulary.ts';

const vocabulary = new Vocabulary(new Map(['<s>', '</s>', 'a'].map((token, id) => [token, id])), [], 'test');
const special_tokens = { '<s>': { id: '<s>', ids: [0] }, '</s>': { id: '</s>', ids: [1, 1] }, none: { ids: [] } };
const text = { Sequence: { id: 'A', type_id: 0 } };
const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const processing = (...single: object[]) => ({ type: 'TemplateProcessing', single, pair: [], special_tokens });

function apply(value: unknown, ids: number[]): number[] | undefined {
  const template = readTemplate(value, 'post_processor', vocabulary);
  return template && Array.from(template.apply(Uint32Array.from(ids)));
}

describe('templates', () => {
  test.each<[string, unknown]>([
    ['none', null],
    ['ByteLevel', { type: 'ByteLevel', trim_offsets: true }],
    ['the text alone', processing(text)],
    ['a sequence of these', { type: 'Sequence', processors: [{ type: 'ByteLevel' }, processing(text)] }],
  ])('%s adds nothing, and is no part', (_name, value) => {
    expect(apply(value, [2])).toBeUndefined();
  });

  test.each<[string, unknown, number[]]>([
    ['tokens around the text', processing(special('<s>'), text, special('</s>')), [0, 2, 2, 1, 1]],
    ['a token without ids', processing(special('none'), text), [2, 2]],
    ['the text twice', processing(text, special('<s>'), text), [2, 2, 0, 2, 2]],
    ['no text', processing(special('<s>')), [0]],
    ['nothing', processing(), []],
    [
      'one after the other',
      { type: 'Sequence', processors: [processing(special('<s>'), text), processing(text, special('</s>'))] },
      [0, 2, 2, 1, 1],
    ],
  ])('%s', (_name, value, expected) => {
    expect(apply(value, [2, 2])).toEqual(expected);
  });
});

/**
 * TemplateProcessing: a list of special tokens with the text between them, such as `[CLS] $A [SEP]`.
 *
 *   "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, …]
 *   "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [101], "tokens": ["[CLS]"]}}
 *
 * Only `single`, the template of one text, is read: this package does not encode pairs of texts yet.
 * Source: huggingface/tokenizers `processors/template.rs`.
 */
import { asArray, asObject, asString, type JsonObject, problem, show } from '../json-checks.ts';
import type { Vocabulary } from '../vocabulary.ts';
import type { Template } from './template.ts';

/** The ids of a special token, or undefined where the text stands. */
type Piece = Uint32Array | undefined;

/** Reads the fields of TemplateProcessing; undefined for the text alone. */
export function readTemplateProcessing(
  fields: JsonObject,
  where: string,
  vocabulary: Vocabulary,
): Template | undefined {
  const pieces = asArray(fields.single, `${where}.single`).map((value, i) => {
    const at = `${where}.single[${i}]`;
    const { Sequence, SpecialToken } = asObject(value, at);
    if (SpecialToken !== undefined) {
      const name = asString(asObject(SpecialToken, `${at}.SpecialToken`).id, `${at}.SpecialToken.id`);
      return readSpecialToken(fields.special_tokens, name, `${where}.special_tokens`, vocabulary);
    }
    const { id } = asObject(Sequence, `${at}.Sequence`);
    if (id === 'A') return undefined;
    throw problem(`${at}.Sequence.id`, '"A", the only text', show(id), 'Correct the template.');
  });
  return pieces.length === 1 && pieces[0] === undefined ? undefined : { apply: (ids) => join(pieces, ids) };
}

function readSpecialToken(value: unknown, name: string, where: string, vocabulary: Vocabulary): Uint32Array {
  const tokens = asObject(value, where);
  const at = `${where}[${show(name)}]`;
  const { ids } = asObject(Object.hasOwn(tokens, name) ? tokens[name] : undefined, at);
  const list = asArray(ids, `${at}.ids`);
  return Uint32Array.from(list, (id, i) => {
    if (vocabulary.has(id)) return id;
    throw problem(`${at}.ids[${i}]`, `an id of 0 … ${vocabulary.size - 1}`, show(id), 'Add the token to added_tokens.');
  });
}

function join(pieces: readonly Piece[], text: Uint32Array): Uint32Array {
  const parts = pieces.map((piece) => piece ?? text);
  const result = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

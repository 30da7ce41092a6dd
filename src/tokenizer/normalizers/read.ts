/** Normalizers by the `type` that tokenizer.json gives them. */
import { asObject, asString, type JsonObject, problem, show } from '../json-checks.ts';
import { type PartReader, readPart, readSequence } from '../parts.ts';
import { readBertNormalizer } from './bert.ts';
import { lowerCase } from './characters.ts';
import type { Normalizer } from './normalizer.ts';
import { UnicodeForm } from './unicode-form.ts';

const READERS = new Map<string, PartReader<Normalizer>>([
  ['BertNormalizer', readBertNormalizer],
  ['Lowercase', () => ({ normalize: lowerCase })],
  ['Prepend', readPrepend],
  ['Replace', readReplace],
  ['NFC', () => new UnicodeForm('NFC')],
  ['NFD', () => new UnicodeForm('NFD')],
  ['NFKC', () => new UnicodeForm('NFKC')],
  ['NFKD', () => new UnicodeForm('NFKD')],
  ['Sequence', readNormalizers],
]);

/** Reads `normalizer` of tokenizer.json; undefined leaves text as it is. */
export function readNormalizer(value: unknown, where: string): Normalizer | undefined {
  return readPart(value, READERS, where, undefined);
}

/** `prepend` goes in front of every text. */
function readPrepend(fields: JsonObject, where: string): Normalizer {
  const prefix = asString(fields.prepend, `${where}.prepend`);
  return { normalize: (text) => (text === '' ? text : prefix + text) };
}

/** `content` takes the place of each `pattern`, a plain string: regular expressions are refused. */
function readReplace(fields: JsonObject, where: string): Normalizer {
  const pattern = asObject(fields.pattern, `${where}.pattern`).String;
  if (typeof pattern !== 'string' || pattern === '') {
    const hint = 'Regular expressions are not supported here; use a tokenizer without this part.';
    throw problem(`${where}.pattern.String`, 'a string that is not empty', show(pattern), hint);
  }
  const content = asString(fields.content, `${where}.content`);
  return { normalize: (text) => text.replaceAll(pattern, () => content) };
}

/** Each one changes what the one before has made. */
function readNormalizers(fields: JsonObject, where: string): Normalizer {
  const parts = readSequence(fields, 'normalizers', READERS, where, undefined);
  return { normalize: (text) => parts.reduce<string>((done, part) => part.normalize(done), text) };
}

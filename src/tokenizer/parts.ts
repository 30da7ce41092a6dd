/** The parts of tokenizer.json, each found by its `type` in one table per part. */
import { asArray, asObject, asString, type JsonObject, unsupported } from './json-checks.ts';
import type { Vocabulary } from './vocabulary.ts';

/** Makes a part from its fields; undefined for one that changes nothing. */
export type PartReader<T> = (fields: JsonObject, where: string, vocabulary: Vocabulary) => T | undefined;

/** A reader for each `type` that a part can have. */
export type PartReaders<T> = ReadonlyMap<string, PartReader<T>>;

/**
 * Reads a part.
 *
 * @param value - The part as it stands in the file; null and undefined are a part that is not there.
 * @returns The part; undefined where it is not there, or changes nothing.
 * @throws {TokenizerError} When it is of a type that the table does not have.
 */
export function readPart<T>(
  value: unknown,
  readers: PartReaders<T>,
  where: string,
  vocabulary: Vocabulary,
): T | undefined {
  if (value === null || value === undefined) return undefined;
  const fields = asObject(value, where);
  const type = asString(fields.type, `${where}.type`);
  const reader = readers.get(type);
  if (reader) return reader(fields, where, vocabulary);
  const names = ['none', ...readers.keys()];
  throw unsupported(where, `type ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`, type);
}

/** Reads the parts of a part of type Sequence: `fields[name]`. */
export function readSequence<T>(
  fields: JsonObject,
  name: string,
  readers: PartReaders<T>,
  where: string,
  vocabulary: Vocabulary,
): T[] {
  return asArray(fields[name], `${where}.${name}`)
    .map((value, i) => readPart(asObject(value, `${where}.${name}[${i}]`), readers, `${where}.${name}[${i}]`, vocabulary))
    .filter((part) => part !== undefined);
}

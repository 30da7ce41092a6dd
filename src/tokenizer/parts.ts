/** The parts of tokenizer.json, each found by its `type` in one table per part. */
import { asArray, asObject, asString, type JsonObject, unsupported } from './json-checks.ts';

/** Makes a part from its fields and what else it needs; undefined for one that changes nothing. */
export type PartReader<T, Context = undefined> = (fields: JsonObject, where: string, context: Context) => T | undefined;

/** A reader for each `type` that a part can have. */
export type PartReaders<T, Context> = ReadonlyMap<string, PartReader<T, Context>>;

/**
 * Reads a part.
 *
 * @param value - The part as it stands in the file; null and undefined are a part that is not there.
 * @returns The part; undefined where it is not there, or changes nothing.
 * @throws {TokenizerError} When it is of a type that the table does not have.
 */
export function readPart<T, Context>(
  value: unknown,
  readers: PartReaders<T, Context>,
  where: string,
  context: Context,
): T | undefined {
  if (value === null || value === undefined) return undefined;
  const fields = asObject(value, where);
  const type = asString(fields.type, `${where}.type`);
  const reader = readers.get(type);
  if (reader) return reader(fields, where, context);
  const names = ['none', ...readers.keys()];
  throw unsupported(where, `type ${names.slice(0, -1).join(', ')} or ${names.at(-1)}`, type);
}

/** Reads the parts of a part of type Sequence: `fields[name]`. */
export function readSequence<T, Context>(
  fields: JsonObject,
  name: string,
  readers: PartReaders<T, Context>,
  where: string,
  context: Context,
): T[] {
  const parts = asArray(fields[name], `${where}.${name}`).map((value, i) => {
    const at = `${where}.${name}[${i}]`;
    return readPart(asObject(value, at), readers, at, context);
  });
  return parts.filter((part) => part !== undefined);
}

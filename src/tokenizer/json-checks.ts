/**
 * Checks for what comes out of a tokenizer's files: nothing in them is trusted. Every failure is a TokenizerError that
 * names the field, what was expected and what stood there.
 */
import { TokenizerError } from '../errors.ts';
import { JsonSyntaxError, parseStrictJson } from '../formats/json.ts';

export type JsonObject = { readonly [field: string]: unknown };

const DAMAGED = 'The file is damaged or of another kind; obtain it again.';

/** A TokenizerError in the grammar of this package. `got` is shown as it is. */
export function problem(where: string, expected: string, got: string, hint: string): TokenizerError {
  return new TokenizerError(`${where}: expected ${expected}, got ${got}. ${hint}`);
}

/** A part or setting that is not supported: an error, since ignoring it would give other ids than its author's. */
export function unsupported(where: string, expected: string, got: unknown): TokenizerError {
  return problem(where, expected, show(got), 'Nothing else is supported here; use a tokenizer without it.');
}

/** Describes a value in a few words, for messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return value === undefined ? 'nothing' : String(value);
}

/** Parses JSON text, strictly (see `formats/json.ts`). */
export function parseJson(text: string, where: string): unknown {
  try {
    return parseStrictJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw new TokenizerError(`${where}: expected valid JSON, got an error: ${cause.reason}. ${DAMAGED}`, { cause });
  }
}

export function asObject(value: unknown, where: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw problem(where, 'an object', show(value), DAMAGED);
}

export function asArray(value: unknown, where: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw problem(where, 'an array', show(value), DAMAGED);
}

export function asString(value: unknown, where: string): string {
  if (typeof value === 'string') return value;
  throw problem(where, 'a string', show(value), DAMAGED);
}

export function asBoolean(value: unknown, where: string): boolean {
  if (typeof value === 'boolean') return value;
  throw problem(where, 'true or false', show(value), DAMAGED);
}

/** A boolean field that may be missing. */
export function booleanOr(value: unknown, fallback: boolean, where: string): boolean {
  return value === undefined ? fallback : asBoolean(value, where);
}

export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

export function asId(value: unknown, where: string): number {
  if (isId(value)) return value;
  throw problem(where, 'an id, an integer of 0 or more', show(value), DAMAGED);
}

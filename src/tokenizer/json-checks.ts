/**
 * Checks for what comes out of a tokenizer's files: nothing in them is trusted. Every failure is a TokenizerError that
 * names the field, what was expected and what stood there.
 */
import { TokenizerError } from '../errors.ts';
import { isId, type JsonObject, problem, show } from './problem.ts';

const DAMAGED = 'The file is damaged or of another kind; obtain it again.';

export function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    throw new TokenizerError(`${where}: expected valid JSON, got an error: ${got}. ${DAMAGED}`, { cause });
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

export function asId(value: unknown, where: string): number {
  if (isId(value)) return value;
  throw problem(where, 'an id, an integer of 0 or more', show(value), DAMAGED);
}

/** The field `type` of one of the parts of tokenizer.json; undefined for a part that is null or missing. */
export function typeOf(part: unknown, where: string): string | undefined {
  return part === null || part === undefined ? undefined : asString(asObject(part, where).type, `${where}.type`);
}

/** A part or setting that is understood and not supported: said, rather than ignored. */
export function unsupported(where: string, expected: string, got: unknown): TokenizerError {
  return problem(
    where,
    expected,
    show(got),
    'lanewise reads byte-level BPE (GPT-2), GPT-1 BPE, character and byte tokenizers.',
  );
}

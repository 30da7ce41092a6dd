/** How tokenizers say what is wrong, and what in files is an id. */
import { TokenizerError } from '../errors.ts';

export type JsonObject = { readonly [field: string]: unknown };

/** A TokenizerError in the grammar of this package. `got` is shown as it is. */
export function problem(where: string, expected: string, got: string, hint: string): TokenizerError {
  return new TokenizerError(`${where}: expected ${expected}, got ${got}. ${hint}`);
}

/** Describes a value in a few words, for messages. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return value === undefined ? 'nothing' : String(value);
}

export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

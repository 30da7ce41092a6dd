/**
 * Strict JSON (RFC 8259) for files from outside. It differs from `JSON.parse` where that is silent: a key twice in one object,
 * half a surrogate pair in an escape and a number that no double can hold are refused, and nesting ends at 128 levels, as in serde_json.
 *
 *   parseStrictJson   plain objects, as `JSON.parse` gives them, at little more than its price: for large files, such as tokenizer.json
 *   parseJsonValue    Maps, and numbers with their spelling (`16` and `16.0` differ, as they do for a Rust reader):
 *                     for small files, such as config.json, and for headers
 *
 * Both begin with `JSON.parse`, which checks the grammar. `parseJsonValue` then goes through the text once more, token by token.
 * `parseStrictJson` counts instead: a text with as many keys as its value repeats none. Only where a count is off, or something
 * is rare enough to need a closer look, do the tokens decide.
 */

const MAX_DEPTH = 128;

/** A number that is not spelled as a safe integer: `1.5`, `1e3`, `-0`, `9007199254740993`. */
export class JsonNumber {
  readonly text: string;
  readonly value: number;
  constructor(text: string) {
    this.text = text;
    this.value = Number(text);
  }
}

/** A parsed JSON value; a `number` is a safe integer spelled as one. */
export type JsonValue = null | boolean | string | number | JsonNumber | JsonValue[] | JsonMap;
/** An object, keys in the order of the text; `__proto__` is a key like any other. */
export type JsonMap = Map<string, JsonValue>;

/** The text is not JSON, or breaks one of the rules above; `reason` reads "got …". */
export class JsonSyntaxError extends Error {
  override name = 'JsonSyntaxError';
  readonly reason: string;
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.reason = reason;
  }
}

/** Reads a number; both kinds. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  return value instanceof JsonNumber ? value.value : typeof value === 'number' ? value : undefined;
}

/**
 * Parses JSON text strictly.
 * @param text the whole text; space around the value is allowed, a byte order mark is not.
 * @returns the value, objects as Maps.
 * @throws JsonSyntaxError saying what is wrong; with the host's own message where the text is not JSON at all.
 */
export function parseJsonValue(text: string): JsonValue {
  parseNatively(text);
  return new TokenReader(text).value(0);
}

/**
 * Parses JSON text strictly into plain objects. A key `__proto__` is a property of its own, as in what `JSON.parse` returns: copy such
 * objects by their entries, not by assignment.
 * @param text as for `parseJsonValue`.
 * @returns the value as `JSON.parse` gives it, of unknown shape.
 * @throws JsonSyntaxError as `parseJsonValue`, for the same texts.
 */
export function parseStrictJson(text: string): unknown {
  const value = parseNatively(text);
  if (surelyHasKeys(text, value)) return value;
  new TokenReader(text).value(0); // throws unless all is well
  return value;
}

function parseNatively(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new JsonSyntaxError((cause as Error).message, { cause });
  }
}

// ── Counting ────────────────────────────────────────────────────────────────────────────────────────────────────────────

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;

/**
 * Whether a text keeps all rules, by counting; false where it takes a closer look.
 * @param value what JSON.parse made of the text
 */
function surelyHasKeys(text: string, value: unknown): boolean {
  const keys = keysOfText(text);
  return keys !== undefined && keys === keysOfValue(value);
}

/** An escape of a surrogate; two of them may be a pair. */
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** The keys of a text that is known to be JSON; undefined for deep nesting and for escapes of surrogates, also of whole pairs. */
function keysOfText(text: string): number | undefined {
  if (text.includes('\\') && SURROGATE_ESCAPE.test(text)) return undefined;
  let keys = 0;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) at = endOfString(text, at);
    else if (unit === COLON) keys++;
    else if (unit === 0x7b || unit === 0x5b) {
      if (++depth > MAX_DEPTH) return undefined;
    } else if (unit === 0x7d || unit === 0x5d) depth--;
  }
  return keys;
}

/** Where a string that begins at `begin` ends: its last quote. */
function endOfString(text: string, begin: number): number {
  let end = text.indexOf('"', begin + 1);
  if (text.charCodeAt(end - 1) !== BACKSLASH) return end;
  for (end = begin + 1; text.charCodeAt(end) !== QUOTE; end++) if (text.charCodeAt(end) === BACKSLASH) end++;
  return end;
}

/** The keys of all objects of a parsed value; NaN where a number is infinite, that is, more than a double can hold. */
function keysOfValue(value: unknown): number {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (typeof value !== 'object' || value === null) return 0;
  const isArray = Array.isArray(value);
  const items: readonly unknown[] = isArray ? value : Object.values(value);
  let keys = isArray ? 0 : items.length;
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    // Only what is unusual in a large file costs a call.
    if (typeof item !== 'string' && !Number.isSafeInteger(item)) keys += keysOfValue(item);
  }
  return keys;
}

// ── Tokens ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** The values of a text that is known to be JSON, read by hand: a regular expression for tokens takes a new process three times as long. */
class TokenReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next value. */
  value(depth: number): JsonValue {
    return this.#valueAt(this.#start(), depth);
  }

  /** Goes to where the next token starts: over space, commas and colons. Returns its first unit. */
  #start(): number {
    let unit = this.#text.charCodeAt(this.#at);
    while (unit <= 0x20 || unit === COMMA || unit === COLON) unit = this.#text.charCodeAt(++this.#at);
    return unit;
  }

  #valueAt(first: number, depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError(`more than ${MAX_DEPTH} levels of nesting`);
    if (first === QUOTE) return this.#string();
    if (first === 0x7b) return this.#object(depth + 1);
    if (first === 0x5b) return this.#array(depth + 1);
    return this.#atom();
  }

  #object(depth: number): JsonMap {
    const entries: JsonMap = new Map();
    this.#at++;
    while (this.#start() !== 0x7d) {
      const key = this.#string();
      if (entries.has(key)) throw new JsonSyntaxError(`the key ${short(JSON.stringify(key))} twice in one object`);
      entries.set(key, this.value(depth));
    }
    this.#at++;
    return entries;
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    this.#at++;
    for (let first = this.#start(); first !== 0x5d; first = this.#start()) values.push(this.#valueAt(first, depth));
    this.#at++;
    return values;
  }

  #string(): string {
    const token = this.#text.slice(this.#at, endOfString(this.#text, this.#at) + 1);
    this.#at += token.length;
    if (!token.includes('\\')) return token.slice(1, -1);
    const text = JSON.parse(token) as string;
    if (SURROGATE_ESCAPE.test(token) && /\p{Surrogate}/u.test(text))
      throw new JsonSyntaxError(`half a surrogate pair in the string ${short(token)}`);
    return text;
  }

  /** A number, or true, false or null. */
  #atom(): JsonValue {
    const begin = this.#at;
    let unit = this.#text.charCodeAt(begin);
    while (unit > 0x20 && unit !== COMMA && unit !== 0x7d && unit !== 0x5d) unit = this.#text.charCodeAt(++this.#at);
    const token = this.#text.slice(begin, this.#at);
    if (token === 'null') return null;
    if (token === 'true' || token === 'false') return token === 'true';
    return spelledNumber(token);
  }
}

function spelledNumber(token: string): number | JsonNumber {
  const value = Number(token);
  // A safe integer is spelled as JavaScript would; `-0` is not.
  if (Number.isSafeInteger(value) && `${value}` === token) return value;
  if (Number.isFinite(value)) return new JsonNumber(token);
  throw new JsonSyntaxError(`the number ${short(token)}, which no double can hold`);
}

// ── Messages ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function short(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** Describes a value in a message: short, and on one line. */
export function describeJsonValue(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value instanceof JsonNumber) return short(value.text, 40);
  if (typeof value === 'number') return String(value);
  if (value instanceof Map) return 'an object';
  if (Array.isArray(value)) return 'an array';
  return short(JSON.stringify(value));
}

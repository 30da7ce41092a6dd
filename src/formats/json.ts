/**
 * Strict JSON (RFC 8259) for files from outside. It differs from `JSON.parse` where that is silent:
 * a key twice in one object is refused, objects are Maps (so `__proto__` is a key like any other), integers and other
 * spellings of numbers differ (`16` and `16.0`, as they do for a Rust reader), half surrogate pairs are refused,
 * and nesting ends at 128 levels, as in serde_json.
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

/** What JSON text says; a `number` is a safe integer spelled as one. */
export type JsonValue = null | boolean | string | number | JsonNumber | JsonValue[] | JsonObject;
/** An object, keys in the order of the text. */
export type JsonObject = Map<string, JsonValue>;

/** The text is not JSON, or repeats a key; `reason` reads "got …". */
export class JsonSyntaxError extends Error {
  override name = 'JsonSyntaxError';
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/** What text that is known to be JSON consists of, beside commas and colons: brackets, strings, and all else. */
const TOKEN = /[[\]{}]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,:"[\]{}]+/g;

/** Reads a number; both kinds. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  return value instanceof JsonNumber ? value.value : typeof value === 'number' ? value : undefined;
}

/** The values of a text, in order; JSON.parse has said what is wrong with it, if anything is. */
class Reader {
  readonly #text: string;
  readonly #token = new RegExp(TOKEN);

  constructor(text: string) {
    try {
      JSON.parse(text);
    } catch (error) {
      throw new JsonSyntaxError((error as Error).message);
    }
    this.#text = text;
  }

  next(): string {
    return this.#token.exec(this.#text)![0];
  }

  value(token: string, depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError(`more than ${MAX_DEPTH} levels of nesting`);
    if (token === '{') return this.object(depth, (_key, value) => value);
    if (token === '[') return this.#array(depth);
    const value = JSON.parse(token) as null | boolean | string | number;
    if (typeof value === 'string' && token.includes('\\') && /\p{Surrogate}/u.test(value))
      throw new JsonSyntaxError(`half a surrogate pair in the string ${short(token)}`);
    // A safe integer is spelled as JavaScript would; `-0` is not.
    if (typeof value !== 'number' || (Number.isSafeInteger(value) && `${value}` === token)) return value;
    if (Number.isFinite(value)) return new JsonNumber(token);
    throw new JsonSyntaxError(`the number ${short(token)}, which no double can hold`);
  }

  /** The rest of an object. */
  object<T>(depth: number, convert: (key: string, value: JsonValue) => T): Map<string, T> {
    const entries = new Map<string, T>();
    for (let token = this.next(); token !== '}'; token = this.next()) {
      const key = this.value(token, 0) as string;
      if (entries.has(key)) throw new JsonSyntaxError(`the key ${short(JSON.stringify(key))} twice in one object`);
      entries.set(key, convert(key, this.value(this.next(), depth + 1)));
    }
    return entries;
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    for (let token = this.next(); token !== ']'; token = this.next()) values.push(this.value(token, depth + 1));
    return values;
  }
}

/**
 * Parses JSON text strictly.
 * @param text the whole text; space around the value is allowed, a byte order mark is not.
 * @returns the value.
 * @throws JsonSyntaxError saying what is wrong, in the words of the host where that is not JSON at all.
 */
export function parseJson(text: string): JsonValue {
  const reader = new Reader(text);
  return reader.value(reader.next(), 0);
}

/**
 * Parses the text of one object strictly, and converts each value as soon as it is read.
 * @param text the whole text.
 * @param convert called once per key, in the order of the text; what it throws is passed on.
 * @returns key → converted value.
 * @throws JsonSyntaxError as `parseJson`, and for other values than an object.
 */
export function parseJsonObject<T>(text: string, convert: (key: string, value: JsonValue) => T): Map<string, T> {
  const reader = new Reader(text);
  if (reader.next() === '{') return reader.object(0, convert);
  throw new JsonSyntaxError(describeJson(parseJson(text)));
}

function short(text: string, length = 80): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** Describes a value in a message: short, and on one line. */
export function describeJson(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value instanceof JsonNumber) return short(value.text, 40);
  if (typeof value === 'number') return String(value);
  if (value instanceof Map) return 'an object';
  if (Array.isArray(value)) return 'an array';
  return short(JSON.stringify(value));
}

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

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Characters that stand for themselves: all but controls, quote and backslash. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside strings
const PLAIN = /[^\u0000-\u001f"\\]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** Reads a number; both kinds. */
export function numberOf(value: JsonValue | undefined): number | undefined {
  return value instanceof JsonNumber ? value.value : typeof value === 'number' ? value : undefined;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#end();
    return value;
  }

  entries<T>(convert: (key: string, value: JsonValue) => T): Map<string, T> {
    this.#space();
    if (!this.#take('{')) this.#fail("'{'");
    const entries = this.#object(0, convert);
    this.#end();
    return entries;
  }

  #end(): void {
    this.#space();
    if (this.#at < this.#text.length) this.#fail('the end of the text');
  }

  #fail(expected: string): never {
    const found = this.#at < this.#text.length ? JSON.stringify(this.#text[this.#at]) : 'the end of the text';
    throw new JsonSyntaxError(`${found} at character ${this.#at} where ${expected} belongs`);
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #take(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError(`more than ${MAX_DEPTH} levels of nesting`);
    this.#space();
    if (this.#take('{')) return this.#object(depth, asItIs);
    if (this.#take('[')) return this.#array(depth);
    if (this.#take('"')) return this.#string();
    if (this.#take('true')) return true;
    if (this.#take('false')) return false;
    if (this.#take('null')) return null;
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) this.#fail('a value');
    const value = Number(match[0]);
    if (!Number.isFinite(value)) this.#fail('a number that a double can hold');
    this.#at = NUMBER.lastIndex;
    const isInteger = Number.isSafeInteger(value) && !Object.is(value, -0) && /^-?[0-9]+$/.test(match[0]);
    return isInteger ? value : new JsonNumber(match[0]);
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    this.#space();
    if (this.#take(']')) return values;
    do {
      values.push(this.#value(depth + 1));
      this.#space();
    } while (this.#take(','));
    if (!this.#take(']')) this.#fail("',' or ']'");
    return values;
  }

  #object<T>(depth: number, convert: (key: string, value: JsonValue) => T): Map<string, T> {
    const entries = new Map<string, T>();
    this.#space();
    if (this.#take('}')) return entries;
    do {
      this.#space();
      if (!this.#take('"')) this.#fail('a key in quotes');
      const key = this.#string();
      if (entries.has(key)) throw new JsonSyntaxError(`the key ${JSON.stringify(key)} twice in one object`);
      this.#space();
      if (!this.#take(':')) this.#fail("':'");
      entries.set(key, convert(key, this.#value(depth + 1)));
      this.#space();
    } while (this.#take(','));
    if (!this.#take('}')) this.#fail("',' or '}'");
    return entries;
  }

  /** The rest of a string whose opening quote was taken. */
  #string(): string {
    const begin = this.#at;
    let value = '';
    let isEscaped = false;
    for (;;) {
      PLAIN.lastIndex = this.#at;
      PLAIN.exec(this.#text);
      const plainEnd = PLAIN.lastIndex;
      value += this.#text.slice(this.#at, plainEnd);
      this.#at = plainEnd;
      if (this.#take('"')) break;
      if (!this.#take('\\')) this.#fail('a character of a string');
      isEscaped = true;
      value += this.#escape();
    }
    if (isEscaped && /\p{Surrogate}/u.test(value)) {
      throw new JsonSyntaxError(`half a surrogate pair in the string at character ${begin}`);
    }
    return value;
  }

  #escape(): string {
    const letter = this.#text[this.#at];
    if (letter === 'u') {
      const digits = this.#text.slice(this.#at + 1, this.#at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail('four hexadecimal digits');
      this.#at += 5;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const meaning = letter === undefined || !Object.hasOwn(ESCAPES, letter) ? undefined : ESCAPES[letter];
    if (meaning === undefined) this.#fail('an escape');
    this.#at += 1;
    return meaning;
  }
}

/**
 * Parses JSON text strictly.
 * @param text the whole text; space around the value is allowed, a byte order mark is not.
 * @returns the value.
 * @throws JsonSyntaxError saying what stands where.
 */
export function parseJson(text: string): JsonValue {
  return new Scanner(text).document();
}

function asItIs(_key: string, value: JsonValue): JsonValue {
  return value;
}

/**
 * Parses the text of one object strictly, and converts each value as soon as it is read: a header of 100 MB
 * then needs little more memory than what is made of it.
 * @param text the whole text.
 * @param convert called once per key, in the order of the text; what it throws is passed on.
 * @returns key → converted value.
 * @throws JsonSyntaxError saying what stands where.
 */
export function parseJsonObject<T>(text: string, convert: (key: string, value: JsonValue) => T): Map<string, T> {
  return new Scanner(text).entries(convert);
}

/** Describes a value in a message: short, and on one line. */
export function describeJson(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value instanceof JsonNumber) return value.text.length > 40 ? `${value.text.slice(0, 40)}…` : value.text;
  if (typeof value === 'number') return String(value);
  if (value instanceof Map) return 'an object';
  if (Array.isArray(value)) return 'an array';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

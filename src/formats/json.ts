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

/** A word or a number. */
const LITERAL = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** A string up to its closing quote: characters that stand for themselves, all but controls, quote and backslash; escapes. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids exactly these inside strings
const STRING = /"[^\u0000-\u001f"\\]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^\u0000-\u001f"\\]*)*/y;

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
    this.#expect('{', "'{'");
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

  /** Whether this mark comes next, which is then behind. */
  #take(mark: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== mark) return false;
    this.#at += 1;
    return true;
  }

  #expect(mark: string, expected: string): void {
    if (!this.#take(mark)) this.#fail(expected);
  }

  /** What the pattern matches here, nothing at all included. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? '';
  }

  #value(depth: number): JsonValue {
    if (depth > MAX_DEPTH) throw new JsonSyntaxError(`more than ${MAX_DEPTH} levels of nesting`);
    if (this.#take('{')) return this.#object(depth, asItIs);
    if (this.#take('[')) return this.#array(depth);
    if (this.#text[this.#at] === '"') return this.#string();
    const literal = this.#match(LITERAL);
    if (literal === '') this.#fail('a value');
    const value = JSON.parse(literal) as null | boolean | number;
    if (typeof value === 'number' && !Number.isFinite(value)) this.#fail('a number that a double can hold');
    this.#at += literal.length;
    // A safe integer is spelled as JavaScript would; `-0` is not.
    return typeof value !== 'number' || (Number.isSafeInteger(value) && `${value}` === literal)
      ? value
      : new JsonNumber(literal);
  }

  #array(depth: number): JsonValue[] {
    const values: JsonValue[] = [];
    if (this.#take(']')) return values;
    do values.push(this.#value(depth + 1));
    while (this.#take(','));
    this.#expect(']', "',' or ']'");
    return values;
  }

  #object<T>(depth: number, convert: (key: string, value: JsonValue) => T): Map<string, T> {
    const entries = new Map<string, T>();
    if (this.#take('}')) return entries;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('a key in quotes');
      const key = this.#string();
      if (entries.has(key)) throw new JsonSyntaxError(`the key ${JSON.stringify(key)} twice in one object`);
      this.#expect(':', "':'");
      entries.set(key, convert(key, this.#value(depth + 1)));
    } while (this.#take(','));
    this.#expect('}', "',' or '}'");
    return entries;
  }

  #string(): string {
    const begin = this.#at + 1;
    const text = this.#match(STRING);
    this.#at += text.length;
    if (this.#text[this.#at] !== '"') this.#fail('a character of a string');
    this.#at += 1;
    if (!text.includes('\\')) return text.slice(1);
    const value = JSON.parse(`${text}"`) as string;
    if (!/\p{Surrogate}/u.test(value)) return value;
    throw new JsonSyntaxError(`half a surrogate pair in the string at character ${begin}`);
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

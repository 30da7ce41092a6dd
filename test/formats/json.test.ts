/** The strict JSON reader against JSON.parse, and where it is stricter. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonNumber, JsonSyntaxError, type JsonValue, parseJson, parseJsonObject } from '../../src/formats/json.ts';
import { syntaxError } from './support.ts';

/** As JSON.parse would give it. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return value.value;
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  const object = {};
  for (const [key, item] of value) {
    Object.defineProperty(object, key, { value: plain(item), enumerable: true, configurable: true, writable: true });
  }
  return object;
}

describe('parseJson', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(plain(parseJson(text))).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('accepts nothing that JSON.parse refuses, and refuses only what is said here', () => {
    const piece = fc.constantFrom(
      ...'{}[]",:\\ \n\t\r/u0123456789abcdefE+-.truefalsn'.split(''),
      '"a":',
      '1e5',
      '\ud83d\ude00',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(() => parseJson(text)).toThrow(JsonSyntaxError);
          return;
        }
        try {
          expect(plain(parseJson(text))).toEqual(expected);
        } catch (error) {
          if (!(error instanceof JsonSyntaxError)) throw error;
          expect(error.reason).toMatch(/twice in one object|surrogate|no double can hold/);
        }
      }),
      { numRuns: 20_000 },
    );
  });

  it.each([
    '',
    '{',
    '[1,]',
    '[1 2]',
    '{"a":1,}',
    '{"a" 1}',
    '01',
    '+1',
    'NaN',
    '"\\x"',
    '"\\',
    '"abc',
    '"a\nb"',
    '\ufeff{}',
  ])('refuses %j in the words of the host', (text) => {
    expect(() => parseJson(text)).toThrow(JsonSyntaxError);
    expect(() => parseJson(text)).toThrow(syntaxError(text));
  });

  it.each([
    ['[1e999]', 'the number 1e999, which no double can hold'],
    ['"\\ud800"', 'half a surrogate pair in the string "\\ud800"'],
    ['{"a":1,"a":2}', 'the key "a" twice in one object'],
    ['{"a":1,"\\u0061":2}', 'the key "a" twice in one object'],
    ['{"x":{"b":1,"c":2,"b":3}}', 'the key "b" twice in one object'],
  ])('refuses %j', (text, reason) => {
    expect(() => parseJson(text)).toThrow(JsonSyntaxError);
    expect(() => parseJson(text)).toThrow(reason);
  });

  it('reads strings with whatever stands in them', () => {
    expect(parseJson(' ["a,b:{}[]", "\\"\\\\", "", "\u2028"] ')).toEqual(['a,b:{}[]', '"\\', '', '\u2028']);
    const long = `${'x'.repeat(1 << 20)}\\n`.repeat(8);
    expect(parseJson(`"${long}"`)).toBe(long.replaceAll('\\n', '\n'));
  });

  it('converts the values of an object one by one', () => {
    const seen: string[] = [];
    const lengths = parseJsonObject(' {"a":[1,2],"b":[]} ', (key, value) => {
      seen.push(key);
      return (value as JsonValue[]).length;
    });
    expect([...lengths]).toEqual([
      ['a', 2],
      ['b', 0],
    ]);
    expect(seen).toEqual(['a', 'b']);
    expect(() => parseJsonObject('[]', () => 0)).toThrow('an array');
    expect(() => parseJsonObject('{"a":1,"a":2}', () => 0)).toThrow('the key "a" twice in one object');
  });

  it('ends at 128 levels, without exhausting the stack', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(() => parseJson(nested(128))).not.toThrow();
    expect(() => parseJson(nested(130))).toThrow('more than 128 levels of nesting');
    expect(() => parseJson('['.repeat(5_000_000))).toThrow(JsonSyntaxError);
    expect(() => parseJson('{"a":'.repeat(1_000_000))).toThrow(JsonSyntaxError);
  });

  it('keeps keys such as __proto__ apart from prototypes, and numbers as they are spelled', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"n":1.0}') as Map<string, JsonValue>;
    expect([...value.keys()]).toEqual(['__proto__', 'n']);
    expect(value.get('n')).toEqual(new JsonNumber('1.0'));
    expect(parseJson('[0, -7, 9007199254740991]')).toEqual([0, -7, 9007199254740991]);
    expect(parseJson('[-0, 9007199254740992, 1e2]')).toEqual(
      ['-0', '9007199254740992', '1e2'].map((text) => new JsonNumber(text)),
    );
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});

/** The strict JSON readers against JSON.parse and each other, and where they are stricter. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  JsonNumber,
  JsonSyntaxError,
  type JsonValue,
  parseJsonValue,
  parseStrictJson,
} from '../../src/formats/json.ts';
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

describe.each([
  ['parseJsonValue', (text: string) => plain(parseJsonValue(text))],
  ['parseStrictJson', parseStrictJson],
] as const)('%s', (_name, parse) => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(parse(text)).toEqual(JSON.parse(text));
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
          expect(() => parse(text)).toThrow(JsonSyntaxError);
          return;
        }
        try {
          expect(parse(text)).toEqual(expected);
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
    expect(() => parse(text)).toThrow(JsonSyntaxError);
    expect(() => parse(text)).toThrow(syntaxError(text));
  });

  it.each([
    ['[1e999]', 'the number 1e999, which no double can hold'],
    ['"\\ud800"', 'half a surrogate pair in the string "\\ud800"'],
    ['{"a":1,"a":2}', 'the key "a" twice in one object'],
    ['{"a":1,"\\u0061":2}', 'the key "a" twice in one object'],
    ['{"x":{"b":1,"c":2,"b":3}}', 'the key "b" twice in one object'],
  ])('refuses %j', (text, reason) => {
    expect(() => parse(text)).toThrow(JsonSyntaxError);
    expect(() => parse(text)).toThrow(reason);
  });

  it('reads strings with whatever stands in them', () => {
    expect(parse(' ["a,b:{}[]", "\\"\\\\", "", "\u2028"] ')).toEqual(['a,b:{}[]', '"\\', '', '\u2028']);
    const long = `${'x'.repeat(1 << 20)}\\n`.repeat(8);
    expect(parse(`"${long}"`)).toBe(long.replaceAll('\\n', '\n'));
  });

  it('ends at 128 levels, without exhausting the stack', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(() => parse(nested(128))).not.toThrow();
    expect(() => parse(nested(130))).toThrow('more than 128 levels of nesting');
    expect(() => parse('['.repeat(5_000_000))).toThrow(JsonSyntaxError);
    expect(() => parse('{"a":'.repeat(1_000_000))).toThrow(JsonSyntaxError);
  });

  it('reads escapes, also of surrogate pairs and of backslashes in front of what looks like one', () => {
    const texts = ['"\\ud83d\\ude00"', '"\\\\ud800"', '{"\\uD83D\\uDE00":[1.5]}', '"\\ud7ff\\ue000\\u0120"'];
    for (const text of texts) expect(parse(text)).toEqual(JSON.parse(text));
  });

  it('keeps keys such as __proto__ apart from prototypes', () => {
    const value = parse('{"__proto__":{"polluted":true},"constructor":1}') as object;
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(() => parse('{"__proto__":1,"__proto__":2}')).toThrow('the key "__proto__" twice in one object');
  });
});

describe('both readers', () => {
  /** JSON whose objects may repeat keys, with the numbers and escapes that rules are about. */
  const { text: json } = fc.letrec<{ text: string; scalar: string; key: string }>((tie) => ({
    scalar: fc.constantFrom(
      '0',
      '-0',
      '16',
      '16.0',
      '1e999',
      '-1e400',
      '1e-999',
      'null',
      'true',
      '""',
      '"\\ud800"',
      '"😀"',
    ),
    key: fc.constantFrom('"a"', '"\\u0061"', '"b"', '"\\\\"', '"\\""', '":"', '"\\udc00"', '"__proto__"'),
    text: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      tie('scalar'),
      fc.array(tie('text'), { maxLength: 4 }).map((items) => `[${items.join(' , ')}]`),
      fc
        .array(fc.tuple(tie('key'), tie('text')), { maxLength: 4 })
        .map((entries) => `{${entries.map(([key, value]) => `${key} :${value}`).join(',')}}`),
    ),
  }));
  const outcome = (parse: () => unknown) => {
    try {
      return { value: parse() };
    } catch (error) {
      if (!(error instanceof JsonSyntaxError)) throw error;
      return { reason: error.reason };
    }
  };

  it('read the same values and refuse the same texts, for the same reason', () => {
    let refused = 0;
    fc.assert(
      fc.property(json, (text) => {
        const found = outcome(() => parseStrictJson(text));
        expect(found).toEqual(outcome(() => plain(parseJsonValue(text))));
        if ('value' in found) expect(found.value).toEqual(JSON.parse(text));
        else refused++;
      }),
      { numRuns: 5000 },
    );
    expect(refused).toBeGreaterThan(500);
  });

  it('refuse a repeated key wherever it stands in a large text', () => {
    const keys = Array.from({ length: 3000 }, (_, i) => `"Ġ${i}\\n":{"x":[${i},"y"]}`);
    expect(Object.keys(parseStrictJson(`{${keys}}`) as object)).toHaveLength(3000);
    for (const at of [0, 1, 1500, 2999]) {
      const text = `{${[...keys.slice(0, at), `"z":{"x":1,"x":1}`, ...keys.slice(at)]}}`;
      for (const parse of [parseStrictJson, parseJsonValue])
        expect(() => parse(text)).toThrow('the key "x" twice in one object');
    }
  });
});

describe('parseJsonValue', () => {
  it('keeps numbers as they are spelled, and keys in the order of the text', () => {
    const value = parseJsonValue('{"b":1,"2":1.0,"1":0}') as Map<string, JsonValue>;
    expect([...value.keys()]).toEqual(['b', '2', '1']);
    expect(value.get('2')).toEqual(new JsonNumber('1.0'));
    expect(parseJsonValue('[0, -7, 9007199254740991]')).toEqual([0, -7, 9007199254740991]);
    expect(parseJsonValue('[-0, 9007199254740992, 1e2]')).toEqual(
      ['-0', '9007199254740992', '1e2'].map((text) => new JsonNumber(text)),
    );
  });
});

/** The hand-written split against OpenAI's regular expression. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextWord } from '../../../src/tokenizer/splitters/byte-level-words.ts';
import { classOf, LETTER, NUMBER, OTHER, SPACE } from '../../../src/tokenizer/unicode/character-class.ts';
import { anyText, check } from '../support.ts';

/** The specification. `\s` of the original is White_Space, which is not JavaScript's `\s`. */
const PATTERN =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The class by this engine's Unicode version, which may know more characters than the frozen tables. */
function classByEngine(character: string): number {
  if (/\p{L}/u.test(character)) return LETTER;
  if (/\p{N}/u.test(character)) return NUMBER;
  return /\p{White_Space}/u.test(character) ? SPACE : OTHER;
}

function words(text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const result: string[] = [];
  for (let pos = 0; pos < bytes.length; ) {
    const next = nextWord(bytes, pos, bytes.length);
    result.push(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(pos, next)));
    pos = next;
  }
  return result;
}

describe('nextWord', () => {
  test('splits any text as the pattern does', () =>
    check(anyText, 20_000, (value) => {
      const text = Array.from(value)
        .filter((c) => classOf(c.codePointAt(0)!) === classByEngine(c))
        .join('');
      expect(words(text)).toEqual(text.match(PATTERN) ?? []);
    }));

  test('splits any run of a few characters as the pattern does', () => {
    const unit = fc.constantFrom(' ', '\n', '\u2003', "'", 's', 'l', 'e', 'r', '1', '!', 'é', '日', '🙂');
    return check(fc.string({ unit, maxLength: 12 }), 20_000, (text) => {
      expect(words(text)).toEqual(text.match(PATTERN) ?? []);
    });
  });
});

describe('character classes', () => {
  test("differ from this engine's only in characters that one of them does not know", () => {
    const different: string[] = [];
    for (let code = 0; code < 0x110000; code++) {
      const character = String.fromCodePoint(code);
      if (classOf(code) !== classByEngine(character)) different.push(code.toString(16));
    }
    // Unicode 17 added 4644 letters and 13 numbers; an older engine lacks some instead.
    expect(different.length).toBeLessThan(15_000);
    expect(different.every((code) => Number.parseInt(code, 16) > 0x80)).toBe(true);
  });
});

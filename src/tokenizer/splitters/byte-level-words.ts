/**
 * The words of byte-level BPE, by the pattern that OpenAI published with it, as a hand-written scanner over UTF-8:
 *
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * Source: openai/gpt-2 `src/encoder.py`. A word is therefore a contraction, or an optional space and a run
 * of one class (letters, numbers, neither), or white space that leaves its last character to the next word.
 * The input must be valid UTF-8, as TextEncoder makes it. `test/tokenizer/splitters/byte-level-words.test.ts`
 * compares it with the regular expression.
 */
import { classOf, LETTER, NUMBER, OTHER, SPACE } from '../unicode/character-class.ts';
import { isSpace } from '../unicode/code-points.ts';

/** Marks the first byte of a character beyond ASCII in the table below. */
const WIDE = 4;

/** Class by first byte; in ASCII without the tables of `unicode/`, which are unpacked only for texts that need them. */
const BYTE_CLASS = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return WIDE;
  const character = String.fromCharCode(byte);
  return /[a-z]/i.test(character) ? LETTER : /\d/.test(character) ? NUMBER : isSpace(byte) ? SPACE : OTHER;
});

const APOSTROPHE = 0x27;
const BLANK = 0x20;

/**
 * Finds where the word that starts at `start` ends.
 * `start` < `end`; the text ends at `end` (white space before it stays whole).
 */
export function nextWord(bytes: Uint8Array, start: number, end: number): number {
  let pos = start;
  let first = bytes[pos]!;
  if (first === APOSTROPHE) {
    const length = contractionLength(bytes, start, end);
    if (length > 0) return start + length;
  } else if (first === BLANK) {
    pos++;
    if (pos === end) return end;
    first = bytes[pos]!;
  }
  let kind = BYTE_CLASS[first]!;
  if (kind === WIDE) kind = classOf(codePointAt(bytes, pos));
  if (kind === SPACE) return whiteSpaceEnd(bytes, start, end);
  for (;;) {
    pos += first < 0x80 ? 1 : widthOf(first);
    if (pos >= end) return end;
    first = bytes[pos]!;
    const next = BYTE_CLASS[first]!;
    if (next === kind) continue;
    if (next !== WIDE || classOf(codePointAt(bytes, pos)) !== kind) return pos;
  }
}

function contractionLength(bytes: Uint8Array, start: number, end: number): number {
  const rest = end - start - 1;
  if (rest < 1) return 0;
  const a = bytes[start + 1];
  // 's 't 'm 'd
  if (a === 0x73 || a === 0x74 || a === 0x6d || a === 0x64) return 2;
  if (rest < 2) return 0;
  const b = bytes[start + 2];
  // 're 've 'll
  return ((a === 0x72 || a === 0x76) && b === 0x65) || (a === 0x6c && b === 0x6c) ? 3 : 0;
}

function whiteSpaceEnd(bytes: Uint8Array, start: number, end: number): number {
  let pos = start;
  let last = start;
  while (pos < end) {
    const first = bytes[pos]!;
    const kind = BYTE_CLASS[first]!;
    if (kind !== SPACE && (kind !== WIDE || classOf(codePointAt(bytes, pos)) !== SPACE)) {
      return last === start ? pos : last;
    }
    last = pos;
    pos += widthOf(first);
  }
  return end;
}

/** Bytes of the UTF-8 character that starts with this byte. */
function widthOf(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

function codePointAt(bytes: Uint8Array, pos: number): number {
  const first = bytes[pos]!;
  const second = bytes[pos + 1]! & 63;
  if (first < 0xe0) return ((first & 31) << 6) | second;
  const third = bytes[pos + 2]! & 63;
  if (first < 0xf0) return ((first & 15) << 12) | (second << 6) | third;
  return ((first & 7) << 18) | (second << 12) | (third << 6) | (bytes[pos + 3]! & 63);
}

/**
 * Asks the native Hugging Face `tokenizers` which class it gives each code point, by encoding probes. From this
 * `write-ranges.ts` generates the ranges of `src/tokenizer/unicode/`, and a test checks that the two still agree.
 */
import { bertNormalizer, bertPreTokenizer, byteLevelPreTokenizer, nfdNormalizer, nfkdNormalizer } from 'tokenizers';

/** A number: its last digit in base 32, behind the others in base 26 as capital letters. */
function packNumber(n: number): string {
  let high = '';
  for (let rest = n >> 5; rest > 0; rest = Math.floor(rest / 26)) high = String.fromCharCode(65 + (rest % 26)) + high;
  return high + (n & 31).toString(32);
}

/** Ranges as text: gap to the previous range and length, alternating. */
function packRanges(has: (character: string) => boolean): string {
  const numbers: number[] = [];
  let last = 0;
  let start = -1;
  for (let code = 0; code <= 0x110000; code++) {
    const isSurrogate = code >= 0xd800 && code < 0xe000;
    const inside = code < 0x110000 && !isSurrogate && has(String.fromCodePoint(code));
    if (inside && start < 0) start = code;
    if (!inside && start >= 0) {
      numbers.push(start - last, code - start);
      last = code;
      start = -1;
    }
  }
  return numbers.map(packNumber).join('');
}

export type RangeName = 'LETTERS' | 'NUMBERS' | 'PUNCTUATION' | 'ACCENTS' | 'CONTROLS' | 'NORMALIZED';

export function nativeUnicodeRanges(): Record<RangeName, string> {
  const off = { cleanText: false, handleChineseChars: false, stripAccents: false, lowercase: false };
  const byteLevel = byteLevelPreTokenizer(false, true);
  const bert = bertPreTokenizer();
  const clean = bertNormalizer({ ...off, cleanText: true });
  const strip = bertNormalizer({ ...off, stripAccents: true });
  return {
    LETTERS: packRanges((c) => byteLevel.preTokenizeString(`a${c}`).length === 1),
    NUMBERS: packRanges((c) => byteLevel.preTokenizeString(`1${c}`).length === 1),
    PUNCTUATION: packRanges((c) => bert.preTokenizeString(`a${c}a`).length === 3),
    ACCENTS: packRanges((c) => strip.normalizeString(c) === ''),
    CONTROLS: packRanges((c) => clean.normalizeString(c) === ''),
    NORMALIZED: normalizedRanges(),
  };
}

/** Characters beyond ASCII that decompose, that others decompose to, or that change places in a run of marks. */
function normalizedRanges(): string {
  const nfd = nfdNormalizer();
  const nfkd = nfkdNormalizer();
  const parts = new Set<string>();
  packRanges((c) => {
    const decomposed = nfkd.normalizeString(c);
    if (decomposed !== c || nfd.normalizeString(c) !== c) for (const part of c + decomposed) parts.add(part);
    return false;
  });
  // Marks of classes 240 and 1: beside one of them any other mark moves.
  const isMark = (c: string) => [`a\u0345${c}`, `a${c}\u0334`].some((text) => nfd.normalizeString(text) !== text);
  return packRanges((c) => c > '\x7f' && (parts.has(c) || isMark(c)));
}

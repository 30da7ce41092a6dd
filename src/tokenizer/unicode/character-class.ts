/**
 * Letters, numbers and white space by code point, from the frozen ranges in `letter-number-ranges.ts`.
 */
import { CodePointSet, isSpace } from './code-points.ts';
import { LETTERS, NUMBERS } from './letter-number-ranges.ts';

/** Anything that is not one of the classes below: punctuation, symbols, marks, controls, unassigned. */
export const OTHER = 0;
export const LETTER = 1;
export const NUMBER = 2;
/** White_Space, which is regex `\s` in Rust and Python, not in JavaScript: with U+0085, without U+FEFF. */
export const SPACE = 3;

/** Classes of the code points in pages of 256, each page made when a text first needs it. */
const pages: (Uint8Array | undefined)[] = [];
let letters: CodePointSet | undefined;
let numbers: CodePointSet | undefined;

/** OTHER, LETTER, NUMBER or SPACE: the classes of the ByteLevel split pattern. */
export function classOf(code: number): number {
  const page = pages[code >> 8] ?? makePage(code >> 8);
  return page[code & 255]!;
}

function makePage(index: number): Uint8Array {
  letters ??= new CodePointSet(LETTERS);
  numbers ??= new CodePointSet(NUMBERS);
  const page = new Uint8Array(256);
  for (let i = 0; i < 256; i++) {
    const code = (index << 8) | i;
    page[i] = letters.has(code) ? LETTER : numbers.has(code) ? NUMBER : isSpace(code) ? SPACE : OTHER;
  }
  pages[index] = page;
  return page;
}

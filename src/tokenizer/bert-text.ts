/**
 * BERT's text preparation, which Hugging Face uses for GPT-1: clean, set Chinese characters apart, strip accents, lower
 * the case; then split at white space and isolate punctuation.
 * Source: google-research/bert `tokenization.py` and huggingface/tokenizers `normalizers/bert.rs`, `pre_tokenizers/bert.rs`.
 */
import { ACCENTS, CONTROLS, PUNCTUATION, WIDE_COMPOSED } from './bert-ranges.ts';
import { CodePointSet, isSpace } from './unicode.ts';

/** The fields of BertNormalizer. */
export interface BertNormalizer {
  /** Removes control characters and makes every white space a plain one. */
  readonly cleanText: boolean;
  /** Puts spaces around every CJK ideograph. */
  readonly handleChineseChars: boolean;
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

const BEYOND_ASCII = /[^\0-\x7f]/;
const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

const punctuation = new CodePointSet(PUNCTUATION);
const accents = new CodePointSet(ACCENTS);
const controls = new CodePointSet(CONTROLS);
const wideComposed = new CodePointSet(WIDE_COMPOSED);

export function bertNormalize(text: string, settings: BertNormalizer): string {
  if (!BEYOND_ASCII.test(text)) return normalizeAscii(text, settings);
  let result = text;
  if (settings.cleanText) {
    result = mapCodePoints(result, (character, code) => {
      return controls.has(code) ? '' : isSpace(code) ? ' ' : character;
    });
  }
  if (settings.handleChineseChars) result = result.replace(CHINESE, ' $& ');
  if (settings.stripAccents) {
    result = mapCodePoints(decompose(result), (character, code) => (accents.has(code) ? '' : character));
  }
  // Character by character: a whole string would give a final sigma its other form.
  if (settings.lowercase) result = mapCodePoints(result, (character) => character.toLowerCase());
  return result;
}

/** The same for ASCII, which has no accents and no Chinese characters. */
function normalizeAscii(text: string, { cleanText, lowercase }: BertNormalizer): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const cleaned = cleanText ? text.replace(/[\t\n\r]/g, ' ').replace(/[\0-\x1f\x7f]+/g, '') : text;
  return lowercase ? cleaned.toLowerCase() : cleaned;
}

/** NFD; characters beyond U+FFFF that came after the frozen tables stay as they are. */
function decompose(text: string): string {
  return text.replace(/[\0-\uffff]+|./gsu, (run) => {
    const code = run.codePointAt(0)!;
    return code > 0xffff && !wideComposed.has(code) ? run : run.normalize('NFD');
  });
}

function mapCodePoints(text: string, map: (character: string, code: number) => string): string {
  let result = '';
  for (const character of text) result += map(character, character.codePointAt(0)!);
  return result;
}

/** Splits prepared text into words and single punctuation marks, and calls back for each. */
export function bertWords(text: string, onWord: (word: string) => void): void {
  let start = 0;
  for (let pos = 0; pos < text.length; ) {
    const code = text.codePointAt(pos)!;
    const next = pos + (code > 0xffff ? 2 : 1);
    const space = isSpace(code);
    if (space || punctuation.has(code)) {
      if (start < pos) onWord(text.slice(start, pos));
      if (!space) onWord(text.slice(pos, next));
      start = next;
    }
    pos = next;
  }
  if (start < text.length) onWord(text.slice(start));
}

/**
 * BERT's text preparation: clean, set Chinese characters apart, strip accents, lower the case.
 * Source: google-research/bert `tokenization.py` and huggingface/tokenizers `normalizers/bert.rs`.
 */
import { asBoolean, booleanOr, type JsonObject } from '../json-checks.ts';
import { ACCENTS, CONTROLS } from '../unicode/bert-ranges.ts';
import { CodePointSet, isSpace } from '../unicode/code-points.ts';
import { isAscii, lowerCase, mapCharacters } from './characters.ts';
import type { Normalizer } from './normalizer.ts';
import { UnicodeForm } from './unicode-form.ts';

/** The fields of BertNormalizer. */
interface BertSettings {
  /** Removes control characters and makes every white space a plain one. */
  readonly cleanText: boolean;
  /** Puts spaces around every CJK ideograph. */
  readonly handleChineseChars: boolean;
  readonly stripAccents: boolean;
  readonly lowercase: boolean;
}

const CHINESE =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

/** Reads the fields of BertNormalizer. */
export function readBertNormalizer(fields: JsonObject, where: string): Normalizer {
  const lowercase = asBoolean(fields.lowercase, `${where}.lowercase`);
  return new BertNormalizer({
    cleanText: asBoolean(fields.clean_text, `${where}.clean_text`),
    handleChineseChars: asBoolean(fields.handle_chinese_chars, `${where}.handle_chinese_chars`),
    // By default accents are stripped where text is lowercased.
    stripAccents: booleanOr(fields.strip_accents ?? undefined, lowercase, `${where}.strip_accents`),
    lowercase,
  });
}

class BertNormalizer implements Normalizer {
  readonly #settings: BertSettings;
  readonly #accents = new CodePointSet(ACCENTS);
  readonly #controls = new CodePointSet(CONTROLS);
  readonly #nfd = new UnicodeForm('NFD');

  constructor(settings: BertSettings) {
    this.#settings = settings;
  }

  normalize(text: string): string {
    const { cleanText, handleChineseChars, stripAccents, lowercase } = this.#settings;
    if (isAscii(text)) return normalizeAscii(text, this.#settings);
    // Half a surrogate pair is no character: as in UTF-8 it counts as U+FFFD.
    let result = text.replace(/\p{Surrogate}/gu, '\ufffd');
    if (cleanText) {
      result = mapCharacters(result, (character, code) => {
        return this.#controls.has(code) ? '' : isSpace(code) ? ' ' : character;
      });
    }
    if (handleChineseChars) result = result.replace(CHINESE, ' $& ');
    if (stripAccents) {
      const decomposed = this.#nfd.normalize(result);
      result = mapCharacters(decomposed, (character, code) => (this.#accents.has(code) ? '' : character));
    }
    return lowercase ? lowerCase(result) : result;
  }
}

/** The same for ASCII, which has no accents and no Chinese characters. */
function normalizeAscii(text: string, { cleanText, lowercase }: BertSettings): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const cleaned = cleanText ? text.replace(/[\t\n\r]/g, ' ').replace(/[\0-\x1f\x7f]+/g, '') : text;
  return lowercase ? lowerCase(cleaned) : cleaned;
}

/**
 * Unicode normalization as in Hugging Face's `tokenizers`, whatever version of Unicode the JavaScript engine has. Of
 * characters that were assigned when that library froze its tables the forms never change; to all others it does nothing, and so
 * they separate the runs that the engine normalizes here.
 */
import { CodePointSet } from '../unicode/code-points.ts';
import { NORMALIZED } from '../unicode/normalization-ranges.ts';
import { isAscii } from './characters.ts';
import type { Normalizer } from './normalizer.ts';

export class UnicodeForm implements Normalizer {
  readonly #form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD';
  readonly #takesPart = new CodePointSet(NORMALIZED);

  constructor(form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD') {
    this.#form = form;
  }

  normalize(text: string): string {
    if (isAscii(text)) return text;
    let result = '';
    let start = 0;
    for (let pos = 0; pos < text.length; ) {
      const code = text.codePointAt(pos)!;
      const next = pos + (code > 0xffff ? 2 : 1);
      if (code >= 0x80 && !this.#takesPart.has(code)) {
        result += text.slice(start, pos).normalize(this.#form) + text.slice(pos, next);
        start = next;
      }
      pos = next;
    }
    return result + text.slice(start).normalize(this.#form);
  }
}

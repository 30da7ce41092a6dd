/**
 * BERT's split: at white space, and around every punctuation mark.
 * Source: google-research/bert `tokenization.py` and huggingface/tokenizers `pre_tokenizers/bert.rs`.
 */
import { PUNCTUATION } from '../unicode/bert-ranges.ts';
import { CodePointSet, isSpace } from '../unicode/code-points.ts';
import type { OnWord, Splitter } from './splitter.ts';

/** Splits into words and single punctuation marks; white space is dropped. */
export class BertSplitter implements Splitter {
  readonly #punctuation = new CodePointSet(PUNCTUATION);

  split(text: string, onWord: OnWord): void {
    let start = 0;
    for (let pos = 0; pos < text.length; ) {
      const code = text.codePointAt(pos)!;
      const next = pos + (code > 0xffff ? 2 : 1);
      const space = isSpace(code);
      if (space || this.#punctuation.has(code)) {
        if (start < pos) onWord(text.slice(start, pos));
        if (!space) onWord(text.slice(pos, next));
        start = next;
      }
      pos = next;
    }
    if (start < text.length) onWord(text.slice(start));
  }
}

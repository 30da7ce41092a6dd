/** Splitter and model together: from a piece of text, already normalized, to its ids. */
import type { IdBuffer } from './id-buffer.ts';
import type { Model } from './models/model.ts';
import type { Splitter } from './splitters/splitter.ts';

export interface PieceEncoder {
  /**
   * Appends the ids of a piece of text.
   *
   * @param text - Without added tokens, not empty.
   * @param index - Where it begins in the text that the user gave, where that is known; for messages.
   */
  encode(text: string, out: IdBuffer, index?: number): void;
}

/** The general one: any splitter, any model, one word after the other. */
export class WordEncoder implements PieceEncoder {
  readonly #splitter: Splitter | undefined;
  readonly #model: Model;

  /** Without a splitter the whole piece is one word. */
  constructor(splitter: Splitter | undefined, model: Model) {
    this.#splitter = splitter;
    this.#model = model;
  }

  encode(text: string, out: IdBuffer, index?: number): void {
    if (this.#splitter) this.#splitter.split(text, (word) => this.#model.encode(word, out));
    else this.#model.encode(text, out, index);
  }
}

/** The third part of a tokenizer: it makes ids of words. */
import type { IdBuffer } from '../id-buffer.ts';
import type { MergePair } from './merge-list.ts';

export interface Model {
  /** Token → id of the model's own tokens; tokens that were only added are not among them. */
  readonly ids: ReadonlyMap<string, number>;

  /**
   * Appends the ids of a word.
   *
   * @param word - As the splitter gives it, not empty.
   * @param index - Where the word begins in the text that the user gave, where that is known; for messages.
   * @throws {TokenizerError} When the vocabulary has nothing for a character.
   */
  encode(word: string, out: IdBuffer, index?: number): void;

  /** The merges in order, each once; a model that does not merge has no such method. */
  mergePairs?(): MergePair[];
}

/** Where the fields of a model stand, for messages. */
export interface ModelPlaces {
  readonly model: string;
  readonly vocab: string;
  readonly merges: string;
}

/** Takes a word: what the model encodes on its own. */
export type OnWord = (word: string) => void;

/** The second part of a tokenizer, `pre_tokenizer` in its file: it cuts text into words, which tokens never cross. */
export interface Splitter {
  /** Calls back for each word in order, none of them empty; `text` is not empty. */
  split(text: string, onWord: OnWord): void;
}

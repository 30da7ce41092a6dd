/** The first part of a tokenizer: it rewrites text before the text is split. */
export interface Normalizer {
  /** The text to split instead of `text`; it may be empty. */
  normalize(text: string): string;
}

/** The fourth part of a tokenizer, `post_processor` in its file: it puts special tokens around the ids of a text. */
export interface Template {
  /** The ids with the special tokens. */
  apply(ids: Uint32Array): Uint32Array;
}

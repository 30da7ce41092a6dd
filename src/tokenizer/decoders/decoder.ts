/** The last part of a tokenizer: it makes text of ids. Made for one vocabulary, whose ids it gets, checked. */
export interface Decoder {
  decode(ids: Uint32Array): string;
  /** Decodes ids one by one; the pieces, joined, equal `decode` of all ids. */
  stream(): DecoderStream;
}

export interface DecoderStream {
  /** The text that became certain with this id. */
  push(id: number): string;
  /** What was held back; the stream can then begin another text. */
  flush(): string;
}

/**
 * What every tokenizer of this package can do. Text becomes ids (`encode`), ids become text (`decode`, `stream`), and the
 * tokenizer itself becomes files that other libraries read (`toJSON`, `toVocabAndMerges`).
 * The implementation: `pipeline.ts`.
 */

/**
 * How `encode` treats special tokens.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('to be or not to be', { kind: 'byte-level-bpe', vocabSize: 260 });
 * tokenizer.encode('be<|endoftext|>').length; // 2: 'be' and the special token
 * tokenizer.encode('be<|endoftext|>', { allowSpecial: false }).length; // more: the characters <, |, e, n, …
 * ```
 */
export interface EncodeOptions {
  /**
   * Whether a special token that is spelled out in the text becomes its one id, as in Hugging Face `tokenizers`. Default true.
   * Pass false for text that strangers wrote: then `<|endoftext|>` is encoded like any other characters. Added tokens that
   * are not special are recognised either way.
   */
  readonly allowSpecial?: boolean;
  /**
   * Whether the tokenizer's template puts its special tokens around the text (`[CLS]` … `[SEP]`, a token for the begin of
   * the text), as `add_special_tokens` of Hugging Face `tokenizers`. Default true. Most tokenizers have no template.
   */
  readonly addSpecialTokens?: boolean;
}

/**
 * How `decode` and `stream` treat special tokens.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('to be', { kind: 'byte-level-bpe', vocabSize: 257 });
 * tokenizer.decode(tokenizer.encode('be<|endoftext|>'), { skipSpecialTokens: true }); // 'be'
 * ```
 */
export interface DecodeOptions {
  /** Whether special tokens are left out of the text. Default false. */
  readonly skipSpecialTokens?: boolean;
}

/**
 * Turns ids into text one by one: the pieces, joined, equal `decode` of all ids, and no piece ends inside a character.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('', { kind: 'byte' });
 * const stream = tokenizer.stream();
 * const pieces = Array.from(tokenizer.encode('é!'), (id) => stream.push(id)); // ['', 'é', '!']
 * pieces.push(stream.flush()); // ''
 * ```
 */
export interface StreamDecoder {
  /**
   * Takes the next id and gives the text that became certain with it.
   *
   * @param id - An id of the vocabulary, 0 … vocabSize − 1.
   * @returns The next piece of text; the empty string while a character is still incomplete.
   * @throws {TokenizerError} When the id is not of the vocabulary.
   */
  push(id: number): string;
  /**
   * Ends the text; the decoder can then begin another one.
   *
   * @returns What was held back: nothing, or U+FFFD for the bytes of a character that never became complete.
   */
  flush(): string;
}

/**
 * The two files of the older Hugging Face layout, as text.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('to be', { kind: 'byte-level-bpe', vocabSize: 258 });
 * const files = tokenizer.toVocabAndMerges?.(); // { vocabJson: '{"<|endoftext|>":0,…', mergesTxt: '#version: 0.2\n…' }
 * ```
 */
export interface VocabAndMerges {
  /** `vocab.json`: token → id, ordered by id, without the tokens that were added later. */
  readonly vocabJson: string;
  /** `merges.txt`: one merge a line, the most important first. */
  readonly mergesTxt: string;
}

/**
 * One entry of `added_tokens` in `tokenizer.json`: a token that is found in the text before anything else.
 *
 * @example
 * ```ts
 * import type { AddedToken } from 'lanewise/tokenizer';
 * const pad: AddedToken = {
 *   id: 50257, content: '<pad>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
 * };
 * ```
 */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Matches only where no word character stands beside it. */
  readonly single_word: boolean;
  /** Swallows the white space on its left. */
  readonly lstrip: boolean;
  /** Swallows the white space on its right. */
  readonly rstrip: boolean;
  /** Is looked for after normalization rather than before. */
  readonly normalized: boolean;
  /** Is a control token: `skipSpecialTokens` leaves it out, `allowSpecial: false` does not recognise it. */
  readonly special: boolean;
}

/**
 * The object that `tokenizer.json` holds.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const json = (await trainTokenizer('to be', { kind: 'char' })).toJSON();
 * json.model.vocab; // { ' ': 0, b: 1, e: 2, o: 3, t: 4 }
 * ```
 */
export interface TokenizerJSON {
  readonly added_tokens: readonly AddedToken[];
  readonly model: {
    readonly type: string;
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (readonly [string, string])[];
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

/**
 * Text to ids and back.
 *
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('to be or not to be', { kind: 'byte-level-bpe', vocabSize: 260 });
 * const ids = tokenizer.encode('not to be'); // Uint32Array
 * tokenizer.decode(ids); // 'not to be'
 * ```
 */
export interface Tokenizer {
  /** How many ids there are: they run from 0 to vocabSize − 1. */
  readonly vocabSize: number;
  /** The special tokens and their ids, in the order of their ids. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** The id of the special token `<|endoftext|>`, where there is one: it separates documents and ends a generation. */
  readonly endOfText: number | undefined;
  /**
   * Turns text into ids.
   *
   * @param text - Any string; half of a surrogate pair counts as U+FFFD.
   * @param options - See {@link EncodeOptions}.
   * @returns The ids, each 0 … vocabSize − 1.
   * @throws {TokenizerError} When the vocabulary has nothing for a character.
   */
  encode(text: string, options?: EncodeOptions): Uint32Array;
  /**
   * Turns ids into text.
   *
   * @param ids - Ids of the vocabulary.
   * @param options - See {@link DecodeOptions}.
   * @returns The text; bytes that are not UTF-8 become U+FFFD.
   * @throws {TokenizerError} When an id is not of the vocabulary.
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /**
   * Looks up a token as it is written in the vocabulary (in byte-level vocabularies `Ġ` is a space).
   *
   * @param token - The token's spelling.
   * @returns Its id, or undefined.
   */
  tokenToId(token: string): number | undefined;
  /**
   * Looks up an id.
   *
   * @param id - Any number.
   * @returns The token as it is written in the vocabulary, or undefined.
   */
  idToToken(id: number): string | undefined;
  /**
   * Starts decoding ids one at a time, as a model generates them.
   *
   * @param options - See {@link DecodeOptions}.
   * @returns A decoder of its own state.
   */
  stream(options?: DecodeOptions): StreamDecoder;
  /**
   * Describes the tokenizer as Hugging Face's `tokenizer.json`, which `tokenizerFromJSON` and `transformers` read.
   *
   * @returns A fresh object for `JSON.stringify`.
   */
  toJSON(): TokenizerJSON;
  /**
   * Writes `vocab.json` and `merges.txt`; character tokenizers, which do not split text into words, do not have it.
   *
   * @returns The text of both files.
   */
  toVocabAndMerges?(): VocabAndMerges;
}

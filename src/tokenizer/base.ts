/**
 * What all tokenizers share: the vocabulary, special tokens, and the checks on arguments. A subclass adds how plain text
 * is encoded, and how ids are decoded.
 */
import { AddedTokens } from './added-tokens.ts';
import { IdBuffer } from './id-buffer.ts';
import { type JsonObject, problem, show } from './problem.ts';
import type { AddedToken, DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer, TokenizerJSON } from './tokenizer.ts';
import { Vocabulary } from './vocabulary.ts';

/** The token that separates documents in all of OpenAI's vocabularies. */
export const END_OF_TEXT = '<|endoftext|>';

/** The checked content of a tokenizer's files. */
export interface TokenizerParts {
  /** Where it comes from, for messages. */
  readonly where: string;
  /** Everything in tokenizer.json except `model.vocab` and `model.merges`; the class understands every field. */
  readonly header: JsonObject;
  /** `model.vocab`. */
  readonly vocab: ReadonlyMap<string, number>;
  readonly added: readonly AddedToken[];
}

export abstract class VocabularyTokenizer implements Tokenizer {
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly endOfText: number | undefined;
  protected readonly vocabulary: Vocabulary;
  readonly #added: AddedTokens;
  readonly #header: JsonObject;
  readonly #specialIds: ReadonlySet<number>;

  constructor(parts: TokenizerParts) {
    this.vocabulary = new Vocabulary(parts.vocab, parts.added, parts.where);
    this.#added = new AddedTokens(parts.added);
    this.#header = parts.header;
    const special = parts.added.filter((token) => token.special).sort((a, b) => a.id - b.id);
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.specialTokens.values());
    this.endOfText = this.specialTokens.get(END_OF_TEXT);
  }

  get vocabSize(): number {
    return this.vocabulary.size;
  }

  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    if (typeof text !== 'string') throw new TypeError(`encode: expected text as a string, got ${show(text)}.`);
    const out = new IdBuffer(Math.ceil(text.length / 3) + 16);
    this.#added.split(
      text,
      options.allowSpecial ?? true,
      (piece, offset) => this.encodeText(piece, offset, out),
      (id) => out.push(id),
    );
    return out.finish();
  }

  tokenToId(token: string): number | undefined {
    return this.vocabulary.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.vocabulary.tokens[id];
  }

  toJSON(): TokenizerJSON {
    const header = structuredClone(this.#header) as JsonObject & Pick<TokenizerJSON, 'added_tokens'>;
    const vocab = Object.fromEntries(this.vocabulary.modelTokens());
    const model = { ...(header.model as { type: string }), vocab, merges: this.mergePairs() };
    return { ...header, model };
  }

  abstract decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  abstract stream(options?: DecodeOptions): StreamDecoder;

  /** Appends the ids of text without special tokens, which begins at `offset` of the text that the user gave. */
  protected abstract encodeText(text: string, offset: number, out: IdBuffer): void;

  /** The merges as pairs of tokens, in order. */
  protected mergePairs(): [string, string][] {
    return [];
  }

  /** Throws unless the id is of the vocabulary. */
  protected checkId(id: number | undefined, where: string): number {
    if (id !== undefined && Number.isInteger(id) && id >= 0 && id < this.vocabSize) return id;
    throw problem(
      where,
      `an id of 0 … ${this.vocabSize - 1}`,
      show(id),
      'The ids must come from a model with the vocabulary of this tokenizer.',
    );
  }

  /** The ids that `decode` shows, checked. */
  protected visibleIds(ids: ArrayLike<number>, options: DecodeOptions): Uint32Array {
    const visible = new Uint32Array(ids.length);
    let count = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!Number.isInteger(id) || id! < 0 || id! >= this.vocabSize) this.checkId(id, `decode, position ${i}`);
      if (!this.isHidden(id!, options)) visible[count++] = id!;
    }
    return visible.subarray(0, count);
  }

  protected isHidden(id: number, options: DecodeOptions): boolean {
    return options.skipSpecialTokens === true && this.#specialIds.has(id);
  }
}

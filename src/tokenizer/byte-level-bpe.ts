/**
 * Byte-level BPE, GPT-2's tokenizer: text → UTF-8 → words (`gpt2-split.ts`) → the ids of their bytes → merges (`merges.ts`).
 * Any text has ids, and decoding gives the text back. Without merges and without splitting it is the byte tokenizer.
 * Source: openai/gpt-2 `src/encoder.py`; settings and quirks as in Hugging Face's `tokenizers`.
 */
import { type TokenizerParts, VocabularyTokenizer } from './base.ts';
import { bytesOfToken, characterOfByte } from './byte-alphabet.ts';
import { ByteWords, hashOf } from './byte-words.ts';
import { nextWord } from './gpt2-split.ts';
import type { IdBuffer } from './id-buffer.ts';
import { writeMergesTxt } from './merge-list.ts';
import { type MergeTable, WordMerger } from './merges.ts';
import { problem } from './problem.ts';
import type { DecodeOptions, StreamDecoder, VocabAndMerges } from './tokenizer.ts';

/** What distinguishes one byte-level tokenizer from another, beside its vocabulary. */
export interface ByteLevelSettings {
  /** Whether text that does not begin with a space gets one in front. */
  readonly addPrefixSpace: boolean;
  /** Whether text is split into words by GPT-2's pattern before merging. */
  readonly splitWords: boolean;
  /** The id for a byte that has no token, if there is one. */
  readonly unknownId: number | undefined;
}

const UTF8 = new TextEncoder();
/** Invalid bytes become U+FFFD; a byte order mark is text like any other. */
const newDecoder = (): TextDecoder => new TextDecoder('utf-8', { ignoreBOM: true });

/** Words longer than this are merged anew each time, bytes. */
const LONGEST_CACHED_WORD = 64;
/** When it holds this many words the cache starts over; about 2 MB. */
const MOST_CACHED_WORDS = 1 << 15;
/** A cached value from here on is a place in `cachedIds`, below it is the only id of the word. */
const SEVERAL_IDS = 1 << 29;
/** Stands for the value of a word that is not cached. */
const UNCACHED = 1 << 30;

export class ByteLevelBPE extends VocabularyTokenizer {
  readonly #merges: MergeTable;
  private readonly merger: WordMerger;
  readonly #settings: ByteLevelSettings;
  /** The id of each byte, or -1. */
  private readonly byteIds: Int32Array;
  /** The bytes of token i: `tokenBytes[tokenStarts[i] … tokenStarts[i + 1])`. */
  private readonly tokenBytes: Uint8Array;
  private readonly tokenStarts: Uint32Array;
  readonly #decoder = newDecoder();
  private readonly cache = new ByteWords(1024);
  /** For each cached word of several ids: their number, then the ids. */
  private cachedIds: number[] = [];
  private symbols = new Int32Array(256);

  constructor(parts: TokenizerParts, merges: MergeTable, settings: ByteLevelSettings) {
    super(parts);
    this.#merges = merges;
    this.merger = new WordMerger(merges);
    this.#settings = settings;
    const { modelIds, tokens } = this.vocabulary;
    this.byteIds = Int32Array.from(
      { length: 256 },
      (_, byte) => modelIds.get(characterOfByte(byte)) ?? settings.unknownId ?? -1,
    );
    const spelled = tokens.map((token) => bytesOfToken(token) ?? UTF8.encode(token));
    this.tokenStarts = new Uint32Array(tokens.length + 1);
    spelled.forEach((bytes, id) => {
      this.tokenStarts[id + 1] = this.tokenStarts[id]! + bytes.length;
    });
    this.tokenBytes = new Uint8Array(this.tokenStarts[tokens.length]!);
    spelled.forEach((bytes, id) => {
      this.tokenBytes.set(bytes, this.tokenStarts[id]!);
    });
  }

  protected encodeText(text: string, _offset: number, out: IdBuffer): void {
    const { addPrefixSpace, splitWords } = this.#settings;
    const bytes = UTF8.encode(addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text);
    const end = bytes.length;
    if (this.#merges.size === 0) {
      out.reserve(end);
      for (let pos = 0; pos < end; pos++) out.ids[out.length++] = this.byteId(bytes[pos]!);
      return;
    }
    // The buffer's fields live in locals: this loop is where the time goes.
    let { ids, length } = out;
    for (let pos = 0; pos < end; ) {
      const next = splitWords ? nextWord(bytes, pos, end) : end;
      if (length + next - pos > ids.length) {
        out.length = length;
        out.reserve(next - pos);
        ids = out.ids;
      }
      const value = next - pos > LONGEST_CACHED_WORD ? UNCACHED : this.cachedValue(bytes, pos, next);
      if (value < SEVERAL_IDS) {
        ids[length++] = value;
      } else if (value < UNCACHED) {
        let at = value - SEVERAL_IDS;
        for (let left = this.cachedIds[at++]!; left > 0; left--) ids[length++] = this.cachedIds[at++]!;
      } else {
        const count = this.mergeBytes(bytes, pos, next);
        for (let i = 0; i < count; i++) ids[length++] = this.symbols[i]!;
      }
      pos = next;
    }
    out.length = length;
  }

  private cachedValue(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    const value = this.cache.find(bytes, start, end, hash);
    return value >= 0 ? value : this.remember(bytes, start, end, hash);
  }

  /** Merges a word and puts it into the cache; returns its cached value. */
  private remember(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const count = this.mergeBytes(bytes, start, end);
    if (this.cache.size >= MOST_CACHED_WORDS) {
      this.cache.clear();
      this.cachedIds = [];
    }
    let value = this.symbols[0]!;
    if (count > 1) {
      value = SEVERAL_IDS + this.cachedIds.length;
      this.cachedIds.push(count);
      for (let i = 0; i < count; i++) this.cachedIds.push(this.symbols[i]!);
    }
    this.cache.add(bytes, start, end, hash, value);
    return value;
  }

  /** Leaves the ids of a word in `symbols` and returns their number. */
  private mergeBytes(bytes: Uint8Array, start: number, end: number): number {
    const count = end - start;
    if (count > this.symbols.length) this.symbols = new Int32Array(count);
    for (let i = 0; i < count; i++) this.symbols[i] = this.byteId(bytes[start + i]!);
    return this.merger.merge(this.symbols, count);
  }

  private byteId(byte: number): number {
    const id = this.byteIds[byte]!;
    if (id >= 0) return id;
    throw problem(
      'encode',
      'a vocabulary with all 256 bytes',
      `text with byte ${byte}, which has no token and there is no unk_token`,
      'Use a vocabulary that was made with the full byte alphabet.',
    );
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const visible = this.visibleIds(ids, options);
    let length = 0;
    for (const id of visible) length += this.tokenStarts[id + 1]! - this.tokenStarts[id]!;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const id of visible) {
      const end = this.tokenStarts[id + 1]!;
      for (let from = this.tokenStarts[id]!; from < end; from++) bytes[at++] = this.tokenBytes[from]!;
    }
    return this.#decoder.decode(bytes);
  }

  stream(options: DecodeOptions = {}): StreamDecoder {
    const decoder = newDecoder();
    return {
      push: (id) => {
        this.checkId(id, 'push');
        if (this.isHidden(id, options)) return '';
        const bytes = this.tokenBytes.subarray(this.tokenStarts[id]!, this.tokenStarts[id + 1]!);
        return decoder.decode(bytes, { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }

  toVocabAndMerges(): VocabAndMerges {
    return { vocabJson: this.vocabulary.toVocabJson(), mergesTxt: writeMergesTxt(this.mergePairs()) };
  }

  protected override mergePairs(): [string, string][] {
    const { tokens } = this.vocabulary;
    return this.#merges.pairs().map(([left, right]) => [tokens[left]!, tokens[right]!]);
  }
}

/**
 * Byte-level BPE in one pass: text → UTF-8 → words (`splitters/byte-level-words.ts`) → the ids of their bytes → merges.
 * It gives the ids that the splitter ByteLevel and the model BPE give one after the other, and is several times as fast:
 * words stay bytes, and the ids of words that it has seen are found in a hash table of bytes.
 */
import { characterOfByte } from './byte-alphabet.ts';
import { ByteWords, hashOf } from './byte-words.ts';
import type { IdBuffer } from './id-buffer.ts';
import { problem } from './json-checks.ts';
import type { BPE } from './models/bpe.ts';
import { WordMerger } from './models/merges.ts';
import type { PieceEncoder } from './piece-encoder.ts';
import type { ByteLevelSplitter } from './splitters/byte-level.ts';
import { nextWord } from './splitters/byte-level-words.ts';

/** Words longer than this are merged anew each time, bytes. */
const LONGEST_CACHED_WORD = 64;
/** When it holds this many words the cache starts over; about 2 MB. */
const MOST_CACHED_WORDS = 1 << 15;
/** A cached value from here on is a place in `cachedIds`, below it is the only id of the word. */
const SEVERAL_IDS = 1 << 29;
/** Stands for the value of a word that is not cached. */
const UNCACHED = 1 << 30;

export class ByteLevelEncoder implements PieceEncoder {
  readonly #splitter: ByteLevelSplitter;
  readonly #hasMerges: boolean;
  private readonly merger: WordMerger;
  /** The id of each byte, or -1. */
  private readonly byteIds: Int32Array;
  private readonly cache = new ByteWords(1024);
  /** For each cached word of several ids: their number, then the ids. */
  private cachedIds: number[] = [];
  private symbols = new Int32Array(256);

  /** Whether it gives the ids that this model gives. */
  static suits({ settings }: BPE): boolean {
    return settings.suffix === '' && !settings.fuseUnknown;
  }

  constructor(splitter: ByteLevelSplitter, { ids, merges, settings }: BPE) {
    this.#splitter = splitter;
    this.#hasMerges = merges.size > 0;
    this.merger = new WordMerger(merges);
    this.byteIds = Int32Array.from({ length: 256 }, (_, byte) => {
      return ids.get(characterOfByte(byte)) ?? settings.unknownId ?? -1;
    });
  }

  encode(text: string, out: IdBuffer): void {
    const bytes = this.#splitter.bytesOf(text);
    const { splitWords } = this.#splitter.settings;
    const end = bytes.length;
    if (!this.#hasMerges) {
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
}

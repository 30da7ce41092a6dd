/**
 * Learns the merges of byte-level BPE: again and again the most frequent pair of neighbours inside words becomes a token.
 * The order is that of Hugging Face's `tokenizers` (`models/bpe/trainer.rs`), which vocabularies out there were made with:
 * of two pairs of the same count the one with the smaller ids comes first, and the counts are kept exactly as there, so
 * the merges come out the same, byte for byte.
 *
 * Each distinct word is kept once, with its count. Each pair has a list of the words that contain it, so a merge touches only those;
 * the pairs wait in a heap, whose counts may be out of date until they come to its top.
 */
import type { MergePair } from '../models/merge-list.ts';

/** Words and how often each occurs. */
export interface WordCounts {
  /** Bytes of the words. */
  readonly words: readonly Uint8Array[];
  readonly counts: ArrayLike<number>;
}

/** A pair that waits to be merged. */
interface Candidate {
  readonly pair: number;
  /** The pair's count when it was put into the heap. */
  count: number;
  /** The words that it was found in since it was last put into the heap. */
  readonly words: number[];
}

/** Learns merges one by one: `next` does one, so that the caller decides when to pause. */
export class BpeTrainer {
  readonly merges: MergePair[] = [];
  /** Token → id. */
  readonly vocab: Map<string, number>;
  private readonly tokens: string[];
  /** The symbols of all words, one word after the other; a word shrinks in place. */
  private readonly symbols: Int32Array;
  private readonly starts: Int32Array;
  private readonly lengths: Int32Array;
  private readonly counts: ArrayLike<number>;
  private readonly pairs = new PairTable();
  private readonly heap: CandidateHeap;
  /** Candidates that the merge under way found, by pair. */
  private readonly found = new Map<number, Candidate>();

  /**
   * @param initial - The tokens before any merge, in the order of their ids.
   * @param idOfByte - The id of each byte among them.
   */
  constructor(initial: readonly string[], idOfByte: ArrayLike<number>, { words, counts }: WordCounts) {
    this.tokens = [...initial];
    this.vocab = new Map(initial.map((token, id) => [token, id]));
    this.counts = counts;
    this.starts = new Int32Array(words.length);
    this.lengths = new Int32Array(words.length);
    this.symbols = new Int32Array(words.reduce((sum, word) => sum + word.length, 0));
    this.heap = new CandidateHeap(this.pairs);
    let at = 0;
    words.forEach((word, index) => {
      this.starts[index] = at;
      this.lengths[index] = word.length;
      for (const byte of word) this.symbols[at++] = idOfByte[byte]!;
      for (let i = at - word.length; i + 1 < at; i++) this.count(this.symbols[i]!, this.symbols[i + 1]!, index, 1);
    });
    this.queueFound();
  }

  /**
   * Merges the most frequent pair.
   * @returns false when no pair occurs `minFrequency` times.
   */
  next(minFrequency: number): boolean {
    const { pairs, heap } = this;
    for (;;) {
      const top = heap.pop();
      if (top === undefined) return false;
      const count = pairs.counts[top.pair]!;
      if (top.count !== count) {
        top.count = count;
        heap.push(top);
        continue;
      }
      if (count < Math.max(1, minFrequency)) return false;
      this.apply(top);
      return true;
    }
  }

  private apply({ pair, words }: Candidate): void {
    const left = this.pairs.lefts[pair]!;
    const right = this.pairs.rights[pair]!;
    const token = this.tokens[left]! + this.tokens[right]!;
    // Two pairs can spell the same token: "a" + "bc" and "ab" + "c".
    let id = this.vocab.get(token);
    if (id === undefined) {
      id = this.tokens.push(token) - 1;
      this.vocab.set(token, id);
    }
    this.merges.push([this.tokens[left]!, this.tokens[right]!]);
    for (const word of words) this.mergeInWord(word, left, right, id);
    this.queueFound();
  }

  /** Merges a pair in one word, and corrects the counts of the pairs around it. */
  private mergeInWord(word: number, left: number, right: number, merged: number): void {
    const { symbols } = this;
    const start = this.starts[word]!;
    const end = start + this.lengths[word]!;
    let to = start;
    for (let from = start; from < end; from++) {
      const symbol = symbols[from]!;
      if (symbol !== left || from + 1 >= end || symbols[from + 1] !== right) {
        symbols[to++] = symbol;
        continue;
      }
      if (to > start) {
        this.count(symbols[to - 1]!, left, word, -1);
        this.count(symbols[to - 1]!, merged, word, 1);
      }
      symbols[to++] = merged;
      from++;
      if (from + 1 < end) {
        this.count(right, symbols[from + 1]!, word, -1);
        this.count(merged, symbols[from + 1]!, word, 1);
      }
    }
    this.lengths[word] = to - start;
  }

  private count(left: number, right: number, word: number, change: 1 | -1): void {
    const pair = this.pairs.indexOf(left, right);
    this.pairs.counts[pair]! += change * this.counts[word]!;
    if (change < 0) return;
    let candidate = this.found.get(pair);
    if (candidate === undefined) {
      candidate = { pair, count: 0, words: [] };
      this.found.set(pair, candidate);
    }
    // Words come one after the other, so a word that is there already is the last.
    if (candidate.words.at(-1) !== word) candidate.words.push(word);
  }

  private queueFound(): void {
    for (const candidate of this.found.values()) {
      candidate.count = this.pairs.counts[candidate.pair]!;
      if (candidate.count > 0) this.heap.push(candidate);
    }
    this.found.clear();
  }
}

/** Numbers the pairs (left id, right id) as they appear, and counts them. */
class PairTable {
  readonly lefts: number[] = [];
  readonly rights: number[] = [];
  readonly counts: number[] = [];
  /** Open addressing: pair + 1, or 0. */
  private slots = new Int32Array(1 << 12);

  indexOf(left: number, right: number): number {
    let slot = this.slotOf(left, right);
    if (this.slots[slot]! === 0) {
      if (this.counts.length * 2 >= this.slots.length) {
        this.grow();
        slot = this.slotOf(left, right);
      }
      this.lefts.push(left);
      this.rights.push(right);
      this.slots[slot] = this.counts.push(0);
    }
    return this.slots[slot]! - 1;
  }

  private slotOf(left: number, right: number): number {
    const mask = this.slots.length - 1;
    const hash = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b);
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const pair = this.slots[slot]! - 1;
      if (pair < 0 || (this.lefts[pair] === left && this.rights[pair] === right)) return slot;
    }
  }

  private grow(): void {
    this.slots = new Int32Array(this.slots.length * 2);
    this.lefts.forEach((left, pair) => {
      this.slots[this.slotOf(left, this.rights[pair]!)] = pair + 1;
    });
  }
}

/** A binary heap: the highest count on top, among equals the pair with the smaller ids. */
class CandidateHeap {
  private readonly items: Candidate[] = [];
  private readonly pairs: PairTable;

  constructor(pairs: PairTable) {
    this.pairs = pairs;
  }

  push(item: Candidate): void {
    const { items } = this;
    let i = items.push(item) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.isBefore(item, items[parent]!)) break;
      items[i] = items[parent]!;
      i = parent;
    }
    items[i] = item;
  }

  pop(): Candidate | undefined {
    const { items } = this;
    const top = items[0];
    const item = items.pop();
    if (top === undefined || item === undefined || items.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && this.isBefore(items[child + 1]!, items[child]!)) child++;
      if (!this.isBefore(items[child]!, item)) break;
      items[i] = items[child]!;
      i = child;
    }
    items[i] = item;
    return top;
  }

  private isBefore(a: Candidate, b: Candidate): boolean {
    if (a.count !== b.count) return a.count > b.count;
    const { lefts, rights } = this.pairs;
    return (lefts[a.pair]! - lefts[b.pair]! || rights[a.pair]! - rights[b.pair]!) < 0;
  }
}

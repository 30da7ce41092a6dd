/**
 * The merges of a BPE vocabulary, and how they are applied to one word: again and again the pair of the lowest rank, the
 * leftmost first, until no pair is left. Sennrich, Haddow, Birch 2016 (https://aclanthology.org/P16-1162).
 */

/** Rank of a pair that does not merge. */
const NEVER = 0x7fffffff;

/** Words longer than this go through the heap; a plain search is faster below (a guess, checked at 16 … 256). */
const LONG_WORD = 64;

/** Ranks must stay below 2^21: rank × 2^32 + position then is an exact double. */
export const MAX_MERGES = 2 ** 21;

/** (left id, right id) → rank, by open addressing in one typed array of [left + 1, right, rank]. */
export class MergeTable {
  /** The id that the merge of each rank makes. */
  readonly merged: Int32Array;
  private readonly lefts: Int32Array;
  private readonly rights: Int32Array;
  private readonly slots: Int32Array;
  private readonly shift: number;

  /** `lefts[rank]`, `rights[rank]`, `merged[rank]`; where a pair stands twice the later rank counts, as in Hugging Face's. */
  constructor(lefts: Int32Array, rights: Int32Array, merged: Int32Array) {
    this.lefts = lefts;
    this.rights = rights;
    this.merged = merged;
    let bits = 4;
    while (2 ** bits < lefts.length * 2) bits++;
    this.shift = 32 - bits;
    this.slots = new Int32Array(3 * 2 ** bits);
    for (let rank = 0; rank < lefts.length; rank++) {
      const slot = this.slotOf(lefts[rank]!, rights[rank]!);
      this.slots[slot] = lefts[rank]! + 1;
      this.slots[slot + 1] = rights[rank]!;
      this.slots[slot + 2] = rank;
    }
  }

  get size(): number {
    return this.merged.length;
  }

  /** The rank of a pair, or NEVER. */
  rank(left: number, right: number): number {
    const slot = this.slotOf(left, right);
    return this.slots[slot] === 0 ? NEVER : this.slots[slot + 2]!;
  }

  /** All merges as [left id, right id], in the order of their ranks, each pair once. */
  pairs(): [number, number][] {
    const pairs: [number, number][] = [];
    for (let rank = 0; rank < this.size; rank++) {
      const left = this.lefts[rank]!;
      const right = this.rights[rank]!;
      if (this.rank(left, right) === rank) pairs.push([left, right]);
    }
    return pairs;
  }

  /** Where the pair is, or where it would go. */
  private slotOf(left: number, right: number): number {
    const { slots } = this;
    let index = Math.imul(Math.imul(left, 0x9e3779b1) ^ right, 0x85ebca6b) >>> this.shift;
    for (;;) {
      const slot = index * 3;
      const stored = slots[slot]!;
      if (stored === 0 || (stored === left + 1 && slots[slot + 1] === right)) return slot;
      index = (index + 1) & (0xffffffff >>> this.shift);
    }
  }
}

/** Applies a merge table to words; keeps the scratch memory between them. */
export class WordMerger {
  /** Work done so far on long words: heap moves. A test checks that it grows like n log n. */
  heapMoves = 0;
  private readonly table: MergeTable;
  private readonly ranks = new Int32Array(LONG_WORD);
  private heap = new Float64Array(0);
  private heapSize = 0;

  constructor(table: MergeTable) {
    this.table = table;
  }

  /** Merges `symbols[0 … count)` in place and returns how many are left. */
  merge(symbols: Int32Array, count: number): number {
    if (count < 2 || this.table.size === 0) return count;
    return count <= LONG_WORD ? this.mergeShort(symbols, count) : this.mergeLong(symbols, count);
  }

  /** By searching the lowest rank each time: O(n²), quick for the words of ordinary text. */
  private mergeShort(symbols: Int32Array, count: number): number {
    const { table, ranks } = this;
    let left = count;
    for (let i = 0; i + 1 < left; i++) ranks[i] = table.rank(symbols[i]!, symbols[i + 1]!);
    while (left > 1) {
      let best = 0;
      let bestRank = ranks[0]!;
      for (let i = 1; i + 1 < left; i++) {
        if (ranks[i]! < bestRank) {
          best = i;
          bestRank = ranks[i]!;
        }
      }
      if (bestRank === NEVER) break;
      symbols[best] = table.merged[bestRank]!;
      left--;
      for (let i = best + 1; i < left; i++) {
        symbols[i] = symbols[i + 1]!;
        ranks[i] = ranks[i + 1]!;
      }
      if (best > 0) ranks[best - 1] = table.rank(symbols[best - 1]!, symbols[best]!);
      if (best + 1 < left) ranks[best] = table.rank(symbols[best]!, symbols[best + 1]!);
    }
    return left;
  }

  /**
   * By a heap of candidate merges over a doubly linked list: O(n log n). A candidate is rank × 2^32 + position; it is
   * stale, and dropped, when the pair at that position has another rank by now.
   */
  private mergeLong(symbols: Int32Array, count: number): number {
    const { table } = this;
    const next = new Int32Array(count);
    const previous = new Int32Array(count);
    this.heap = new Float64Array(2 * count);
    this.heapSize = 0;
    for (let i = 0; i < count; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
    }
    const GONE = -1;
    const offer = (pos: number, right: number): void => {
      const rank = table.rank(symbols[pos]!, symbols[right]!);
      if (rank !== NEVER) this.push(rank * 2 ** 32 + pos);
    };
    for (let i = 0; i + 1 < count; i++) offer(i, i + 1);
    while (this.heapSize > 0) {
      const candidate = this.pop();
      const rank = Math.floor(candidate / 2 ** 32);
      const pos = candidate - rank * 2 ** 32;
      const right = next[pos]!;
      if (symbols[pos] === GONE || right === count) continue;
      if (table.rank(symbols[pos]!, symbols[right]!) !== rank) continue;
      symbols[pos] = table.merged[rank]!;
      symbols[right] = GONE;
      const after = next[right]!;
      next[pos] = after;
      if (after < count) {
        previous[after] = pos;
        offer(pos, after);
      }
      if (previous[pos]! >= 0) offer(previous[pos]!, pos);
    }
    this.heap = new Float64Array(0);
    let left = 0;
    for (let i = 0; i < count; i = next[i]!) symbols[left++] = symbols[i]!;
    return left;
  }

  private push(key: number): void {
    if (this.heapSize === this.heap.length) {
      const grown = new Float64Array(this.heap.length * 2);
      grown.set(this.heap);
      this.heap = grown;
    }
    const { heap } = this;
    let i = this.heapSize++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (heap[parent]! <= key) break;
      heap[i] = heap[parent]!;
      i = parent;
      this.heapMoves++;
    }
    heap[i] = key;
    this.heapMoves++;
  }

  private pop(): number {
    const { heap } = this;
    const top = heap[0]!;
    const size = --this.heapSize;
    const key = heap[size]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= key) break;
      heap[i] = heap[child]!;
      i = child;
      this.heapMoves++;
    }
    heap[i] = key;
    this.heapMoves++;
    return top;
  }
}

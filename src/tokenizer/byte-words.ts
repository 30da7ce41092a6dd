/**
 * A hash table whose keys are words inside a byte array: looking one up allocates nothing.
 * The encoder remembers with it the ids of words it has seen, the trainer counts words with it.
 *
 *   slots  [hash, start in the arena, length, value] per entry; length 0 marks a free slot; linear probing
 *   arena  the bytes of all keys, one after the other
 */

const STRIDE = 4;

/** FNV-1a over the word, folded once so that the low bits depend on every byte. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  return hash ^ (hash >>> 15);
}

export class ByteWords {
  /** How many words it holds. */
  size = 0;
  private slots: Int32Array;
  private arena: Uint8Array;
  private arenaLength = 0;

  /** `capacity`: words it can hold before it grows; a power of two. */
  constructor(capacity: number) {
    this.slots = new Int32Array(capacity * 2 * STRIDE);
    this.arena = new Uint8Array(capacity * 8);
  }

  /** The value stored for the word, or -1. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { slots, arena } = this;
    const mask = slots.length - STRIDE;
    const length = end - start;
    for (let slot = (hash << 2) & mask; ; slot = (slot + STRIDE) & mask) {
      const stored = slots[slot + 2]!;
      if (stored === 0) return -1;
      if (stored !== length || slots[slot] !== hash) continue;
      const at = slots[slot + 1]! - start;
      let i = start;
      while (i < end && arena[at + i] === bytes[i]) i++;
      if (i === end) return slots[slot + 3]!;
    }
  }

  /** Stores a word that is not there yet; value ≥ 0. */
  add(bytes: Uint8Array, start: number, end: number, hash: number, value: number): void {
    if (this.size * 2 * STRIDE >= this.slots.length) this.growSlots();
    const length = end - start;
    if (this.arenaLength + length > this.arena.length) {
      const grown = new Uint8Array(Math.max(this.arena.length * 2, this.arenaLength + length));
      grown.set(this.arena.subarray(0, this.arenaLength));
      this.arena = grown;
    }
    this.arena.set(bytes.subarray(start, end), this.arenaLength);
    this.place(hash, this.arenaLength, length, value);
    this.arenaLength += length;
    this.size++;
  }

  /** Forgets all words and keeps the memory. */
  clear(): void {
    this.slots.fill(0);
    this.arenaLength = 0;
    this.size = 0;
  }

  /** Bytes that the keys take. */
  get keyBytes(): number {
    return this.arenaLength;
  }

  /** The bytes of every word, by value: the inverse of `find` where the values are 0 … size − 1. */
  wordsByValue(): Uint8Array[] {
    const words = new Array<Uint8Array>(this.size);
    for (let slot = 0; slot < this.slots.length; slot += STRIDE) {
      const length = this.slots[slot + 2]!;
      const at = this.slots[slot + 1]!;
      if (length > 0) words[this.slots[slot + 3]!] = this.arena.subarray(at, at + length);
    }
    return words;
  }

  private place(hash: number, at: number, length: number, value: number): void {
    const { slots } = this;
    const mask = slots.length - STRIDE;
    let slot = (hash << 2) & mask;
    while (slots[slot + 2] !== 0) slot = (slot + STRIDE) & mask;
    slots[slot] = hash;
    slots[slot + 1] = at;
    slots[slot + 2] = length;
    slots[slot + 3] = value;
  }

  private growSlots(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    for (let slot = 0; slot < old.length; slot += STRIDE) {
      const length = old[slot + 2]!;
      if (length > 0) this.place(old[slot]!, old[slot + 1]!, length, old[slot + 3]!);
    }
  }
}

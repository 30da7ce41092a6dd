/** First-fit allocation of linear memory, kept on the JavaScript side: blocks are few, large and long-lived. */

import { CONTROL_BYTES } from '../abi/index.ts';
import { LanewiseError } from '../errors.ts';

/** Every block starts at a multiple of this: a cache line, and the widest vector any engine will use. */
export const ALIGNMENT = 64;

/** Linear memory's hard end: 65,536 pages of 64 KiB, less one page so that vector loads past a block's end stay inside. */
export const MEMORY_LIMIT_BYTES = 65535 * 65536;

/** The control block stands at the start of memory, after a guard line so that no valid address is 0. */
export const CONTROL_ADDRESS = 64;

/** First address that may be allocated. */
export const FIRST_FREE_ADDRESS = CONTROL_ADDRESS + CONTROL_BYTES;

interface Span {
  address: number;
  bytes: number;
}

export class Allocator {
  #free: Span[];
  readonly #used = new Map<number, number>();

  constructor(firstAddress: number) {
    const address = align(firstAddress);
    this.#free = [{ address, bytes: MEMORY_LIMIT_BYTES - address }];
  }

  /** Bytes handed out and not returned. */
  get usedBytes(): number {
    let sum = 0;
    for (const bytes of this.#used.values()) sum += bytes;
    return sum;
  }

  /** The largest block that could be had now, in bytes. */
  get largestFreeBytes(): number {
    return this.#free.reduce((largest, span) => Math.max(largest, span.bytes), 0);
  }

  /** An address for `bytes` bytes, or undefined when no gap is large enough. */
  allocate(bytes: number): number | undefined {
    const need = align(Math.max(bytes, 1));
    const index = this.#free.findIndex((span) => span.bytes >= need);
    const span = this.#free[index];
    if (!span) return undefined;
    const { address } = span;
    span.address += need;
    span.bytes -= need;
    if (span.bytes === 0) this.#free.splice(index, 1);
    this.#used.set(address, need);
    return address;
  }

  /** Takes a block back. */
  release(address: number): void {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new LanewiseError(`allocator: expected an allocated address, got ${address}.`);
    this.#used.delete(address);
    const next = this.#free.findIndex((span) => span.address > address);
    this.#free.splice(next < 0 ? this.#free.length : next, 0, { address, bytes });
    this.#free = this.#free.reduce<Span[]>((merged, span) => {
      const last = merged.at(-1);
      if (last && last.address + last.bytes === span.address) last.bytes += span.bytes;
      else merged.push(span);
      return merged;
    }, []);
  }
}

/** `bytes` rounded up to ALIGNMENT. */
export function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** Bytes in pieces: what the hosts of this folder share. */

import { CheckpointError, DisposedError, MemoryError } from '../errors.ts';
import type { ByteFile } from './directory.ts';

/** The most that is asked of a host in one call, bytes. */
export const PIECE_BYTES = 4 * 1024 * 1024;

/** Longest text `readText` takes, bytes: JavaScript engines end strings between 2^28 and 2^30 characters. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/**
 * Checks a read before anything is asked of the host.
 * @returns false when there is nothing to read.
 * @throws CheckpointError when the range ends after the file; RangeError for an offset that is no offset.
 */
export function checkRead(file: ByteFile, offset: number, length: number): boolean {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new RangeError(`${file.name}: expected an offset of 0 or more bytes, got ${offset}.`);
  }
  if (offset + length > file.size) throw truncated(file.name, offset + length, file.size);
  return length > 0;
}

/** The error for a file that ends too early. */
export function truncated(name: string, expected: number, actual: number): CheckpointError {
  return new CheckpointError(
    `${name}: expected at least ${expected} bytes, got ${actual}. The file is truncated or still being written; fetch it again.`,
    { file: name },
  );
}

/** The error for reading a file after `close`. */
export function closed(name: string): DisposedError {
  return new DisposedError(`${name}: expected an open file, got one that was closed. Open it again.`);
}

/** Opens, reads whole, closes. */
export async function readWhole(opening: Promise<ByteFile>, most?: number): Promise<Uint8Array> {
  const file = await opening;
  const { name, size } = file;
  try {
    if (most !== undefined && size > most) {
      throw new CheckpointError(
        `${name}: expected at most ${most} bytes of text, got ${size}. Check that this is the text file you meant.`,
        { file: name },
      );
    }
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(size);
    } catch (cause) {
      throw new MemoryError(
        `${name}: expected room for ${size} bytes, got a refusal by the host. Read the file in pieces, or use a smaller one.`,
        size,
        2 ** 32,
        { cause },
      );
    }
    await file.read(0, bytes);
    return bytes;
  } finally {
    await file.close();
  }
}

/** Opens, reads whole as UTF-8, closes; a byte order mark stays in the text. */
export async function readWholeText(opening: Promise<ByteFile>): Promise<string> {
  const bytes = await readWhole(opening, MAX_TEXT_BYTES);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    const { name } = await opening;
    throw new CheckpointError(
      `${name}: expected UTF-8 text, got bytes that are not UTF-8. Save the file as UTF-8, or fetch it again.`,
      { cause, file: name },
    );
  }
}

/** Bytes that grow by appending, in pieces of one size: never moved, never held twice. */
export class ByteRope {
  size = 0;
  readonly #pieces: Uint8Array[] = [];

  /** Copies `bytes` to the end. */
  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const used = this.size % PIECE_BYTES;
      let piece = this.#pieces.at(-1);
      if (used === 0 || piece === undefined) {
        piece = new Uint8Array(Math.min(PIECE_BYTES, bytes.length - done));
        this.#pieces.push(piece);
      } else if (used === piece.length) {
        // A piece starts as small as its first bytes, and doubles up to the full size.
        const larger = new Uint8Array(Math.min(PIECE_BYTES, Math.max(2 * used, used + bytes.length - done)));
        larger.set(piece);
        piece = larger;
        this.#pieces[this.#pieces.length - 1] = piece;
      }
      const count = Math.min(piece.length - used, bytes.length - done);
      piece.set(bytes.subarray(done, done + count), used);
      done += count;
      this.size += count;
    }
  }

  /** Copies the bytes from `offset` on into `target`, which must end before `size`. */
  copyInto(offset: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) {
      const begin = (offset + done) % PIECE_BYTES;
      const piece = this.#pieces[Math.floor((offset + done) / PIECE_BYTES)]!;
      const count = Math.min(PIECE_BYTES - begin, target.length - done);
      target.set(piece.subarray(begin, begin + count), done);
      done += count;
    }
  }
}

/** A file whose bytes are already in memory. */
export class MemoryFile implements ByteFile {
  readonly name: string;
  readonly size: number;
  #bytes: ByteRope | undefined;

  constructor(name: string, bytes: ByteRope) {
    this.name = name;
    this.size = bytes.size;
    this.#bytes = bytes;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (this.#bytes === undefined) throw closed(this.name);
    if (checkRead(this, offset, target.length)) this.#bytes.copyInto(offset, target);
  }

  async close(): Promise<void> {
    this.#bytes = undefined;
  }
}

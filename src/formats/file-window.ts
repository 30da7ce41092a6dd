/** A file read forward through one buffer, so that many small tensors cost one read, and large ones no new memory. */
import type { ByteFile } from '../files/directory.ts';

/** What a window holds, unless it is told otherwise. */
export const WINDOW_BYTES = 4 * 1024 * 1024;

/** Pieces are multiples of this from where reading began, so that elements of every dtype stay whole. */
const WORD_BYTES = 8;

export class FileWindow {
  readonly file: ByteFile;
  readonly #bytes: number;
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  /** Where in the file, and where in the buffer, the bytes that it holds begin. */
  #begin = 0;
  #shift = 0;
  #length = 0;

  /**
   * @param file the open file
   * @param bytes size of the window, 8 or more, rounded down to a multiple of 8. Default 4 MiB
   */
  constructor(file: ByteFile, bytes = WINDOW_BYTES) {
    this.file = file;
    this.#bytes = bytes - (bytes % WORD_BYTES);
  }

  /**
   * The bytes from `offset` on: all up to `end`, or fewer, then a multiple of 8. Their place in memory is that in the file,
   * modulo 8. Valid until the next call. `end` is in the file: headers are checked.
   * @throws CheckpointError when the file ends early
   */
  async read(offset: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    const { size } = this.file;
    let skipped = offset - this.#begin;
    if (skipped < 0 || this.#length - skipped < Math.min(WORD_BYTES, end - offset)) {
      const count = Math.min(this.#bytes, size - offset);
      this.#buffer ??= new Uint8Array(Math.min(this.#bytes, size) + WORD_BYTES);
      this.#length = 0;
      this.#shift = offset % WORD_BYTES;
      await this.file.read(offset, this.#buffer.subarray(this.#shift, this.#shift + count));
      [this.#begin, this.#length, skipped] = [offset, count, 0];
    }
    let count = Math.min(this.#length - skipped, end - offset);
    if (count < end - offset) count -= count % WORD_BYTES;
    const at = this.#shift + skipped;
    return this.#buffer!.subarray(at, at + count);
  }
}

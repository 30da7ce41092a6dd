/** A file read forward through one buffer, so that many small tensors cost one read, and large ones no new memory. */
import type { ByteFile } from '../../files/directory.ts';
import type { TensorInfo } from './header.ts';

/** Bytes that a window holds by default. */
const WINDOW_BYTES = 4 * 1024 * 1024;

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

/**
 * Reads a tensor in pieces of whole elements.
 * @param window the open file; nothing else may read through it meanwhile.
 * @param info the tensor, from its header.
 * @param onChunk receives each piece and its offset in the tensor, bytes; the bytes are valid until it returns
 *   (or its promise settles). Not called for an empty tensor.
 * @param most bytes of a piece at most, a multiple of 8. Default: as many as the window holds.
 * @throws CheckpointError when the file ends early.
 */
export async function streamTensor(
  window: FileWindow,
  { begin, end }: TensorInfo,
  onChunk: (bytes: Uint8Array<ArrayBuffer>, byteOffset: number) => void | Promise<void>,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let at = begin; at < end; ) {
    const bytes = await window.read(at, Math.min(end, at + most));
    await onChunk(bytes, at - begin);
    at += bytes.length;
  }
}

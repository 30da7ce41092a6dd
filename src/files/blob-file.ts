/** An open file whose bytes a browser holds: a picked file, or one of its private file system. */

import { CheckpointError } from '../errors.ts';
import { checkRead, closed, PIECE_BYTES } from './bytes.ts';
import type { ByteFile } from './directory.ts';

/** `name` is what messages call it; `hint` says what to do when the browser no longer gives its bytes. */
export class BlobFile implements ByteFile {
  readonly name: string;
  readonly size: number;
  readonly #hint: string;
  #blob: Blob | undefined;

  constructor(name: string, blob: Blob, hint: string) {
    this.name = name;
    this.size = blob.size;
    this.#blob = blob;
    this.#hint = hint;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (this.#blob === undefined) throw closed(this.name);
    if (!checkRead(this, offset, target.length)) return;
    for (let done = 0; done < target.length; done += PIECE_BYTES) {
      const begin = offset + done;
      const piece = this.#blob.slice(begin, begin + Math.min(PIECE_BYTES, target.length - done));
      let bytes: ArrayBuffer;
      try {
        bytes = await piece.arrayBuffer();
      } catch (cause) {
        throw new CheckpointError(
          `${this.name}: expected a readable file, got a refusal by the browser. ${this.#hint}`,
          { cause, file: this.name },
        );
      }
      target.set(new Uint8Array(bytes), done);
    }
  }

  async close(): Promise<void> {
    this.#blob = undefined;
  }
}

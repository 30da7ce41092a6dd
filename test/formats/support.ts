/** Files for the tests of formats: small, made by hand, and watched. */
import { type ByteFile, memoryDirectory } from '../../src/files/index.ts';

/** A safetensors file: length word, header, data. The length may lie. */
export function fileBytes(header: string | Uint8Array, data: number | Uint8Array = 0, length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const tail = typeof data === 'number' ? new Uint8Array(data) : data;
  const bytes = new Uint8Array(8 + text.length + tail.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(tail, 8 + text.length);
  return bytes;
}

/** One tensor of a header, as text. */
export function tensor(
  name: string,
  dtype: string,
  shape: readonly (number | string)[],
  begin: number,
  end: number,
): string {
  return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":[${begin},${end}]}`;
}

/** Opens bytes as the file `x.safetensors`. */
export async function openBytes(bytes: Uint8Array): Promise<ByteFile> {
  return memoryDirectory({ 'x.safetensors': bytes }, 'folder').open('x.safetensors');
}

/** A file that fails the test when it is read outside of its bytes, and counts what is asked of it. */
export class WatchedFile implements ByteFile {
  readonly name = 'folder/x.safetensors';
  readonly size: number;
  readonly #bytes: Uint8Array;
  largestRead = 0;
  reads = 0;

  constructor(bytes: Uint8Array, size = bytes.length) {
    this.#bytes = bytes;
    this.size = size;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + target.length > this.#bytes.length) {
      throw new Error(`read of ${target.length} bytes at ${offset} in a file of ${this.#bytes.length}`);
    }
    this.reads++;
    this.largestRead = Math.max(this.largestRead, target.length);
    target.set(this.#bytes.subarray(offset, offset + target.length));
  }

  async close(): Promise<void> {}
}

/** What this host says of text that is not JSON. */
export function syntaxError(text: string): string {
  try {
    JSON.parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`expected text that is not JSON, got ${text}`);
}

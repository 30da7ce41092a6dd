/**
 * Checksums of a checkpoint's files: taken of the bytes on their way to the disk, so that nothing is read twice, and compared before
 * anything of a checkpoint is used. CRC-32 finds every damage of up to 32 bits in a row, and of others all but one in 2^32; it goes
 * through 1.2 GB/s where SHA-256 in JavaScript goes through 0.2 (docs/design/formats.md, "Checkpoints").
 */
import { CheckpointError } from '../errors.ts';
import type { ByteFile, Directory, FileContent } from '../files/index.ts';
import { crc32 } from '../formats/index.ts';

/** Bytes that are read at a time. */
const PIECE_BYTES = 1 << 20;

export interface FileChecksum {
  readonly bytes: number;
  /** Eight hexadecimal digits. */
  readonly crc32: string;
}

/** A CRC-32 as checkpoints write it. */
export const hexOf = (crc: number) => crc.toString(16).padStart(8, '0');

/** A folder that notes the checksum of all that is written to it. */
export class NotingDirectory implements Directory {
  readonly name: string;
  /** By path. */
  readonly noted: Map<string, FileChecksum>;
  readonly #inner: Directory;
  /** In front of each path in `noted`. */
  readonly #prefix: string;

  constructor(inner: Directory, noted = new Map<string, FileChecksum>(), prefix = '') {
    this.name = inner.name;
    this.noted = noted;
    this.#inner = inner;
    this.#prefix = prefix;
  }

  async write(path: string, content: FileContent): Promise<void> {
    let [bytes, crc] = [0, 0];
    const note = (piece: Uint8Array) => {
      bytes += piece.length;
      crc = crc32(piece, crc);
      return piece;
    };
    async function* noting(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) yield note(piece);
    }
    if (typeof content === 'string') note(new TextEncoder().encode(content));
    const isWhole = typeof content === 'string' || content instanceof Uint8Array;
    await this.#inner.write(path, isWhole ? content : noting(content));
    if (content instanceof Uint8Array) note(content);
    this.noted.set(this.#prefix + path, { bytes, crc32: hexOf(crc) });
  }

  async remove(path: string): Promise<void> {
    await this.#inner.remove(path);
    const gone = this.#prefix + path;
    for (const each of this.noted.keys()) if (each === gone || each.startsWith(`${gone}/`)) this.noted.delete(each);
  }

  async subdirectory(path: string): Promise<Directory> {
    return new NotingDirectory(await this.#inner.subdirectory(path), this.noted, `${this.#prefix}${path}/`);
  }

  has(path: string): Promise<boolean> {
    return this.#inner.has(path);
  }

  open(path: string): Promise<ByteFile> {
    return this.#inner.open(path);
  }

  readText(path: string): Promise<string> {
    return this.#inner.readText(path);
  }

  readBytes(path: string): Promise<Uint8Array> {
    return this.#inner.readBytes(path);
  }

  list(): Promise<string[]> {
    return this.#inner.list();
  }

  async freeBytes(): Promise<number | undefined> {
    return this.#inner.freeBytes?.();
  }
}

/**
 * Reads files and compares them with what was noted of them.
 * @throws CheckpointError naming the first that is missing, longer or shorter, or has other bytes
 */
export async function checkFiles(
  folder: Directory,
  files: Readonly<Record<string, FileChecksum>>,
  advice: string,
): Promise<void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (const [path, noted] of Object.entries(files)) {
    const file = await folder.open(path);
    const fail = (expected: string, found: string) => {
      throw new CheckpointError(`${file.name}: expected ${expected}, got ${found}. ${advice}`, { file: file.name });
    };
    try {
      if (file.size !== noted.bytes) fail(`the ${noted.bytes} bytes that were saved`, `${file.size}`);
      let crc = 0;
      for (let at = 0; at < file.size; at += PIECE_BYTES) {
        const target = piece.subarray(0, Math.min(PIECE_BYTES, file.size - at));
        await file.read(at, target);
        crc = crc32(target, crc);
      }
      const found = hexOf(crc);
      if (found !== noted.crc32)
        fail(`the bytes that were saved, of crc32 ${noted.crc32}`, `damaged ones of crc32 ${found}`);
    } finally {
      await file.close();
    }
  }
}

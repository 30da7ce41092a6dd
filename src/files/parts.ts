/**
 * A file that is kept as parts of 4 MiB in a folder, each with its own SHA-256: a download that breaks off keeps what it
 * has, and what a disk or browser damaged later is found when it is read.
 *
 *   <path>.parts/000000, 000001, …   the bytes; only the last part is shorter
 *   <path>.parts/state.json          while it is being downloaded: what the server said of it
 *   <path>.parts/done.json           a FileRecord, once all of it is there and its hash is right
 */

import { CheckpointError } from '../errors.ts';
import { checkRead, closed } from './bytes.ts';
import type { ByteFile, Directory } from './directory.ts';
import { joinName } from './entries.ts';
import { sha256 } from './sha256.ts';

export const PART_BYTES = 4 * 1024 * 1024;

/** A complete file: its size, the hash of all of it, the hash of each part; hexadecimal. */
export interface FileRecord {
  readonly size: number;
  readonly sha256: string;
  readonly parts: readonly string[];
}

/** Where the parts of a file are. */
export const partsFolder = (path: string): string => `${path}.parts`;

/** Where one part is. */
export const partPath = (path: string, index: number): string =>
  `${partsFolder(path)}/${String(index).padStart(6, '0')}`;

const isHash = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);

/** Whether this, out of a file, is the record of a complete file. */
export function isFileRecord(value: unknown): value is FileRecord {
  const { size, sha256, parts } = (value ?? {}) as Partial<Record<keyof FileRecord, unknown>>;
  if (!Number.isSafeInteger(size) || (size as number) < 0 || !isHash(sha256) || !Array.isArray(parts)) return false;
  return parts.every(isHash) && parts.length === Math.ceil((size as number) / PART_BYTES);
}

/** A complete file, read out of its parts; every part is checked when it is read. */
export class PartsFile implements ByteFile {
  readonly name: string;
  readonly size: number;
  readonly #store: Directory;
  readonly #path: string;
  readonly #record: FileRecord;
  /** The part that was read last: reads mostly go forward in small steps. */
  #last: { readonly index: number; readonly bytes: Promise<Uint8Array> } | undefined;
  #isClosed = false;

  constructor(store: Directory, path: string, record: FileRecord) {
    this.name = joinName(store.name, path);
    this.size = record.size;
    this.#store = store;
    this.#path = path;
    this.#record = record;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (this.#isClosed) throw closed(this.name);
    if (!checkRead(this, offset, target.length)) return;
    for (let done = 0; done < target.length; ) {
      const at = offset + done;
      const bytes = await this.#part(Math.floor(at / PART_BYTES));
      const begin = at % PART_BYTES;
      const count = Math.min(bytes.length - begin, target.length - done);
      target.set(bytes.subarray(begin, begin + count), done);
      done += count;
    }
  }

  #part(index: number): Promise<Uint8Array> {
    if (this.#last?.index !== index) this.#last = { index, bytes: this.#readPart(index) };
    return this.#last.bytes;
  }

  async #readPart(index: number): Promise<Uint8Array> {
    const path = partPath(this.#path, index);
    const bytes = await this.#store.readBytes(path);
    const digest = await digestOf(bytes);
    if (digest !== this.#record.parts[index]) {
      throw new CheckpointError(
        `${this.name}: expected part ${index} with sha256 ${this.#record.parts[index]}, got ${digest}. ` +
          'The stored bytes were damaged; remove the folder and download it again.',
        { file: this.name },
      );
    }
    return bytes;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#last = undefined;
  }
}

/** The SHA-256 of a part: by the host, beside other work, where it has WebCrypto (pages over plain http: have not). */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle === undefined) return sha256(bytes);
  const digest = new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

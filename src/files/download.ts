/**
 * One file from a server into a folder, part by part (`parts.ts`), going on where an earlier download broke off.
 *
 * Every answer is held against what is known of the file: where its range begins, its size, its ETag, at the end its
 * SHA-256. What does not fit is removed, not used. `Range: bytes=n-` needs no CORS preflight; a server that knows no
 * ranges, compresses, or does not let a page read `Content-Range` sends the whole file each time.
 */

import { CheckpointError } from '../errors.ts';
import type { Directory } from './directory.ts';
import { BodyStream, failed, isEncoded, nameOf, parseContentRange } from './http.ts';
import { digestOf, type FileRecord, isFileRecord, PART_BYTES, partPath, partsFolder } from './parts.ts';
import { Sha256 } from './sha256.ts';

const FIRST_DELAY_MS = 200;

/** What is known of a file before it is downloaded. */
export interface ExpectedFile {
  readonly size?: number | undefined;
  readonly sha256?: string | undefined;
}

export interface FileDownloadOptions {
  /** How often in a row a connection may fail without bringing anything. */
  readonly retries: number;
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the file are there; it gets smaller when a server makes us start again. */
  readonly onBytes: (bytes: number) => void;
}

/** What the server said when the download began. */
interface DownloadState {
  readonly etag: string | null;
  readonly size: number | null;
  readonly expected: string | null;
}

/** A failure that another attempt may get over. */
class Interrupted extends Error {}

/** A stored JSON file, or undefined where it is missing or half of it is. */
export async function readJson(store: Directory, path: string): Promise<unknown> {
  if (!(await store.has(path))) return undefined;
  try {
    return JSON.parse(await store.readText(path));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof CheckpointError) return undefined;
    throw error;
  }
}

/** The record of a file that is completely in the store, and is what is expected; otherwise undefined. */
export async function storedFile(
  store: Directory,
  path: string,
  expected: ExpectedFile,
): Promise<FileRecord | undefined> {
  const record = await readJson(store, `${partsFolder(path)}/done.json`);
  if (!isFileRecord(record)) return undefined;
  const fits = (expected.size ?? record.size) === record.size && (expected.sha256 ?? record.sha256) === record.sha256;
  return fits ? record : undefined;
}

/**
 * Downloads a file.
 * @param url its address.
 * @param store where its parts go.
 * @param path its relative path.
 * @param expected size and hash, as far as they are known.
 * @returns what was stored.
 * @throws CheckpointError when the server fails, or sends something else than what is expected; StorageError from the store.
 */
export async function downloadFile(
  url: URL,
  store: Directory,
  path: string,
  expected: ExpectedFile,
  options: FileDownloadOptions,
): Promise<FileRecord> {
  const download = new FileDownload(url, store, path, expected, options);
  return download.run();
}

class FileDownload {
  readonly #url: URL;
  readonly #name: string;
  readonly #store: Directory;
  readonly #path: string;
  readonly #expected: ExpectedFile;
  readonly #options: FileDownloadOptions;
  #state: DownloadState | undefined;
  #hash = new Sha256();
  #parts: string[] = [];
  /** The part that is being filled. */
  readonly #part = new Uint8Array(PART_BYTES);
  #used = 0;

  constructor(url: URL, store: Directory, path: string, expected: ExpectedFile, options: FileDownloadOptions) {
    this.#url = url;
    this.#name = nameOf(url);
    this.#store = store;
    this.#path = path;
    this.#expected = expected;
    this.#options = options;
  }

  get #position(): number {
    return this.#parts.length * PART_BYTES + this.#used;
  }

  async run(): Promise<FileRecord> {
    await this.#restore();
    const { retries, signal } = this.#options;
    let failures = 0;
    for (;;) {
      signal?.throwIfAborted();
      const before = this.#position;
      try {
        if (this.#state === undefined || this.#position !== this.#state.size) await this.#receive();
        return await this.#finish();
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Interrupted)) throw error;
        failures = this.#position > before ? 1 : failures + 1;
        if (failures > retries) {
          const kept = this.#parts.length * PART_BYTES;
          throw new CheckpointError(
            `${this.#name}: expected a file, got ${error.message}, ${failures} times in a row. ` +
              `${kept} bytes of it are kept; check the connection and call again to continue.`,
            { cause: error.cause, file: this.#name },
          );
        }
        await pause(FIRST_DELAY_MS * 2 ** (failures - 1), signal);
      }
    }
  }

  /** Takes up the parts of an earlier download of the same file. */
  async #restore(): Promise<void> {
    const state = (await readJson(this.#store, `${partsFolder(this.#path)}/state.json`)) as DownloadState | undefined;
    if (state === undefined || state === null || typeof state !== 'object') return this.#discard();
    if ((state.expected ?? null) !== (this.#expected.sha256 ?? null)) return this.#discard();
    this.#state = state;
    for (let index = 0; await this.#store.has(partPath(this.#path, index)); index++) {
      const bytes = await this.#store.readBytes(partPath(this.#path, index));
      if (bytes.length !== PART_BYTES) break; // the last part is written again
      this.#hash.update(bytes);
      this.#parts.push(await digestOf(bytes));
      this.#options.onBytes(this.#position);
    }
  }

  async #discard(): Promise<void> {
    await this.#store.remove(partsFolder(this.#path));
    this.#startAgain();
    this.#state = undefined;
  }

  #startAgain(): void {
    this.#hash = new Sha256();
    this.#parts = [];
    this.#used = 0;
    this.#options.onBytes(0);
  }

  /** One connection: as many of the missing bytes as it brings. */
  async #receive(): Promise<void> {
    const body = new BodyStream(await this.#ask(), this.#position);
    try {
      for (;;) {
        const bytes = await body.next(PART_BYTES).catch((cause: unknown) => {
          throw new Interrupted('a broken connection', { cause });
        });
        if (bytes.length === 0) break;
        const size = this.#state?.size ?? this.#expected.size ?? Number.POSITIVE_INFINITY;
        if (this.#position + bytes.length > size)
          throw await this.#refuse(`more than the ${size} bytes that were announced`);
        await this.#take(bytes);
        this.#options.onBytes(this.#position);
      }
    } finally {
      await body.cancel();
    }
    const size = this.#state?.size;
    if (size !== null && size !== undefined && this.#position < size) {
      throw new Interrupted(`a connection that ended after ${this.#position} of ${size} bytes`);
    }
  }

  async #take(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const count = Math.min(PART_BYTES - this.#used, bytes.length - done);
      this.#part.set(bytes.subarray(done, done + count), this.#used);
      this.#used += count;
      done += count;
      if (this.#used === PART_BYTES) await this.#keepPart();
    }
  }

  async #keepPart(): Promise<void> {
    const bytes = this.#part.subarray(0, this.#used);
    await this.#store.write(partPath(this.#path, this.#parts.length), bytes);
    this.#hash.update(bytes);
    this.#parts.push(await digestOf(bytes.slice()));
    this.#used = 0;
  }

  /** The answer that goes on at the position; the position is 0 afterwards where the server sends the whole file. */
  async #ask(): Promise<Response> {
    const from = this.#position;
    const response = await this.#fetch({ Range: `bytes=${from}-` });
    const header = response.headers.get('Content-Range');
    const range = parseContentRange(header);
    if (response.status === 206 && range !== undefined && !isEncoded(response)) {
      if (range.begin !== from) {
        await drop(response);
        throw await this.#refuse(`a range that begins at ${range.begin} where ${from} was asked for`);
      }
      await this.#note(response, range.total);
      return response;
    }
    if (response.status === 200) return this.#whole(response);
    await drop(response);
    if (response.status === 416 && from > 0) throw await this.#refuse(`a file that ends before byte ${from}`);
    if (response.status === 206 || response.status === 416) {
      // Encoded, a range that a page may not read, or an empty file: take it whole.
      const whole = await this.#fetch({});
      if (whole.status === 200) return this.#whole(whole);
      await drop(whole);
      throw failed(this.#name, `HTTP ${whole.status}`);
    }
    if (response.status >= 500 || response.status === 429) throw new Interrupted(`HTTP ${response.status}`);
    throw failed(this.#name, `HTTP ${response.status}`);
  }

  async #whole(response: Response): Promise<Response> {
    if (this.#position > 0) this.#startAgain();
    const length = response.headers.get('Content-Length');
    this.#state = undefined;
    await this.#note(response, isEncoded(response) || length === null ? (this.#expected.size ?? null) : Number(length));
    return response;
  }

  /** Holds an answer against what is known, and notes what is new. */
  async #note(response: Response, size: number | null): Promise<void> {
    const etag = response.headers.get('ETag');
    const wanted = this.#state?.size ?? this.#expected.size;
    const sizeDiffers = wanted !== null && wanted !== undefined && size !== wanted;
    const etagDiffers = this.#state !== undefined && this.#state.etag !== null && etag !== this.#state.etag;
    if (sizeDiffers || etagDiffers) {
      await drop(response);
      const now = sizeDiffers
        ? `${size} bytes where ${wanted} are expected`
        : `ETag ${etag} after ${this.#state?.etag}`;
      throw await this.#refuse(`a file that changed on the server (${now})`);
    }
    if (this.#state !== undefined) return;
    this.#state = { etag, size, expected: this.#expected.sha256 ?? null };
    await this.#store.write(`${partsFolder(this.#path)}/state.json`, JSON.stringify(this.#state));
  }

  async #fetch(headers: Record<string, string>): Promise<Response> {
    const { signal } = this.#options;
    try {
      return await fetch(this.#url, { headers, cache: 'no-store', ...(signal ? { signal } : {}) });
    } catch (cause) {
      throw new Interrupted(`no answer from the server (${cause instanceof Error ? cause.message : cause})`, { cause });
    }
  }

  async #finish(): Promise<FileRecord> {
    const size = this.#position;
    if (this.#used > 0) await this.#keepPart();
    const sha256 = this.#hash.hex();
    const expected = this.#expected.sha256;
    if (expected !== undefined && sha256 !== expected) {
      throw await this.#refuse(`a file with sha256 ${sha256} where ${expected} is expected`);
    }
    const record = { size, sha256, parts: this.#parts };
    await this.#store.write(`${partsFolder(this.#path)}/done.json`, JSON.stringify(record));
    await this.#store.remove(`${partsFolder(this.#path)}/state.json`);
    return record;
  }

  /** Removes what there is of the file, and says why. */
  async #refuse(found: string): Promise<CheckpointError> {
    await this.#discard();
    return new CheckpointError(
      `${this.#name}: expected the file that was announced, got ${found}. ` +
        'What was downloaded of it is removed; download it again, and if this repeats, ask who serves it.',
      { file: this.#name },
    );
  }
}

async function drop(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => undefined); // a body that already failed
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(done, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    function done(): void {
      signal?.removeEventListener('abort', abort);
      resolve();
    }
    signal?.addEventListener('abort', abort, { once: true });
  });
}

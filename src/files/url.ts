/**
 * A folder behind HTTP, read through `fetch`.
 *
 * Opening a file asks for `Range: bytes=0-`. A server that answers 206 is read as one stream for as long as reads go
 * forward (a model read in file order costs one request); a jump starts a new request at that place. A server that
 * answers 200 knows no ranges: the file is downloaded once and kept.
 * Both range forms used here need no CORS preflight (https://fetch.spec.whatwg.org/#cors-safelisted-request-header).
 */

import { CheckpointError, EnvironmentError } from '../errors.ts';
import { ByteRope, checkRead, closed, MemoryFile, truncated } from './bytes.ts';
import type { ByteFile, Directory } from './directory.ts';
import { HostDirectory } from './host-directory.ts';
import { BodyStream, failed, isEncoded, nameOf, parseContentRange, request, urlBelow } from './http.ts';
import { checkPath } from './path.ts';

/** A gap up to this many bytes is read over rather than asked for anew. */
const MAX_SKIP_BYTES = 256 * 1024;

class RangeFile implements ByteFile {
  readonly name: string;
  readonly size: number;
  readonly #url: URL;
  readonly #etag: string | null;
  #stream: BodyStream | undefined;
  #isClosed = false;
  /** Reads happen one after another: they share the stream. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(url: URL, size: number, etag: string | null, stream: BodyStream) {
    this.name = nameOf(url);
    this.#url = url;
    this.size = size;
    this.#etag = etag;
    this.#stream = stream;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    const turn = this.#last.then(() => this.#readNow(offset, target));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #readNow(offset: number, target: Uint8Array): Promise<void> {
    if (this.#isClosed) throw closed(this.name);
    if (!checkRead(this, offset, target.length)) return;
    try {
      const stream = await this.#streamAt(offset);
      for (let done = 0; done < target.length; ) {
        const bytes = await stream.next(target.length - done);
        if (bytes.length === 0) throw truncated(this.name, offset + target.length, offset + done);
        target.set(bytes, done);
        done += bytes.length;
      }
    } catch (error) {
      const stream = this.#stream;
      this.#stream = undefined;
      await stream?.cancel();
      if (error instanceof CheckpointError) throw error;
      throw failed(this.name, 'a broken connection', error);
    }
  }

  async #streamAt(offset: number): Promise<BodyStream> {
    let stream = this.#stream;
    if (stream !== undefined && offset >= stream.position && offset - stream.position <= MAX_SKIP_BYTES) {
      while (stream.position < offset) {
        const skipped = await stream.next(offset - stream.position);
        if (skipped.length === 0) throw truncated(this.name, offset, stream.position);
      }
      return stream;
    }
    await stream?.cancel();
    this.#stream = undefined;
    const response = await request(this.#url, { headers: { Range: `bytes=${offset}-` } });
    const range = parseContentRange(response.headers.get('Content-Range'));
    const etag = response.headers.get('ETag');
    const changed = this.#etag !== null && etag !== null && etag !== this.#etag;
    if (response.status !== 206 || range?.begin !== offset || range.total !== this.size || changed) {
      await response.body?.cancel().catch(() => undefined);
      throw failed(
        this.name,
        `a file that changed while it was read (HTTP ${response.status}, ${range?.total ?? 'unknown'} bytes after ${this.size})`,
      );
    }
    stream = new BodyStream(response, offset);
    this.#stream = stream;
    return stream;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.cancel();
  }
}

async function download(name: string, response: Response): Promise<ByteFile> {
  const bytes = new ByteRope();
  const stream = new BodyStream(response, 0);
  try {
    for (;;) {
      const piece = await stream.next(Number.MAX_SAFE_INTEGER);
      if (piece.length === 0) break;
      bytes.append(piece);
    }
  } catch (error) {
    throw failed(name, 'a broken connection', error);
  }
  return new MemoryFile(name, bytes);
}

async function openUrlFile(url: URL): Promise<ByteFile> {
  const name = nameOf(url);
  const response = await request(url, { headers: { Range: 'bytes=0-' } });
  const range = parseContentRange(response.headers.get('Content-Range'));
  if (response.status === 206 && range?.begin === 0 && !isEncoded(response)) {
    return new RangeFile(url, range.total, response.headers.get('ETag'), new BodyStream(response, 0));
  }
  if (response.status === 200) return download(name, response);
  await response.body?.cancel().catch(() => undefined);
  if (response.status === 206 || response.status === 416) {
    // Encoded, unreadable across origins (Content-Range not exposed), or empty: take it whole.
    const whole = await request(url, {});
    if (whole.status === 200) return download(name, whole);
    await whole.body?.cancel().catch(() => undefined);
    throw failed(name, `HTTP ${whole.status}`);
  }
  throw failed(name, `HTTP ${response.status}`);
}

class UrlDirectory extends HostDirectory {
  readonly name: string;
  readonly #base: URL;

  constructor(url: URL) {
    super();
    this.#base = new URL(url);
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.name = nameOf(this.#base);
  }

  #at(path: string): URL {
    return urlBelow(this.#base, checkPath(path, this.name));
  }

  async has(path: string): Promise<boolean> {
    const url = this.#at(path);
    let response = await request(url, { method: 'HEAD' });
    if (response.status === 405 || response.status === 501) {
      response = await request(url, { headers: { Range: 'bytes=0-0' } });
      await response.body?.cancel().catch(() => undefined);
    }
    if (response.ok || response.status === 416) return true;
    if ([403, 404, 410].includes(response.status)) return false;
    throw failed(nameOf(url), `HTTP ${response.status}`);
  }

  async open(path: string): Promise<ByteFile> {
    return openUrlFile(this.#at(path));
  }

  override list(): Promise<string[]> {
    return this.listAt();
  }

  async listAt(): Promise<never> {
    throw new EnvironmentError(
      `${this.name}: expected a folder that can be listed, got one behind HTTP. Open its files by name.`,
    );
  }

  async write(path: string): Promise<void> {
    checkPath(path, this.name);
    this.#refuse('write');
  }

  async remove(path: string): Promise<void> {
    checkPath(path, this.name);
    this.#refuse('remove');
  }

  #refuse(action: 'write' | 'remove'): never {
    throw new EnvironmentError(
      `${this.name}: expected a folder that can be written, got one behind HTTP (${action}). Save to a path or to memoryDirectory().`,
    );
  }
}

/**
 * Makes a folder of what lies below an address; it can be read, not listed or written.
 * @param url the folder: http: or https:, with or without a `/` at the end.
 * @returns the folder; nothing is fetched yet.
 * @example
 * const gpt = await loadModel(urlDirectory('https://huggingface.co/distilgpt2/resolve/main'));
 */
export function urlDirectory(url: URL | string): Directory {
  return new UrlDirectory(new URL(url));
}

/** What reading over HTTP has in common: requests that fail in our words, ranges, bodies that are read forward. */

import { CheckpointError } from '../errors.ts';

export function failed(name: string, found: string, cause?: unknown): CheckpointError {
  return new CheckpointError(`${name}: expected a file, got ${found}. Check the address and the connection.`, {
    cause,
    file: name,
  });
}

/** Messages leave the query out: it may hold a token. */
export function nameOf(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

export async function request(url: URL, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw failed(nameOf(url), `no answer from the server (${reason})`, cause);
  }
}

/** The total of `Content-Range: bytes 0-99/1234`, or undefined when there is none. */
export function parseContentRange(header: string | null): { begin: number; total: number } | undefined {
  const match = /^bytes (\d+)-\d+\/(\d+)$/.exec(header ?? '');
  if (match === null) return undefined;
  const begin = Number(match[1]);
  const total = Number(match[2]);
  return Number.isSafeInteger(begin) && Number.isSafeInteger(total) ? { begin, total } : undefined;
}

/** A response body that is read forward. */
export class BodyStream {
  position: number;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(response: Response, position: number) {
    this.#reader = response.body?.getReader();
    this.position = position;
  }

  /** The next bytes, at most `limit` of them; none at the end. */
  async next(limit: number): Promise<Uint8Array> {
    while (this.#rest.length === 0) {
      const piece = await this.#reader?.read();
      if (piece === undefined || piece.done) return this.#rest;
      this.#rest = piece.value;
    }
    const bytes = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(bytes.length);
    this.position += bytes.length;
    return bytes;
  }

  async cancel(): Promise<void> {
    await this.#reader?.cancel().catch(() => undefined);
  }
}

/** Offsets of a compressed answer do not count the bytes of the file. */
export function isEncoded(response: Response): boolean {
  return (response.headers.get('Content-Encoding') ?? 'identity') !== 'identity';
}

/** The address of a file in a folder whose path ends in `/`; a query of the folder (a token) stays. */
export function urlBelow(folder: URL, path: string): URL {
  const url = new URL(folder);
  url.pathname += path.split('/').map(encodeURIComponent).join('/');
  return url;
}

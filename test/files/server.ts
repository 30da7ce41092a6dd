/** A small HTTP server of files in memory, with the faults that real ones have. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FileServer {
  readonly url: string;
  readonly requests: string[];
  /** Files by path; may be changed while it runs. */
  readonly files: Map<string, Uint8Array>;
  close(): Promise<void>;
}

/** May be changed while the server runs. */
export interface ServerFaults {
  /** Answers 200 with the whole file whatever range is asked for. */
  noRanges?: boolean;
  /** Answers HEAD with this status. */
  headStatus?: number;
  /** Answers every GET with this status. */
  status?: number;
  /** Ends each body after so many bytes. */
  cutAfter?: number;
  /** Ends it no earlier: a browser drops what it has received and not yet given to the page. Default: at once. */
  cutWhen?: Promise<void>;
  /** Leaves Content-Range out, as CORS does where a server does not expose it. */
  hideRange?: boolean;
  /** Sends the bytes that begin so many later than was asked for, and says so. */
  shiftRange?: number;
  /** Sends so many bytes more than the file has, without a Content-Length. */
  surplus?: number;
  /** The ETag of every file; default: from its length. */
  etag?: string;
}

export async function serveFiles(
  files: Record<string, string | Uint8Array>,
  faults: ServerFaults = {},
): Promise<FileServer> {
  const map = new Map(Object.entries(files).map(([path, content]) => [path, new Uint8Array(Buffer.from(content))]));
  const requests: string[] = [];
  const server: Server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname.slice('/models/'.length));
    const { range } = request.headers;
    requests.push(`${request.method} ${path}${range === undefined ? '' : ` ${range}`}`);
    const bytes = map.get(path);
    if (bytes === undefined) return response.writeHead(404).end();
    if (request.method === 'HEAD') {
      return response.writeHead(faults.headStatus ?? 200, { 'Content-Length': bytes.length }).end();
    }
    if (faults.status !== undefined) return response.writeHead(faults.status).end();
    const match = /^bytes=(\d+)-(\d*)$/.exec(range ?? '');
    if (match === null || faults.noRanges) {
      response.writeHead(200, { 'Content-Length': bytes.length });
      return void response.end(bytes);
    }
    const begin = Number(match[1]) + (faults.shiftRange ?? 0);
    const end = match[2] === '' ? bytes.length : Number(match[2]) + 1;
    if (begin >= bytes.length) {
      return response.writeHead(416, { 'Content-Range': `bytes */${bytes.length}` }).end();
    }
    const part = bytes.subarray(begin, end);
    const isCut = faults.cutAfter !== undefined && faults.cutAfter < part.length;
    response.writeHead(206, {
      ETag: faults.etag ?? `"${bytes.length}"`,
      ...(faults.surplus === undefined ? { 'Content-Length': part.length } : {}),
      ...(faults.hideRange ? {} : { 'Content-Range': `bytes ${begin}-${begin + part.length - 1}/${bytes.length}` }),
    });
    if (isCut)
      response.write(part.subarray(0, faults.cutAfter), async () => {
        await faults.cutWhen;
        response.destroy();
      });
    else response.end(Buffer.concat([part, Buffer.alloc(faults.surplus ?? 0)]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/models`,
    requests,
    files: map,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

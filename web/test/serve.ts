/** Serves the built page as any static host would: no headers but the type, no cross-origin isolation. */
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const CONFIG = fileURLToPath(new URL('../public/model/config.json', import.meta.url));

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};

/** A list that says something else of config.json than what is there. */
const DAMAGED = JSON.stringify({ files: { 'config.json': { size: statSync(CONFIG).size, sha256: '0'.repeat(64) } } });

export interface PageServer {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: string[];
  /** Lets requests for a path wait until the function that it returns is called. */
  hold(path: string): () => void;
  /** Cuts the network: nothing answers at this address any more. */
  close(): Promise<void>;
}

/** What is otherwise than at most static hosts. */
export interface Oddities {
  /** Headers of every answer, or of a path's. Default none. */
  readonly headers?: Readonly<Record<string, string>> | ((path: string) => Readonly<Record<string, string>>);
  /** What comes instead of a file's bytes. Default these. */
  readonly change?: (path: string, bytes: Buffer) => Buffer;
}

export async function servePage(folder: string, { headers = {}, change }: Oddities = {}): Promise<PageServer> {
  const requests: string[] = [];
  const held = new Map<string, Promise<void>>();
  const server = createServer(async ({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://x');
    requests.push(pathname);
    await held.get(pathname);
    try {
      if (pathname === '/damaged/files.json') return void response.end(DAMAGED);
      const asked = pathname.replace('/damaged/', '/model/');
      const path = asked.endsWith('/') ? `${asked}index.html` : asked;
      const bytes = await readFile(`${folder}${path}`);
      const more = typeof headers === 'function' ? headers(path) : headers;
      response
        .writeHead(200, { ...more, 'Content-Type': TYPES[extname(path)] ?? 'application/octet-stream' })
        .end(change ? change(path, bytes) : bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    hold(path) {
      let release = () => {};
      held.set(path, new Promise((resolve) => (release = resolve)));
      return () => {
        held.delete(path);
        release();
      };
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

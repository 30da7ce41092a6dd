/** A web server for this checkout on a free port, with a strict Content-Security-Policy, cross-origin isolated or not. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };

/** The policy under which the package must work. */
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";

/**
 * @param {object} options
 * @param {boolean} options.isolated
 * @param {string} [options.policy]
 * @param {(path: string) => string | undefined} [options.prefix] what is put before a file, or undefined for 404
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function servePages({ isolated, policy = POLICY, prefix = () => '' }) {
  const headers = {
    'Content-Security-Policy': policy,
    ...(isolated && {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    }),
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const path = join(root, normalize(pathname));
    const type = TYPES[extname(path)];
    const content = path.startsWith(root) && type ? await readFile(path).catch(() => undefined) : undefined;
    const before = prefix(pathname);
    if (content === undefined || before === undefined) response.writeHead(404).end();
    else
      response
        .writeHead(200, { ...headers, 'Content-Type': `${type}` })
        .end(Buffer.concat([Buffer.from(before), content]));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://localhost:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

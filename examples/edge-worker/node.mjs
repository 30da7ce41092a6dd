// The example's handler on Node: node examples/edge-worker/node.mjs [model folder] [port]
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { completions } from './completions.js';

const [folder = 'out/edge-model', port = '8787'] = process.argv.slice(2);
const handle = completions(async () => folder);

const server = createServer(async (incoming, outgoing) => {
  const gone = new AbortController();
  outgoing.once('close', () => gone.abort());
  const { method = 'GET', url = '/', headers } = incoming;
  const hasBody = method !== 'GET' && method !== 'HEAD';
  const body = hasBody ? /** @type {ReadableStream<Uint8Array>} */ (Readable.toWeb(incoming)) : null;
  const init = { method, headers: Object.entries(headers).map(([name, value]) => [name, String(value)]), body };
  const request = new Request(
    new URL(url, 'http://localhost'),
    /** @type {any} */ ({ ...init, duplex: 'half', signal: gone.signal }),
  );
  const response = await handle(request);
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  // An error is a client that left, which also ends the stream of the answer.
  if (response.body) await pipeline(Readable.fromWeb(/** @type {any} */ (response.body)), outgoing).catch(() => {});
  else outgoing.end();
});
server.listen(Number(port), '127.0.0.1', () => {
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${address.port}/v1/completions`);
});

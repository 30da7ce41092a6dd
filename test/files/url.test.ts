/** What only folders behind HTTP do: few requests, and servers that misbehave. */
import { afterEach, describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { urlDirectory } from '../../src/files/index.ts';
import { type FileServer, type ServerFaults, serveFiles } from './server.ts';

const BYTES = new Uint8Array(2_000_000).map((_, i) => i % 251);
let server: FileServer;
afterEach(() => server.close());

async function serve(faults: ServerFaults = {}): Promise<ReturnType<typeof urlDirectory>> {
  server = await serveFiles({ 'model.bin': BYTES, 'empty.bin': '' }, faults);
  return urlDirectory(server.url);
}

describe('urlDirectory', () => {
  it('reads a file that is read forward with one request', async () => {
    const file = await (await serve()).open('model.bin');
    const target = new Uint8Array(300_000);
    for (let offset = 0; offset + target.length <= BYTES.length; offset += target.length + 100) {
      await file.read(offset, target);
      expect(Buffer.compare(target, BYTES.subarray(offset, offset + target.length))).toBe(0);
    }
    await file.close();
    expect(server.requests).toEqual(['GET model.bin bytes=0-']);
  });

  it('jumps with one request each', async () => {
    const file = await (await serve()).open('model.bin');
    await file.read(1_500_000, new Uint8Array(4));
    await file.read(0, new Uint8Array(4));
    await file.close();
    expect(server.requests).toEqual([
      'GET model.bin bytes=0-',
      'GET model.bin bytes=1500000-',
      'GET model.bin bytes=0-',
    ]);
  });

  it('downloads once from a server without ranges', async () => {
    const file = await (await serve({ noRanges: true })).open('model.bin');
    await file.read(1_500_000, new Uint8Array(4));
    await file.read(0, new Uint8Array(4));
    expect(file.size).toBe(BYTES.length);
    expect(server.requests).toEqual(['GET model.bin bytes=0-']);
  });

  it('downloads where Content-Range is hidden', async () => {
    const directory = await serve({ hideRange: true });
    expect(Buffer.compare(await directory.readBytes('model.bin'), BYTES)).toBe(0);
    expect(server.requests).toEqual(['GET model.bin bytes=0-', 'GET model.bin']);
  });

  it('reads an empty file, to which no range applies', async () => {
    expect((await (await serve()).readBytes('empty.bin')).length).toBe(0);
  });

  it('asks with GET where HEAD is not allowed', async () => {
    const directory = await serve({ headStatus: 405 });
    expect(await directory.has('model.bin')).toBe(true);
    expect(await directory.has('empty.bin')).toBe(true);
    expect(await directory.has('missing')).toBe(false);
  });

  it('tells a failing server from a missing file', async () => {
    const directory = await serve({ status: 503, headStatus: 503 });
    const message = `${server.url}/model.bin: expected a file, got HTTP 503. Check the address and the connection.`;
    await expect(directory.open('model.bin')).rejects.toThrow(message);
    await expect(directory.has('model.bin')).rejects.toThrow(message);
    await expect(directory.open('missing')).rejects.toThrow(/missing: expected a file, got HTTP 404\./);
  });

  it('reports a connection that breaks', async () => {
    const file = await (await serve({ cutAfter: 1000 })).open('model.bin');
    await expect(file.read(0, new Uint8Array(2000))).rejects.toThrow(CheckpointError);
    await expect(file.read(0, new Uint8Array(2000))).rejects.toThrow(/model\.bin: expected .*, got /);
    const some = new Uint8Array(500);
    await file.read(0, some); // and recovers
    expect(some).toEqual(BYTES.slice(0, 500));
    await file.close();
  });

  it('reports a file that changed between two reads', async () => {
    const file = await (await serve()).open('model.bin');
    await file.read(1_000_000, new Uint8Array(4));
    server.files.set('model.bin', BYTES.slice(1));
    await expect(file.read(0, new Uint8Array(4))).rejects.toThrow(
      /model\.bin: expected a file, got a file that changed while it was read \(HTTP 206, 1999999 bytes after 2000000\)/,
    );
  });

  it('reports a server that does not answer', async () => {
    const directory = await serve();
    await server.close();
    await expect(directory.open('model.bin')).rejects.toThrow(CheckpointError);
    await expect(directory.has('model.bin')).rejects.toThrow(
      /model\.bin: expected a file, got no answer from the server/,
    );
  });
});

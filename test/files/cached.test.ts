/** A folder that is downloaded once: interruptions, lying servers, damage, room; then without the server. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CheckpointError, ConfigError, EnvironmentError, StorageError } from '../../src/errors.ts';
import {
  cachedDirectory,
  type Directory,
  type DownloadProgress,
  fileManifest,
  memoryDirectory,
  openDirectory,
} from '../../src/files/index.ts';
import { type FileServer, type ServerFaults, serveFiles } from './server.ts';

const PART = 4 * 1024 * 1024;
/** Two parts and a bit. */
const LARGE = new Uint8Array(2 * PART + 777).map((_, i) => (i * 31) ^ (i >>> 9));
const FILES = {
  'config.json': '{"a": 1}',
  'empty.txt': '',
  'sub/é x.bin': new Uint8Array([1, 2, 3]),
  'model.bin': LARGE,
};
const hashOf = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
const HASHES = Object.fromEntries(Object.entries(FILES).map(([path, content]) => [path, hashOf(content)]));
const MANIFEST = JSON.stringify({
  files: Object.fromEntries(
    Object.entries(FILES).map(([path, content]) => [
      path,
      { size: Buffer.from(content).length, sha256: hashOf(content) },
    ]),
  ),
});

let server: FileServer;
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanUp.splice(0)) await each();
});

async function serve(faults: ServerFaults = {}, files: Record<string, string | Uint8Array> = FILES): Promise<string> {
  server = await serveFiles({ ...files, 'files.json': MANIFEST }, faults);
  cleanUp.push(() => server.close());
  return server.url;
}

async function expectAll(folder: Directory): Promise<void> {
  expect(await folder.list()).toEqual(['config.json', 'empty.txt', 'model.bin', 'sub/']);
  for (const [path, content] of Object.entries(FILES)) {
    expect(Buffer.compare(await folder.readBytes(path), Buffer.from(content)), path).toBe(0);
  }
}

const requestsOf = (path: string) => server.requests.filter((request) => request.split(' ')[1] === path);

describe('downloading', () => {
  it.each(['memory', 'disk'])('keeps every file, and needs no network afterwards (%s)', async (kind) => {
    const url = await serve();
    const path = await mkdtemp(join(tmpdir(), 'lanewise-cache-'));
    cleanUp.push(() => rm(path, { recursive: true }));
    const store = kind === 'memory' ? memoryDirectory() : await openDirectory(join(path, 'new/store'));
    const seen: DownloadProgress[] = [];
    await expectAll(await cachedDirectory(url, { store, onProgress: (progress) => seen.push(progress) }));
    const total = Object.values(FILES).reduce((sum, content) => sum + content.length, 0);
    expect(seen.at(-1)).toEqual({ file: 'model.bin', loadedBytes: total, totalBytes: total });
    expect(seen.every((each, i) => i === 0 || each.loadedBytes >= seen[i - 1]!.loadedBytes)).toBe(true);

    await server.close();
    const offline = await cachedDirectory(url, { store });
    await expectAll(offline);
    const file = await offline.open('model.bin');
    const middle = new Uint8Array(3000);
    await file.read(PART - 1000, middle);
    expect(Buffer.compare(middle, LARGE.subarray(PART - 1000, PART + 2000))).toBe(0);
    expect(await (await offline.subdirectory('sub')).list()).toEqual(['é x.bin']);
    await expect(offline.write('x', '')).rejects.toThrow(EnvironmentError);
    await expect(offline.remove('config.json')).rejects.toThrow(EnvironmentError);
    await expect(offline.open('missing')).rejects.toThrow(CheckpointError);
  });

  it('downloads what the caller names, and nothing else', async () => {
    const url = await serve();
    const folder = await cachedDirectory(url, {
      store: memoryDirectory(),
      sha256: { 'config.json': HASHES['config.json']!.toUpperCase() },
    });
    expect(await folder.list()).toEqual(['config.json']);
    expect(server.requests).toEqual(['GET config.json bytes=0-']);
  });

  it('finds the files of a model where there is no list', async () => {
    const url = await serve(
      {},
      {
        'config.json': '{}',
        'vocab.json': '{}',
        'model.safetensors.index.json': '{"weight_map":{"a":"m-1","b":"m-2","c":"m-1"}}',
        'm-1': '1',
        'm-2': '2',
      },
    );
    server.files.delete('files.json');
    const seen: DownloadProgress[] = [];
    const folder = await cachedDirectory(url, {
      store: memoryDirectory(),
      onProgress: (progress) => seen.push(progress),
    });
    expect(await folder.list()).toEqual(['config.json', 'm-1', 'm-2', 'model.safetensors.index.json', 'vocab.json']);
    expect(seen.at(-1)!.loadedBytes).toBe(seen.at(-1)!.totalBytes);
    server.files.delete('config.json');
    await expect(cachedDirectory(url, { store: memoryDirectory() })).rejects.toThrow(
      'config.json: expected a file, got none.',
    );
  });

  it.each([{ noRanges: true }, { hideRange: true }])('works with a server of less ability: %j', async (faults) => {
    await expectAll(await cachedDirectory(await serve(faults), { store: memoryDirectory() }));
  });

  it('makes the list that it reads', async () => {
    const model = memoryDirectory({ ...FILES, 'files.json': 'old' });
    const { files } = await fileManifest(model);
    const { 'sub/é x.bin': _, ...direct } = (JSON.parse(MANIFEST) as { files: Record<string, unknown> }).files;
    expect(files).toEqual(direct);
  });
});

describe('interruptions', () => {
  it('goes on where a connection broke off, at the very byte', async () => {
    const url = await serve({ cutAfter: 3_000_000 });
    const folder = await cachedDirectory(url, { store: memoryDirectory() });
    await expectAll(folder);
    const starts = requestsOf('model.bin').map((request) => Number(/bytes=(\d+)-/.exec(request)![1]));
    expect(starts[0]).toBe(0);
    expect(starts).toHaveLength(3);
    expect(starts.every((start, i) => i === 0 || start > starts[i - 1]!)).toBe(true);
  });

  it('gives up on a server that brings nothing, and goes on from whole parts in a later call', async () => {
    const faults: ServerFaults = { cutAfter: 5_000_000 };
    const url = await serve(faults);
    const store = memoryDirectory();
    await expect(cachedDirectory(url, { store, retries: 0 })).rejects.toThrow(
      new RegExp(
        `model\\.bin: expected a file, got .*, 1 times in a row\\. ${PART} bytes of it are kept; check the connection`,
      ),
    );
    delete faults.cutAfter;
    server.requests.length = 0;
    const seen: number[] = [];
    await expectAll(await cachedDirectory(url, { store, onProgress: ({ loadedBytes }) => seen.push(loadedBytes) }));
    expect(requestsOf('model.bin')).toEqual([`GET model.bin bytes=${PART}-`]);
    expect(requestsOf('config.json')).toEqual([]);
    expect(seen[0]).toBeGreaterThanOrEqual(PART);
  });

  it('stops by its signal with the reason, and keeps what has arrived', async () => {
    const url = await serve();
    const store = memoryDirectory();
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = ({ loadedBytes }: DownloadProgress) => loadedBytes > PART + 100 && controller.abort(reason);
    await expect(cachedDirectory(url, { store, signal: controller.signal, onProgress })).rejects.toBe(reason);
    await expect(cachedDirectory(url, { store, signal: controller.signal })).rejects.toBe(reason);
    server.requests.length = 0;
    await expectAll(await cachedDirectory(url, { store }));
    expect(requestsOf('model.bin')).toEqual([`GET model.bin bytes=${PART}-`]);
  });

  it('tries again after a busy server, and not after a missing file', async () => {
    const faults: ServerFaults = {};
    const url = await serve(faults);
    const hashes = { 'model.bin': HASHES['model.bin']! };
    faults.status = 503;
    await expect(cachedDirectory(url, { store: memoryDirectory(), sha256: hashes, retries: 1 })).rejects.toThrow(
      'HTTP 503, 2 times in a row',
    );
    expect(requestsOf('model.bin')).toHaveLength(2);
    faults.status = 404;
    await expect(cachedDirectory(url, { store: memoryDirectory(), sha256: hashes })).rejects.toThrow(
      'model.bin: expected a file, got HTTP 404.',
    );
    expect(requestsOf('model.bin')).toHaveLength(3);
  });
});

describe('what is not what was announced', () => {
  /** After the error nothing of the file is left, and a mended server gives the right one. */
  async function expectRefused(
    store: Directory,
    url: string,
    message: string | RegExp,
    mend: () => void,
  ): Promise<void> {
    const attempt = cachedDirectory(url, { store });
    await expect(attempt).rejects.toThrow(CheckpointError);
    await expect(attempt).rejects.toThrow(message);
    expect(await (await store.subdirectory('model.bin.parts')).list()).toEqual([]);
    expect(await store.has('cache.json')).toBe(false);
    mend();
    await expectAll(await cachedDirectory(url, { store }));
  }

  it('refuses other bytes of the same size', async () => {
    const url = await serve();
    const other = LARGE.slice();
    other[PART + 5]! ^= 1;
    server.files.set('model.bin', other);
    const message = `got a file with sha256 ${hashOf(other)} where ${HASHES['model.bin']} is expected. What was downloaded of it is removed;`;
    await expectRefused(memoryDirectory(), url, message, () => server.files.set('model.bin', LARGE));
  });

  it('refuses another size', async () => {
    const url = await serve();
    server.files.set('model.bin', LARGE.slice(1));
    const message = `a file that changed on the server (${LARGE.length - 1} bytes where ${LARGE.length} are expected)`;
    await expectRefused(memoryDirectory(), url, message, () => server.files.set('model.bin', LARGE));
  });

  it('refuses a range that begins elsewhere', async () => {
    const faults: ServerFaults = { shiftRange: 1 };
    const url = await serve(faults);
    const store = memoryDirectory();
    await expect(cachedDirectory(url, { store })).rejects.toThrow('a range that begins at 1 where 0 was asked for');
    expect(await store.has('cache.json')).toBe(false);
  });

  it('refuses more bytes than were announced', async () => {
    const faults: ServerFaults = { surplus: 10 };
    const url = await serve(faults);
    await expect(cachedDirectory(url, { store: memoryDirectory() })).rejects.toThrow(
      'config.json: expected the file that was announced, got more than the 8 bytes that were announced.',
    );
  });

  it.each(['another ETag', 'fewer bytes'])('refuses a file that changed between two calls: %s', async (change) => {
    const faults: ServerFaults = { cutAfter: 5_000_000, etag: '"1"' };
    const url = await serve(faults);
    const store = memoryDirectory();
    await expect(cachedDirectory(url, { store, retries: 0 })).rejects.toThrow('are kept');
    delete faults.cutAfter;
    if (change === 'another ETag') faults.etag = '"2"';
    else server.files.set('model.bin', LARGE.slice(0, 1000));
    const message =
      change === 'another ETag' ? 'changed on the server (ETag "2" after "1")' : `a file that ends before byte ${PART}`;
    await expectRefused(store, url, message, () => server.files.set('model.bin', LARGE));
  });

  it('refuses to mix two addresses in a store', async () => {
    const store = memoryDirectory();
    await cachedDirectory(await serve(), { store });
    await expect(cachedDirectory('http://other/', { store })).rejects.toThrow(ConfigError);
  });

  it('downloads again what has another hash than the caller now wants', async () => {
    const url = await serve();
    const store = memoryDirectory();
    await cachedDirectory(url, { store });
    server.files.set('config.json', Buffer.from('{"a": 2}'));
    const folder = await cachedDirectory(url, { store, sha256: { 'config.json': hashOf('{"a": 2}') } });
    expect(await folder.readText('config.json')).toBe('{"a": 2}');
  });

  it.each([
    ['{', 'text that is not JSON'],
    ['{"files": {}}', 'no files'],
    ['{"files": {"a": {"size": -1, "sha256": ""}}}', 'for a.'],
    ['{"files": {"../a": {"size": 1, "sha256": ""}}}', "the step '..'"],
  ])('refuses the list %s', async (text, message) => {
    const url = await serve();
    server.files.set('files.json', Buffer.from(text));
    await expect(cachedDirectory(url, { store: memoryDirectory() })).rejects.toThrow(CheckpointError);
    await expect(cachedDirectory(url, { store: memoryDirectory() })).rejects.toThrow(message);
  });

  it('refuses hashes that are none', async () => {
    const options = { store: memoryDirectory(), sha256: { a: 'abc' } };
    await expect(cachedDirectory('http://host/', options)).rejects.toThrow(ConfigError);
    await expect(cachedDirectory('http://host/', { store: memoryDirectory(), retries: -1 })).rejects.toThrow(
      RangeError,
    );
  });
});

describe('the store', () => {
  it('finds damage of a stored part when it is read', async () => {
    const url = await serve();
    const store = memoryDirectory();
    const folder = await cachedDirectory(url, { store });
    const part = await store.readBytes('model.bin.parts/000001');
    part[9]! ^= 4;
    await store.write('model.bin.parts/000001', part);
    const file = await folder.open('model.bin');
    await file.read(0, new Uint8Array(PART));
    await expect(file.read(PART, new Uint8Array(1))).rejects.toThrow(CheckpointError);
    await expect(file.read(PART, new Uint8Array(1))).rejects.toThrow(
      /model\.bin: expected part 1 with sha256 .* The stored bytes were damaged/,
    );
  });

  it('says before it downloads that there is no room', async () => {
    const url = await serve();
    const store = Object.assign(memoryDirectory(), { freeBytes: async () => 5_000_000 });
    const error = await cachedDirectory(url, { store }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(StorageError);
    const { requestedBytes, freeBytes, message } = error as StorageError;
    expect(requestedBytes).toBe(LARGE.length + 11);
    expect(freeBytes).toBe(5_000_000);
    expect(message).toContain(`memory:: expected room for ${requestedBytes} bytes, got 5000000 free bytes.`);
    expect(requestsOf('model.bin')).toEqual([]);
  });

  it('knows how much a disk has free, also below a folder that is not there yet', async () => {
    const there = await openDirectory(tmpdir());
    const free = await there.freeBytes!();
    expect(free).toBeGreaterThan(0);
    const below = await (await openDirectory(join(tmpdir(), 'lanewise-none/none'))).subdirectory('none');
    expect(await below.freeBytes!()).toBeGreaterThan(0);
  });
});

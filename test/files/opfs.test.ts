/** The browser's private file system, in Chromium: a folder like the others, quota, and downloads that survive a reload. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { build } from 'rolldown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DownloadProgress, opfsDirectory } from '../../src/files/index.ts';
import { chromiumMissing, launchChromium } from '../support/chromium.ts';
import { type FileServer, type ServerFaults, serveFiles } from './server.ts';

type Files = typeof import('../../src/files/index.ts');
declare const files: Files;
declare function allArrived(): void;

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The files layer as one module that a page imports. */
async function bundle(): Promise<string> {
  const { output } = await build({
    input: `${root}src/files/index.ts`,
    external: [/^node:/],
    write: false,
    output: { format: 'es', codeSplitting: false },
  });
  return output[0].code;
}

describe('outside a browser', () => {
  it('says what it needs', async () => {
    await expect(opfsDirectory('a')).rejects.toThrow(
      'opfs:/a: expected a browser with a private file system (OPFS), got a host without one.',
    );
    await expect(opfsDirectory('../a')).rejects.toThrow("the step '..'");
  });
});

describe.skipIf(chromiumMissing)(`in Chromium${chromiumMissing ? ` (skipped: ${chromiumMissing})` : ''}`, () => {
  let browser: Browser;
  let page: Page;
  let server: Server;
  let models: FileServer;
  let address = '';

  beforeAll(async () => {
    const code = await bundle();
    server = createServer(async (request, response) => {
      if (request.url?.startsWith('/models/')) {
        // Through this origin, so that no CORS comes in.
        const { range } = request.headers;
        const answer = await fetch(`${models.url}${request.url.slice('/models'.length)}`, {
          method: request.method ?? 'GET',
          ...(range ? { headers: { range } } : {}),
        });
        const headers = ['content-length', 'content-range', 'etag'].flatMap((name) => {
          const value = answer.headers.get(name);
          return value === null ? [] : [[name, value]];
        });
        response.writeHead(answer.status, Object.fromEntries(headers));
        try {
          for await (const piece of answer.body ?? []) response.write(piece);
          response.end();
        } catch {
          response.destroy();
        }
        return;
      }
      const isScript = request.url === '/files.js';
      response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
      response.end(
        isScript ? code : '<!doctype html><script type="module">window.files = await import("/files.js")</script>',
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    browser = await launchChromium();
    page = await browser.newPage();
    await open();
  });

  afterAll(async () => {
    await browser?.close();
    await new Promise((resolve) => server.close(resolve));
    await models?.close();
  });

  async function open(): Promise<void> {
    await page.goto(address);
    await page.waitForFunction(() => 'files' in globalThis);
  }

  it('writes, reads, lists, steps into folders and removes', async () => {
    const seen = await page.evaluate(async () => {
      const folder = await files.opfsDirectory('first/test');
      const large = new Uint8Array(9_000_017).map((_, i) => (i * 31) ^ (i >>> 8));
      async function* pieces() {
        const buffer = new Uint8Array(3_000_000);
        for (let at = 0; at < large.length; at += buffer.length) {
          const part = large.subarray(at, at + buffer.length);
          buffer.set(part);
          yield buffer.subarray(0, part.length);
        }
      }
      await folder.write('large.bin', pieces());
      await folder.write('a b/größe €.txt', 'größe 😀');
      await folder.write('empty', '');
      const file = await folder.open('large.bin');
      const middle = new Uint8Array(5_000_000);
      await file.read(77, middle);
      const deep = await folder.subdirectory('a b');
      const result = {
        name: deep.name,
        list: await folder.list(),
        deep: await deep.list(),
        none: await (await folder.subdirectory('none')).list(),
        text: await deep.readText('größe €.txt'),
        empty: (await folder.readBytes('empty')).length,
        isSame: middle.every((byte, i) => byte === large[77 + i]),
        has: [await folder.has('empty'), await folder.has('a b'), await folder.has('empty/x'), await folder.has('x')],
        isFree: ((await deep.freeBytes!()) ?? 0) > 0,
      };
      await folder.remove('a b');
      await folder.remove('never/there');
      return { ...result, after: await folder.list() };
    });
    expect(seen).toEqual({
      name: 'opfs:/first/test/a b',
      list: ['a b/', 'empty', 'large.bin'],
      deep: ['größe €.txt'],
      none: [],
      text: 'größe 😀',
      empty: 0,
      isSame: true,
      has: [true, false, false, false],
      isFree: true,
      after: ['empty', 'large.bin'],
    });
  });

  it('keeps the old file when the content fails, and says what it refuses', async () => {
    const seen = await page.evaluate(async () => {
      const folder = await files.opfsDirectory('second');
      const messageOf = (work: Promise<unknown>) =>
        work.then(
          () => 'nothing',
          (error) => `${error.name}: ${error.message}`,
        );
      await folder.write('kept', 'old');
      async function* failing() {
        yield new Uint8Array(10);
        throw new Error('boom');
      }
      return {
        boom: await messageOf(folder.write('kept', failing())),
        fresh: await messageOf(folder.write('new', failing())),
        kept: await folder.readText('kept'),
        list: await folder.list(),
        missing: await messageOf(folder.open('missing')),
        below: await messageOf(folder.write('kept/x', '1')),
        unsafe: await messageOf(folder.write('../x', '1')),
      };
    });
    expect(seen).toMatchObject({ boom: 'Error: boom', fresh: 'Error: boom', kept: 'old', list: ['kept'] });
    expect(seen.missing).toBe('CheckpointError: opfs:/second/missing: expected a file, got none. Check the path.');
    expect(seen.below).toMatch(/^EnvironmentError: opfs:\/second\/kept\/x: expected a place that can be written, got/);
    expect(seen.unsafe).toMatch(/^CheckpointError: .*the step '\.\.'/);
  });

  it('says how much is needed and how much is free when it is full', async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: address, quotaSize: 12_000_000 });
    const seen = await page.evaluate(async () => {
      const folder = await files.opfsDirectory('third');
      const error = await folder.write('big', new Uint8Array(20_000_000)).then(
        () => undefined,
        (reason) => reason,
      );
      const { name, message, requestedBytes, freeBytes } = error;
      return { name, message, requestedBytes, freeBytes, list: await folder.list() };
    });
    await session.send('Storage.overrideQuotaForOrigin', { origin: address });
    expect(seen).toMatchObject({ name: 'StorageError', list: [] });
    expect(seen.requestedBytes).toBeGreaterThan(1_000_000);
    expect(seen.requestedBytes).toBeLessThanOrEqual(20_000_000);
    expect(seen.freeBytes).toBeGreaterThanOrEqual(0);
    expect(seen.message).toBe(
      `opfs:/third/big: expected room for at least ${seen.requestedBytes} bytes, got a full storage or disk ` +
        `(the browser reports ${seen.freeBytes} free bytes). ` +
        'Remove models that are no longer needed, or free space on the disk.',
    );
  });

  it('goes on with a download after a reload, and needs no network afterwards', async () => {
    const large = new Uint8Array(9_000_000).map((_, i) => (i * 7) ^ (i >>> 11));
    const faults: ServerFaults = { cutAfter: 5_000_000 };
    let allArrive: () => void;
    faults.cutWhen = new Promise((resolve) => {
      allArrive = resolve;
    });
    await page.exposeFunction('allArrived', () => allArrive());
    models = await serveFiles({ 'config.json': '{}', 'model.safetensors': large }, faults);
    const url = `${address}models/`;
    const failed = await page.evaluate(async (url) => {
      const store = await files.opfsDirectory('models/x');
      const onProgress = ({ loadedBytes }: DownloadProgress) => {
        if (loadedBytes >= 5_000_000) allArrived();
      };
      return files.cachedDirectory(url, { store, retries: 0, onProgress }).then(
        () => 'nothing',
        (error) => error.message,
      );
    }, url);
    expect(failed).toMatch(/ 4194304 bytes of it are kept; check the connection and call again to continue\./);
    delete faults.cutAfter;
    models.requests.length = 0;
    await open();
    const sum = (bytes: Uint8Array) => bytes.reduce((total, byte, i) => (total * 31 + byte + i) >>> 0, 0);
    const load = () =>
      page.evaluate(async (url) => {
        const folder = await files.cachedDirectory(url, { store: await files.opfsDirectory('models/x') });
        const bytes = await folder.readBytes('model.safetensors');
        return bytes.reduce((total, byte, i) => (total * 31 + byte + i) >>> 0, 0);
      }, url);
    expect(await load()).toBe(sum(large));
    expect(models.requests.filter((request) => request.startsWith('GET model'))).toEqual([
      'GET model.safetensors bytes=4194304-',
    ]);
    await open();
    await page.context().setOffline(true);
    expect(await load()).toBe(sum(large));
    await page.context().setOffline(false);
  });
});

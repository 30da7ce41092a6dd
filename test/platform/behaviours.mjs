/**
 * What a page sees of its engine, in Chromium: it stays fluent, errors are typed, nothing hangs when a worker is ended, and
 * nothing stays behind. Each check is a function that runs on the page, and a line that says what was found.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';
import { servePages } from './serve.mjs';

/** A frame every 20 ms, while a model computes. */
const LEAST_FRAMES_PER_SECOND = 50;
const MOST_MEMORY_CHANGE = 0.05;
const ENGINE_WORKER = '/dist/runtime/engine-worker.js';

/** What the page's own functions use; page.evaluate sends them as text. */
/* global lanewise */

/** @typedef {import('playwright-core').Page} Page */

/**
 * @typedef {object} Caught
 * @property {string} name
 * @property {string} message
 * @property {boolean} typed whether it is of lanewise's class of that name
 * @property {number} [requestedBytes]
 * @property {number} [milliseconds] until it came
 */

/**
 * @param {unknown} condition
 * @param {string} what
 * @param {unknown} found
 */
function check(condition, what, found) {
  if (!condition) throw new Error(`expected ${what}, got ${JSON.stringify(found)}`);
}

/**
 * @param {Caught} caught
 * @param {string} name
 * @param {RegExp} text
 */
function checkError(caught, name, text) {
  check(caught.typed && caught.name === name && text.test(caught.message), `${name} with ${text}`, caught);
}

/** Defines what the checks share, before the page's own scripts. */
function prepare() {
  const scope = /** @type {any} */ (globalThis);
  scope.TINY = { nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64, vocabSize: 96, seed: 3 };
  scope.caught = async (/** @type {() => Promise<unknown>} */ action) => {
    const started = performance.now();
    try {
      await action();
      return { name: 'nothing', message: '', typed: false };
    } catch (error) {
      const { name, message, requestedBytes } = /** @type {any} */ (error);
      const typed = error instanceof (scope.lanewise[name] ?? Object);
      return { name, message, requestedBytes, typed, milliseconds: performance.now() - started };
    }
  };
  scope.tokensOf = async (/** @type {any} */ model, /** @type {number} */ seed) => {
    const found = [];
    for await (const { tokenId } of scope.lanewise.generateTokens(model, [[1, 2, 3]], { maxNewTokens: 40, seed }))
      found.push(tokenId);
    return found.join();
  };
  // The workers of the page, so that they can be ended as a browser ends them.
  scope.workers = [];
  const Original = scope.Worker;
  scope.Worker = class extends Original {
    constructor(/** @type {any[]} */ ...args) {
      super(...args);
      scope.workers.push(this);
    }
  };
}

/** Resident memory of a process and all below it, in bytes: what is its own, or shared with its children. */
function memoryOf(/** @type {number} */ pid) {
  /** @type {Map<number, { parent: number, bytes: number }>} */
  const processes = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const field = (/** @type {string} */ key) => Number(new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(status)?.[1] ?? 0);
      processes.set(Number(name), { parent: field('PPid'), bytes: field('RssAnon') * 1024 });
    } catch {
      // It has ended.
    }
  }
  /** @type {(pid: number) => boolean} */
  const isBelow = (one) => one === pid || (processes.has(one) && one > 1 && isBelow(processes.get(one)?.parent ?? 0));
  return [...processes].reduce((sum, [one, { bytes }]) => sum + (isBelow(one) ? bytes : 0), 0);
}

/**
 * @param {string} executablePath of Chromium
 * @param {string} firefoxPath
 * @returns {Promise<string[]>} a line for each check
 */
export async function checkBehaviours(executablePath, firefoxPath) {
  const server = await chromium.launchServer({ executablePath, args: ['--no-sandbox'] });
  const browser = await chromium.connect(server.wsEndpoint());
  const pid = server.process().pid ?? 0;
  /** @type {string[]} */
  const lines = [];

  /**
   * A page of a server of its own, for one check.
   * @param {string} name
   * @param {Partial<Parameters<typeof servePages>[0]>} options
   * @param {(page: Page) => Promise<string>} run
   */
  async function on(name, options, run) {
    const pages = await servePages({ isolated: true, ...options });
    const page = await browser.newPage();
    try {
      await page.addInitScript(prepare);
      await page.goto(`${pages.url}/test/platform/page.html`);
      await page.waitForFunction('globalThis.lanewise !== undefined');
      const line = `ok  ${name}: ${await run(page)}`;
      console.error(line);
      lines.push(line);
    } catch (error) {
      throw new Error(`${name}: ${error instanceof Error ? error.message : error}`);
    } finally {
      await page.close();
      await pages.close();
    }
  }

  /** @param {string} before */
  const intoEngineWorker = (before) => ({
    prefix: (/** @type {string} */ path) => (path === ENGINE_WORKER ? before : ''),
  });

  try {
    for (const isolated of [true, false])
      await on(`frames while 124M reads 512 tokens, ${isolated ? '' : 'not '}isolated`, { isolated }, async (page) => {
        const found = await page.evaluate(frames);
        check(found.framesPerSecond >= LEAST_FRAMES_PER_SECOND, `at least ${LEAST_FRAMES_PER_SECOND} frames/s`, found);
        const { framesPerSecond, longest, seconds, info } = found;
        return `${framesPerSecond.toFixed(1)} frames/s, longest gap ${longest.toFixed(0)} ms, in ${seconds.toFixed(1)} s; ${info.binary}, ${info.threads} threads`;
      });

    await on('worker ended while it computes', {}, async (page) => {
      const { during, after, again } = await page.evaluate(killedWhileRunning);
      for (const caught of [during, after])
        checkError(caught, 'EngineError', /its worker to live as long as the model/);
      check(again.length > 0, 'another model to run', again);
      return `EngineError after ${during.milliseconds?.toFixed(0)} ms; another model runs`;
    });

    await on('worker ended while it waits', { isolated: false }, async (page) => {
      const caught = await page.evaluate(killedWhileIdle);
      checkError(caught, 'EngineError', /thread 0 ended/);
      return 'EngineError at the next call';
    });

    const killThread = `const Original = Worker; const all = [];
self.Worker = class extends Original { constructor(...args) { super(...args); all.push(this); } };
addEventListener('message', ({ data }) => { if (data.kill) { all[data.kill - 1].terminate(); } });
`;
    await on('a thread of the engine ended', intoEngineWorker(killThread), async (page) => {
      const caught = await page.evaluate(killedThread);
      checkError(caught, 'EngineError', /thread 1 ended/);
      return `EngineError after ${caught.milliseconds?.toFixed(0)} ms`;
    });

    await on("a thread of a program's own worker ended", {}, async (page) =>
      ownWorkerLine(await page.evaluate(ownWorker)),
    );

    await on('more memory than there is', {}, async (page) => {
      const caught = await page.evaluate(tooLarge);
      checkError(caught, 'MemoryError', /WebAssembly memory ends at 4,096 MiB/);
      return 'MemoryError before anything is allocated';
    });

    const refuse =
      "WebAssembly.Memory.prototype.grow = () => { throw new RangeError('Unable to grow instance memory'); };\n";
    await on('memory refused by the browser', intoEngineWorker(refuse), async (page) => {
      const caught = await page.evaluate(refused);
      checkError(caught, 'MemoryError', /of memory from the host, got a refusal/);
      check((caught.requestedBytes ?? 0) > 0, 'how many bytes were asked for', caught);
      return `MemoryError of ${caught.requestedBytes} bytes`;
    });

    await on('disposed twice, and while it computes', {}, async (page) => {
      const { during, after } = await page.evaluate(disposedTwice);
      for (const caught of [during, after]) checkError(caught, 'DisposedError', /a disposed one/);
      return 'DisposedError, also of what was under way';
    });

    await on('two models at once', {}, async (page) => {
      const { alone, together } = await page.evaluate(twoModels);
      check(alone.join(' | ') === together.join(' | '), alone.join(' | '), together);
      return 'each writes what it writes alone';
    });

    await on('more weights than may wait for the worker', {}, async (page) => {
      const { saved, loaded, MiB } = await page.evaluate(large);
      check(saved.join() === loaded.join(), `the weights that were saved, ${saved.join()}`, loaded);
      return `${MiB} MiB stream in, all in their places`;
    });

    await on('a policy without WebAssembly', { policy: "script-src 'self'" }, async (page) => {
      checkError(await page.evaluate(tiny), 'EnvironmentError', /Add 'wasm-unsafe-eval' to script-src/);
      return 'EnvironmentError that names it';
    });

    await on(
      'a policy without workers',
      { policy: "script-src 'self' 'wasm-unsafe-eval'; worker-src 'none'" },
      async (page) => {
        checkError(await page.evaluate(tiny), 'EnvironmentError', /worker of this package to start.*worker-src 'self'/);
        return 'EnvironmentError that names it';
      },
    );

    for (const code of ['WebAssembly.validate = () => false;\n', 'delete globalThis.WebAssembly;\n'])
      await on(`a browser that does: ${code.trim()}`, intoEngineWorker(code), async (page) => {
        checkError(
          await page.evaluate(tiny),
          'EnvironmentError',
          /expected WebAssembly SIMD, got a runtime without it/,
        );
        return 'EnvironmentError that names it';
      });

    const missing = (/** @type {string} */ gone) => ({
      prefix: (/** @type {string} */ path) => (path === gone ? undefined : ''),
    });
    await on("the worker's file is missing", missing(ENGINE_WORKER), async (page) => {
      checkError(await page.evaluate(tiny), 'EnvironmentError', /worker of this package to start/);
      return 'EnvironmentError';
    });

    await on('a binary is missing', missing('/wasm/simd128-threads.wasm'), async (page) => {
      checkError(await page.evaluate(tiny), 'EnvironmentError', /simd128-threads\.wasm, got HTTP 404/);
      return 'EnvironmentError that names it';
    });

    for (const isolated of [true, false])
      await on(`100 rounds of load and dispose, ${isolated ? '' : 'not '}isolated`, { isolated }, async (page) => {
        const session = await page.context().newCDPSession(page);
        const settled = async () => {
          await session.send('HeapProfiler.collectGarbage');
          await new Promise((resolve) => setTimeout(resolve, 1000));
          return memoryOf(pid);
        };
        await page.evaluate(rounds, 20);
        const before = Math.max(await settled(), await settled(), await settled());
        await page.evaluate(rounds, 100);
        let after = await settled();
        for (let wait = 0; wait < 20 && after > before * (1 + MOST_MEMORY_CHANGE); wait++) after = await settled();
        const change = after / before - 1;
        check(change <= MOST_MEMORY_CHANGE, `memory to end within ${MOST_MEMORY_CHANGE * 100} %`, { before, after });
        const MiB = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
        return `${MiB(before)} before, ${MiB(after)} after (${(change * 100).toFixed(1)} %), all of the browser`;
      });
  } finally {
    await browser.close();
    await server.close();
  }
  lines.push(`ok  the tab is hidden: ${await hideTab(executablePath)}`);
  console.error(lines.at(-1));
  lines.push(`ok  a thread of a program's own worker ended, in Firefox: ${await endThreadInFirefox(firefoxPath)}`);
  console.error(lines.at(-1));
  return lines;
}

/** @param {Caught & { threads: number, thread: number }} found */
function ownWorkerLine(found) {
  checkError(found, 'EngineError', /its worker to live as long as the model, got: the worker of thread 1 ended/);
  check(found.threads === 2 && found.thread === 1, 'two threads, of which the second is gone', found);
  return `EngineError after ${found.milliseconds?.toFixed(0)} ms`;
}

/** @param {string} executablePath */
async function endThreadInFirefox(executablePath) {
  const pages = await servePages({ isolated: true });
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath });
  try {
    const page = await browser.newPage();
    await page.goto(`${pages.url}/test/platform/page.html`);
    return ownWorkerLine(await page.evaluate(ownWorker));
  } finally {
    await browser.close();
    await pages.close();
  }
}

/**
 * A tab that another one covers, which playwright's browsers do not count as hidden.
 * @param {string} executablePath
 */
async function hideTab(executablePath) {
  const pages = await servePages({ isolated: true });
  const browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    await page.evaluateOnNewDocument(prepare);
    await page.goto(`${pages.url}/test/platform/page.html`);
    await page.waitForFunction('globalThis.lanewise !== undefined');
    await page.evaluate(startWriting);
    await (await browser.newPage()).bringToFront();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const written = () => page.evaluate('[document.visibilityState, written.length]');
    const [state, before] = /** @type {[string, number]} */ (await written());
    check(state === 'hidden', 'a hidden tab', state);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    const [, after] = /** @type {[string, number]} */ (await written());
    check(after > before, 'more texts while the tab is hidden', { before, after });
    const { found, expected } = await page.evaluate(stopWriting);
    check(found === expected, expected, found);
    return `the model goes on (${after - before} texts in two seconds), with the same texts`;
  } finally {
    await browser.close();
    await pages.close();
  }
}

// What follows runs on the page.

async function frames() {
  const { lanewise } = /** @type {any} */ (globalThis);
  // GPT-2's own size; as many threads as there are cores, and at least two.
  const model = await lanewise.createModel('gpt2', { seed: 1, threads: Math.max(2, navigator.hardwareConcurrency) });
  const session = await lanewise.Session.create(model, { capacity: 512 });
  const tokens = Array.from({ length: 512 }, (_, i) => (i * 97) % 50257);
  const times = [performance.now()];
  let running = true;
  const clock = /** @type {HTMLElement} */ (document.getElementById('clock'));
  const tick = (/** @type {number} */ now) => {
    times.push(performance.now());
    clock.textContent = String(now); // something to draw
    if (running) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  await session.append([{ tokens }]);
  running = false;
  times.push(performance.now());
  const { info } = model.engine;
  model.dispose();
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1000;
  const longest = times.reduce((most, time, i) => Math.max(most, i > 0 ? time - (times[i - 1] ?? 0) : 0), 0);
  return { framesPerSecond: (times.length - 2) / seconds, longest, seconds, info };
}

async function killedWhileRunning() {
  const { lanewise, TINY, caught, tokensOf, workers } = /** @type {any} */ (globalThis);
  const model = await lanewise.createModel('gpt2', { ...TINY, nLayer: 12, nEmbd: 512, blockSize: 1024 });
  const session = await lanewise.Session.create(model);
  const tokens = Array.from({ length: 1000 }, (_, i) => i % 96);
  setTimeout(() => workers[0].terminate(), 50);
  const during = await caught(() => session.append([{ tokens }]));
  const after = await caught(() => model.readParameter(model.head.table));
  model.dispose();
  const other = await lanewise.createModel('gpt2', TINY);
  const again = await tokensOf(other, 1);
  other.dispose();
  return { during, after, again };
}

async function killedWhileIdle() {
  const { lanewise, TINY, caught, workers } = /** @type {any} */ (globalThis);
  const model = await lanewise.createModel('gpt2', TINY);
  workers[0].terminate();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  return caught(() => model.readParameter(model.head.table));
}

async function killedThread() {
  const { lanewise, TINY, caught, tokensOf, workers } = /** @type {any} */ (globalThis);
  const model = await lanewise.createModel('gpt2', { ...TINY, threads: 2 });
  workers[0].postMessage({ kill: 1, writes: [] });
  return caught(async () => {
    // A worker that is ended goes on for up to two seconds.
    for (const started = performance.now(); performance.now() - started < 20_000; ) await tokensOf(model, 1);
  });
}

/** What a program's own worker finds when one of its engine's threads is ended; nothing within a minute is a run that hangs. */
function ownWorker() {
  const worker = new Worker('./own-worker.js', { type: 'module' });
  return new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(`own-worker.js: ${message}`));
    setTimeout(() => reject(new Error('expected an answer within a minute, got none: the engine hangs')), 60_000);
    worker.postMessage('begin');
  });
}

function tooLarge() {
  const { lanewise, caught } = /** @type {any} */ (globalThis);
  return caught(() => lanewise.createModel('gpt2', { nLayer: 48, nHead: 25, nEmbd: 1600 }));
}

function refused() {
  const { lanewise, caught } = /** @type {any} */ (globalThis);
  return caught(() => lanewise.createModel('gpt2', { nLayer: 4, nHead: 4, nEmbd: 256, blockSize: 64, vocabSize: 96 }));
}

async function disposedTwice() {
  const { lanewise, TINY, caught } = /** @type {any} */ (globalThis);
  const model = await lanewise.createModel('gpt2', { ...TINY, nLayer: 12, nEmbd: 512, blockSize: 1024 });
  const session = await lanewise.Session.create(model);
  const tokens = Array.from({ length: 1000 }, (_, i) => i % 96);
  setTimeout(() => model.dispose(), 50);
  const during = await caught(() => session.append([{ tokens }]));
  model.dispose();
  model.dispose();
  return { during, after: await caught(() => model.readParameter(model.head.table)) };
}

async function twoModels() {
  const { lanewise, TINY, tokensOf } = /** @type {any} */ (globalThis);
  const open = () =>
    Promise.all([lanewise.createModel('gpt2', TINY), lanewise.createModel('gpt2', { ...TINY, seed: 8 })]);
  const [a, b] = await open();
  const alone = [await tokensOf(a, 1), await tokensOf(b, 2)];
  a.dispose();
  b.dispose();
  const [c, d] = await open();
  const together = await Promise.all([tokensOf(c, 1), tokensOf(d, 2)]);
  c.dispose();
  d.dispose();
  return { alone, together };
}

/** Saves weights of more than 64 MiB, and loads them: sums over what was saved, and over what was loaded. */
async function large() {
  const { lanewise, TINY } = /** @type {any} */ (globalThis);
  const shape = { ...TINY, nLayer: 6, nEmbd: 768 };
  const folder = lanewise.memoryDirectory();
  /** Sums of each parameter, in a fixed order. */
  const sumsOf = async (/** @type {any} */ model) => {
    const sums = [];
    for (const { name } of model.parameters.list)
      sums.push(
        (await model.readParameter(name)).reduce(
          (/** @type {number} */ sum, /** @type {number} */ x, /** @type {number} */ i) => sum + x * (i % 7),
          0,
        ),
      );
    return sums;
  };
  const model = await lanewise.createModel('gpt2', shape);
  await model.save(folder);
  const saved = await sumsOf(model);
  model.dispose();
  const again = await lanewise.loadCausalLM(folder, { trainable: true });
  const loaded = await sumsOf(again);
  const MiB = Math.round((again.parameters.count * 4) / 2 ** 20);
  again.dispose();
  return { saved, loaded, MiB };
}

/** Writes texts of seeds 0, 1, … until it is stopped. */
async function startWriting() {
  const scope = /** @type {any} */ (globalThis);
  scope.model = await scope.lanewise.createModel('gpt2', scope.TINY);
  scope.written = [];
  scope.writing = (async () => {
    while (!scope.stopped) scope.written.push(await scope.tokensOf(scope.model, scope.written.length));
  })();
}

/** The texts that were written, and those that are written when asked for again. */
async function stopWriting() {
  const scope = /** @type {any} */ (globalThis);
  scope.stopped = true;
  await scope.writing;
  const expected = [];
  for (let seed = 0; seed < scope.written.length; seed++) expected.push(await scope.tokensOf(scope.model, seed));
  scope.model.dispose();
  return { found: scope.written.join(' | '), expected: expected.join(' | ') };
}

function tiny() {
  const { lanewise, TINY, caught } = /** @type {any} */ (globalThis);
  return caught(() => lanewise.createModel('gpt2', { ...TINY, precision: 'exact', threads: 2 }));
}

/** Loads and disposes a model of 13 MiB again and again. */
async function rounds(/** @type {number} */ count) {
  const { lanewise, TINY } = /** @type {any} */ (globalThis);
  const scope = /** @type {any} */ (globalThis);
  if (!scope.folder) {
    const model = await lanewise.createModel('gpt2', { ...TINY, nLayer: 4, nEmbd: 256 });
    scope.folder = lanewise.memoryDirectory();
    await model.save(scope.folder);
    model.dispose();
  }
  for (let round = 0; round < count; round++) {
    const model = await lanewise.loadCausalLM(scope.folder);
    for await (const _token of lanewise.generateTokens(model, [[1, 2, 3]], { maxNewTokens: 4 }));
    model.dispose();
    scope.workers.length = 0;
  }
}

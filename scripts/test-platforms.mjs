// Runs test/platform/ on every runtime and compares the digests of exact results with test/platform/hashes.json.
// Usage: node scripts/test-platforms.mjs [--only name,name] [--update]: all targets when none is named; --update writes hashes.json
// from Node's results. What a target needs is installed from npm into a cache outside of the project, Debian's browsers where
// this may be done (root in CI); otherwise the script says how to get them, and fails.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { checkBehaviours } from '../test/platform/behaviours.mjs';
import { servePages } from '../test/platform/serve.mjs';
import { prepare, root } from './prepare.mjs';
import { programPath } from './tools.mjs';

/**
 * One run of the suite.
 * @typedef {object} Result
 * @property {import('../src/runtime/backend.ts').BackendInfo} exact
 * @property {import('../src/runtime/backend.ts').BackendInfo} fast
 * @property {Record<string, string>} hashes
 * @property {Record<string, number>} deviations
 * @property {number} milliseconds
 */

/**
 * A runtime: how it is found, or undefined with a note on how to get it, and how the suite runs there.
 * @typedef {object} Target
 * @property {string} name
 * @property {() => Promise<Opened>} open
 */

/**
 * @typedef {object} Opened
 * @property {(threads: number) => Promise<Result>} run
 * @property {readonly number[]} threads what is asked for
 * @property {number} [most] threads that there must be at most, where they cannot be had
 * @property {() => Promise<unknown>} [close]
 */

/** Largest differences of `fast` from `exact`, as a share of the largest value: f32 rounds otherwise, q8 and q4 also quantize activations to fewer bits. */
const FAST_LIMITS = { f32: 1e-5, q8: 0.03, q4: 0.03, training: 1e-4 };
const HASHES = join(root, 'test/platform/hashes.json');
const SUITE_MILLISECONDS = 300_000;

/** What runs the suite on a command line, and with which arguments. */
const PROGRAMS = /** @type {const} */ ({
  'node-20': [],
  'node-22': [],
  'node-24': [],
  'node-26': [],
  deno: ['run', '--no-prompt', '--no-config', '--no-lock', '--allow-read'],
  bun: ['--no-install'],
});

/**
 * A browser of Debian's packages, installed when this is CI and root.
 * @param {string} name of the package
 */
function browserOf(name) {
  const path = `/usr/bin/${name}`;
  if (existsSync(path)) return path;
  const how = `apt-get install -y --no-install-recommends ${name} fonts-dejavu-core`; // neither draws text without a font
  if (!process.env.CI || process.getuid?.() !== 0) throw new Error(`${path} is missing. Get it with: ${how}`);
  console.error(`Installing ${name} …`);
  for (const command of ['apt-get update -qq', `${how} -qq`]) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const { status } = spawnSync('sh', ['-c', command], { env, stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error(`"${command}" failed with exit code ${status}`);
  }
  return path;
}

/** @returns {Target[]} */
function commandLineTargets() {
  return Object.entries(PROGRAMS).map(([name, args]) => ({
    name,
    async open() {
      const program = programPath(/** @type {keyof typeof PROGRAMS} */ (name));
      const main = join(root, 'test/platform/main.js');
      return {
        threads: [1, 2],
        async run(threads) {
          const options = { timeout: SUITE_MILLISECONDS, maxBuffer: 2 ** 24 };
          const { stdout } = await promisify(execFile)(program, [...args, main, String(threads)], options);
          return JSON.parse(stdout);
        },
      };
    },
  }));
}

/**
 * An edge entry in workerd.
 * @param {'workerd' | 'edge-light'} name of the entry, and of the export condition that leads to it
 * @param {string} query behind the names of binaries
 * @returns {Target}
 */
function workerdTarget(name, query = '') {
  return {
    name,
    async open() {
      const program = programPath('workerd');
      const folder = mkdtempSync(join(tmpdir(), 'lanewise-workerd-'));
      /** @param {string} path */
      const list = (path) => readdirSync(join(root, path)).map((name) => `${path}/${name}`);
      const modules = [
        `test/platform/${name}.js`, // the first is the main module
        'test/platform/suite.js',
        `dist/${name}.js`,
        ...list('dist/runtime').filter((path) => path.endsWith('.js')),
        'wasm/simd128.wasm',
        'wasm/relaxed.wasm',
      ];
      const lines = modules.map((path) => {
        const kind = path.endsWith('.wasm') ? 'wasm' : 'esModule';
        const called = kind === 'wasm' ? path + query : path;
        return `    (name = ${JSON.stringify(called)}, ${kind} = embed ${JSON.stringify(join(root, path))}),`;
      });
      const config = join(folder, 'config.capnp');
      writeFileSync(
        config,
        `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  modules = [
${lines.join('\n')}
  ],
);
`,
      );
      const child = spawn(program, ['serve', '--import-path=/', '--control-fd=3', config], {
        stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
      });
      /** @type {number} */
      const port = await new Promise((resolve, reject) => {
        child.once('exit', (code) => reject(new Error(`workerd ended with code ${code} before it listened`)));
        child.stdio[3]?.on('data', (/** @type {Buffer} */ data) => {
          const listening = /"event":"listen".*"port":(\d+)/.exec(data.toString());
          if (listening) resolve(Number(listening[1]));
        });
      });
      return {
        threads: [1, 2],
        most: 1,
        async run(threads) {
          const signal = AbortSignal.timeout(SUITE_MILLISECONDS);
          const response = await fetch(`http://127.0.0.1:${port}/?threads=${threads}`, { signal });
          if (!response.ok) throw new Error(await response.text());
          return JSON.parse(await response.text());
        },
        async close() {
          child.kill();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  };
}

/**
 * What the pages of both drivers have.
 * @typedef {object} Page
 * @property {(url: string) => Promise<unknown>} goto
 * @property {(expression: string) => Promise<unknown>} evaluate
 * @property {() => Promise<unknown>} close
 */

/** @param {Page} page */
const openedPage = (page) => page;

/** @returns {Target[]} */
function browserTargets() {
  const launchers = {
    async chromium() {
      const executablePath = browserOf('chromium');
      const { chromium } = await import('playwright-core');
      const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
      return { newPage: async () => openedPage(await browser.newPage()), close: () => browser.close() };
    },
    async firefox() {
      const executablePath = browserOf('firefox-esr');
      const { default: puppeteer } = await import('puppeteer-core');
      const browser = await puppeteer.launch({
        browser: 'firefox',
        executablePath,
        protocolTimeout: SUITE_MILLISECONDS,
      });
      return { newPage: async () => openedPage(await browser.newPage()), close: () => browser.close() };
    },
  };
  return Object.entries(launchers).flatMap(([browserName, launch]) =>
    [true, false].map((isolated) => ({
      name: isolated ? `${browserName}-isolated` : browserName,
      async open() {
        const browser = await launch();
        const server = await servePages({ isolated });
        return {
          threads: [1, 2],
          ...(isolated ? {} : { most: 1 }),
          async run(/** @type {number} */ threads) {
            const page = await browser.newPage();
            await page.goto(`${server.url}/test/platform/page.html`);
            const isIsolated = await page.evaluate('globalThis.crossOriginIsolated');
            if (isIsolated !== isolated) throw new Error(`expected crossOriginIsolated ${isolated}, got ${isIsolated}`);
            const result = await page.evaluate(`globalThis.runSuite(${threads})`);
            await page.close();
            return /** @type {Result} */ (result);
          },
          async close() {
            await browser.close();
            await server.close();
          },
        };
      },
    })),
  );
}

/**
 * What is wrong with a result, as text.
 * @param {Result} result
 * @param {Record<string, string>} expected
 * @param {number} threads
 */
function faultsOf({ exact, fast, hashes, deviations }, expected, threads) {
  const faults = [];
  for (const name of new Set([...Object.keys(expected), ...Object.keys(hashes)]))
    if (hashes[name] !== expected[name]) faults.push(`${name}: ${hashes[name]}, expected ${expected[name]}`);
  for (const [name, limit] of Object.entries(FAST_LIMITS)) {
    const found = deviations[name];
    if (!(found !== undefined && found <= limit))
      faults.push(`fast ${name} is ${found} away from exact, limit ${limit}`);
  }
  for (const { threads: found, notes } of [exact, fast]) {
    if (found !== threads) faults.push(`${found} threads ran, expected ${threads}`);
    if (notes.some((note) => note.includes('1 thread instead')) && threads > 1) faults.push(notes.join('; '));
  }
  if (exact.precision !== 'exact') faults.push(`precision ${exact.precision} ran instead of exact`);
  return faults;
}

const { values: options } = parseArgs({ options: { only: { type: 'string' }, update: { type: 'boolean' } } });
const targets = [
  ...commandLineTargets(),
  workerdTarget('workerd'),
  workerdTarget('edge-light', '?module'),
  ...browserTargets(),
];
const names = [...targets.map(({ name }) => name), 'behaviours'];
const wanted = options.only?.split(',') ?? names;
const unknown = wanted.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  console.error(`test:platforms: expected --only with names of ${names.join(', ')}, got ${unknown.join(', ')}.`);
  process.exit(2);
}
prepare();

/** @type {Record<string, string>} */
let expected = existsSync(HASHES) ? JSON.parse(readFileSync(HASHES, 'utf8')) : {};
/** @type {string[][]} */
const rows = [['target', 'runtime', 'threads', 'exact binary', 'hash', 'fast binary', 'f32 / q8 / q4 off', 'seconds']];
/** @type {string[]} */
const problems = [];
/** @type {string[]} */
const notes = [];

for (const { name, open } of targets) {
  if (!wanted.includes(name)) continue;
  /** @type {Opened | undefined} */
  let opened;
  try {
    opened = await open();
    for (const asked of opened.threads) {
      const result = await opened.run(asked);
      const threads = Math.min(asked, opened.most ?? asked);
      if (options.update && rows.length === 1) {
        expected = result.hashes;
        writeFileSync(HASHES, `${JSON.stringify(expected, null, 2)}\n`);
      }
      const faults = faultsOf(result, expected, threads);
      if (threads < asked && !result.exact.notes.some((note) => note.startsWith(`1 thread instead of ${asked}: `)))
        faults.push(`engine.info does not say why ${asked} threads were refused`);
      problems.push(...faults.map((fault) => `${name}, ${asked} threads: ${fault}`));
      notes.push(...[...result.exact.notes, ...result.fast.notes].map((note) => `${name}: ${note}`));
      const isEqual = Object.keys(expected).every((key) => expected[key] === result.hashes[key]);
      rows.push([
        name,
        result.exact.runtime,
        threads === asked ? String(threads) : `${threads} of ${asked}`,
        result.exact.binary,
        isEqual && faults.length === 0 ? 'ok' : 'NOT OK',
        result.fast.precision === 'fast' ? result.fast.binary : '—',
        ['f32', 'q8', 'q4'].map((dtype) => (result.deviations[dtype] ?? Number.NaN).toExponential(0)).join(' / '),
        (result.milliseconds / 1000).toFixed(1),
      ]);
      console.error(rows.at(-1)?.join('  '));
    }
  } catch (error) {
    problems.push(`${name}: ${error instanceof Error ? error.message : error}`);
    rows.push([name, '', '', '', 'NOT OK', '', '', '']);
  } finally {
    await opened?.close?.();
  }
}

const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
console.log(
  rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n'),
);
for (const note of new Set(notes)) console.log(`  ${note}`);
if (wanted.includes('behaviours')) {
  try {
    for (const line of await checkBehaviours(browserOf('chromium'), browserOf('firefox-esr'))) console.log(line);
  } catch (error) {
    problems.push(`behaviours: ${error instanceof Error ? error.message : error}`);
  }
}
for (const problem of problems) console.log(`NOT OK  ${problem}`);
console.log(problems.length === 0 ? 'All platforms compute the same bits.' : `${problems.length} problems.`);
process.exitCode = problems.length === 0 ? 0 : 1;

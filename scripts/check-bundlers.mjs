// The installed package in the hands of others' tools: publint and "Are the types wrong?" on the tarball; Vite's, esbuild's and
// wrangler's bundles of a small program, run in Chromium under a strict Content-Security-Policy and in workerd, with the bits
// of Node; what JSR would take.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './prepare.mjs';
import { programPath, toolFolder } from './tools.mjs';

// wrangler 4.86 runs on Node 20; 4.164 does not.
const TOOLS = ['publint@0.3.25', '@arethetypeswrong/cli@0.18.5', 'esbuild@0.28.2', 'wrangler@4.86.0'];
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";
const RUN_MILLISECONDS = 60_000;

/** The program: a model of fixed weights, and what its exact logits are. */
const HASH = `import { createModel, forward } from 'lanewise';
export async function logitsHash() {
  const shape = { nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 32, vocabSize: 96 };
  const model = await createModel('gpt2', { ...shape, seed: 1, precision: 'exact' });
  const { logits } = await forward(model, Array.from({ length: 20 }, (_, i) => (i * 37) % 96));
  const { runtime, binary } = model.engine.info;
  model.dispose();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', logits));
  return { hash: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join(''), runtime, binary };
}
`;
/** A page that starts page.js. */
export const PAGE = `<!doctype html><meta charset="utf-8"><title>lanewise</title><script type="module" src="./page.js"></script>\n`;
const PROGRAMS = {
  'hash.js': HASH,
  'node.js': `import { logitsHash } from './hash.js';\nconsole.log(JSON.stringify(await logitsHash()));\n`,
  'page.js': `import { logitsHash } from './hash.js';\nglobalThis.result = logitsHash();\n`,
  'worker.js': `import { logitsHash } from './hash.js';\nexport default { fetch: async () => Response.json(await logitsHash()) };\n`,
  'index.html': PAGE,
  'wrangler.json': JSON.stringify({ name: 'lanewise', main: 'worker.js', compatibility_date: '2026-01-01' }),
};

/**
 * @typedef {object} Answer
 * @property {string} hash
 * @property {string} runtime
 * @property {string} binary
 */

/**
 * Runs a program and gives what it prints; what it says goes into the error when it fails.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} cwd
 */
export function run(program, args, cwd) {
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' };
  try {
    return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = /** @type {{ stdout: string, stderr: string }} */ (error);
    throw new Error(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  }
}

/** What the server below serves. */
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.safetensors': 'application/octet-stream',
};

/**
 * Opens a built page in Chromium from an origin that serves these files with the policy, and no others.
 * @param {string} site
 * @param {string} path of the page
 * @param {Set<string>} [asked] receives the paths of the files that were asked for
 * @returns {Promise<Answer>} what the page puts into `result`
 */
export async function inChromium(site, path, asked) {
  const server = createServer(({ url = '/' }, response) => {
    const { pathname } = new URL(url, 'http://localhost');
    const file = join(site, pathname);
    const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file))];
    if (!type || !existsSync(file)) return void response.writeHead(404).end();
    asked?.add(pathname);
    response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(readFileSync(file));
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', () => listening(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const { chromium } = await import('playwright-core');
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath))
    throw new Error(`${executablePath} is missing: apt-get install chromium, or set CHROMIUM to another one.`);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(RUN_MILLISECONDS);
    /** @type {string[]} */
    const said = [];
    page.on('console', (message) => void said.push(message.text()));
    page.on('pageerror', (error) => void said.push(String(error)));
    await page.goto(`http://127.0.0.1:${port}/${path}`);
    await page.waitForFunction('globalThis.result !== undefined').catch((error) => {
      throw new Error(`${path}: expected the program to start, got ${said.join('; ') || error}`);
    });
    return await page.evaluate('globalThis.result');
  } finally {
    await browser.close();
    server.close();
  }
}

/**
 * Runs wrangler's bundle in workerd: the modules that it wrote, under the names that it gave them.
 * @param {string} folder
 * @returns {Promise<Answer>}
 */
async function inWorkerd(folder) {
  const names = readdirSync(folder).filter((name) => /\.(js|wasm)$/.test(name));
  names.sort((a, b) => Number(b === 'worker.js') - Number(a === 'worker.js')); // the first is the main module
  const modules = names.map((name) => {
    const kind = name.endsWith('.wasm') ? 'wasm' : 'esModule';
    return `(name = ${JSON.stringify(name)}, ${kind} = embed ${JSON.stringify(name)})`;
  });
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (compatibilityDate = "2026-01-01", modules = [${modules.join(', ')}]))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`,
  );
  const child = spawn(programPath('workerd'), ['serve', '--control-fd=3', 'config.capnp'], {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  try {
    /** @type {number} */
    const port = await new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`workerd: expected it to listen, got exit code ${code}`)));
      child.stdio[3]?.on('data', (/** @type {Buffer} */ data) => {
        const [, found] = /"event":"listen".*"port":(\d+)/.exec(data.toString()) ?? [];
        if (found) resolve(Number(found));
      });
    });
    const response = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(RUN_MILLISECONDS) });
    if (!response.ok) throw new Error(`workerd: expected an answer, got ${response.status} ${await response.text()}`);
    return /** @type {Answer} */ (await response.json());
  } finally {
    child.kill();
  }
}

/**
 * Checks the package that is installed in `folder` from the tarball `tarball`; throws at the first thing that is wrong.
 * @param {string} folder
 * @param {string} tarball
 */
export async function checkBundlers(folder, tarball) {
  const tools = join(toolFolder('package-tools-2', TOOLS), 'node_modules/.bin');
  run(join(tools, 'publint'), ['run', tarball, '--strict'], folder);
  // The package has ES modules only, and says so.
  run(join(tools, 'attw'), [tarball, '--profile', 'esm-only'], folder);
  console.log('publint and attw have nothing to say.');

  for (const [name, content] of Object.entries(PROGRAMS)) writeFileSync(join(folder, name), content);
  const expected = /** @type {Answer} */ (JSON.parse(run(process.execPath, ['node.js'], folder)));

  /** @type {Record<string, () => Promise<Answer>>} */
  const bundlers = {
    vite() {
      const config = ['--outDir', 'vite', '--base', './', '--logLevel', 'warn'];
      run(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', ...config], folder);
      return inChromium(join(folder, 'vite'), 'index.html');
    },
    // README.md, "Bundlers": esbuild leaves new URL(…, import.meta.url) as it is, so the files are copied to where it points.
    esbuild() {
      const site = join(folder, 'esbuild');
      mkdirSync(join(site, 'assets/app'), { recursive: true });
      const flags = ['--bundle', '--minify', '--format=esm', '--outdir=esbuild/assets/app'];
      run(join(tools, 'esbuild'), ['page.js', ...flags], folder);
      for (const worker of ['engine-worker.js', 'web-thread.js'])
        cpSync(join(folder, 'node_modules/lanewise/dist/runtime', worker), join(site, 'assets/app', worker));
      cpSync(join(folder, 'node_modules/lanewise/wasm'), join(site, 'wasm'), { recursive: true });
      writeFileSync(join(site, 'index.html'), PAGE.replace('./page.js', './assets/app/page.js'));
      return inChromium(site, 'index.html');
    },
    wrangler() {
      const flags = ['--dry-run', '--outdir', 'wrangler', '--config', 'wrangler.json'];
      run(join(tools, 'wrangler'), ['deploy', ...flags], folder);
      return inWorkerd(join(folder, 'wrangler'));
    },
  };
  for (const [name, build] of Object.entries(bundlers)) {
    const { hash, runtime, binary } = await build();
    if (hash !== expected.hash)
      throw new Error(
        `${name}: expected the logits of ${expected.runtime}, ${expected.hash}, got ${hash} in ${runtime}`,
      );
    console.log(`${name}: its bundle runs in ${runtime} (${binary}) with the bits of ${expected.runtime}.`);
  }
  checkJsr(folder, expected);
}

/**
 * JSR takes the sources: whether it would (all that can be known without publishing), and whether they run in Deno as they are.
 * @param {string} folder
 * @param {Answer} expected
 */
function checkJsr(folder, expected) {
  const deno = programPath('deno');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const jsr = JSON.parse(readFileSync(join(root, 'jsr.json'), 'utf8'));
  if (jsr.version !== version) throw new Error(`jsr.json: expected version ${version}, got ${jsr.version}.`);
  run(deno, ['publish', '--dry-run', '--allow-dirty', '--no-check'], root);
  const program = join(folder, 'jsr.js');
  const source = pathToFileURL(join(root, jsr.exports['.'])).href;
  writeFileSync(
    program,
    `${HASH.replace("'lanewise'", `'${source}'`)}console.log(JSON.stringify(await logitsHash()));\n`,
  );
  const flags = ['run', '--no-lock', '--config', join(root, 'jsr.json'), '--allow-read', '--allow-env', '--allow-sys'];
  const { hash, runtime } = /** @type {Answer} */ (JSON.parse(run(deno, [...flags, program], root)));
  if (hash !== expected.hash) throw new Error(`JSR: expected the logits of Node, ${expected.hash}, got ${hash}`);
  console.log(`JSR: "deno publish --dry-run" accepts the sources, which run in ${runtime} with the bits of Node.`);
}

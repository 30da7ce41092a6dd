// The example in workerd as it stands, without a bundler: node examples/edge-worker/workerd.mjs [model folder] [port]
// WORKERD names the program (npm install workerd); without it, `workerd` of the PATH runs.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const lanewise = dirname(fileURLToPath(import.meta.resolve('lanewise/package.json')));

/**
 * The configuration of workerd: the example's two modules, the package with the binaries of one thread, and a disk service.
 * @param {string} folder of the model
 * @param {number} port 0 for any that is free
 */
function configuration(folder, port) {
  const chunks = readdirSync(join(lanewise, 'dist/runtime')).filter((name) => name.endsWith('.js'));
  const files = [
    ...['worker.js', 'completions.js'].map((name) => [name, join(here, name)]), // the first is the main module
    ...['dist/workerd.js', ...chunks.map((name) => `dist/runtime/${name}`)].map((name) => [name, join(lanewise, name)]),
    ...['wasm/simd128.wasm', 'wasm/relaxed.wasm'].map((name) => [name, join(lanewise, name)]),
  ];
  const modules = files.map(([name = '', path]) => {
    const kind = name.endsWith('.wasm') ? 'wasm' : 'esModule';
    return `(name = ${JSON.stringify(name)}, ${kind} = embed ${JSON.stringify(path)})`;
  });
  modules.push(`(name = "lanewise", esModule = "export * from './dist/workerd.js';")`);
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "model", disk = (path = ${JSON.stringify(resolve(folder))})),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  compatibilityFlags = ["enable_request_signal"],
  bindings = [(name = "MODEL", service = "model")],
  modules = [
    ${modules.join(',\n    ')},
  ],
);
`;
}

/**
 * Starts workerd and resolves when it listens.
 * @param {{ program: string, folder: string, port?: number }} options
 */
export async function startWorkerd({ program, folder, port = 0 }) {
  const temporary = mkdtempSync(join(tmpdir(), 'lanewise-workerd-'));
  const config = join(temporary, 'config.capnp');
  writeFileSync(config, configuration(folder, port));
  const child = spawn(program, ['serve', '--import-path=/', '--control-fd=3', config], {
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  child.once('exit', () => rmSync(temporary, { recursive: true, force: true }));
  /** @type {number} */
  const listening = await new Promise((done, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`workerd: expected it to listen, got exit code ${code}.`)));
    child.stdio[3]?.on('data', (/** @type {Buffer} */ data) => {
      const [, found] = /"event":"listen".*"port":(\d+)/.exec(data.toString()) ?? [];
      if (found) done(Number(found));
    });
  });
  return { url: `http://127.0.0.1:${listening}/v1/completions`, child };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [folder = 'out/edge-model', port = '8787'] = process.argv.slice(2);
  const { url } = await startWorkerd({ program: process.env.WORKERD ?? 'workerd', folder, port: Number(port) });
  console.log(url);
}

// Builds the four WebAssembly binaries (wasm/) and the JavaScript with its types (dist/).
// Usage: node scripts/build.mjs [wasm|ts] — both when nothing is named.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url));

/** Runs a tool of node_modules and ends this process with its exit code when it fails. */
function run(name, args) {
  const { status, error } = spawnSync(bin(name), args, {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const what = process.argv[2];
if (what === undefined || what === 'wasm') {
  mkdirSync(new URL('../wasm', import.meta.url), { recursive: true });
  const { targets } = JSON.parse(readFileSync(new URL('../asconfig.json', import.meta.url), 'utf8'));
  for (const target of Object.keys(targets)) run('asc', ['--target', target]);
}
if (what === undefined || what === 'ts') {
  rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true });
  run('tsc', ['-p', 'tsconfig.build.json']);
}

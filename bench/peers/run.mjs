// lanewise beside other engines: the same work, in one run, on the same core, sample by sample in turn.
// usage: node bench/peers/run.mjs [WORK…] [--rounds 5] [--node PATH] [--old-node PATH] [--python PATH] [--chromium PATH]
//                                 [--build FOLDER] [--write]
// WORK: see works.mjs; all when none is named.
// --node: the Node that runs lanewise and the JavaScript peers (22 or later has relaxed SIMD). --old-node: one without relaxed
// SIMD, for q8 and q4; default the one that runs this script, if it is older than 22. --build: the folder whose dist/, wasm/
// and src/ are measured. --write: replace the results of these works in results.json and RESULTS.md.
// How the peers are installed: bench/README.md, "Peers".
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { pair } from './pairing.mjs';
import { writeResults } from './results.mjs';
import { worksOf } from './works.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    node: { type: 'string', default: process.execPath },
    'old-node': { type: 'string' },
    python: { type: 'string', default: 'python3' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    build: { type: 'string', default: root },
    write: { type: 'boolean', default: false },
  },
});
const { node, python, chromium } = options;
const isOld = Number(process.versions.node.split('.')[0]) < 22 && node !== process.execPath;
const oldNode = options['old-node'] ?? (isOld ? process.execPath : undefined);

/** Copies the build, so that all samples are of one build even if the tree is rebuilt meanwhile. */
function copyBuild() {
  if (!existsSync(`${options.build}/dist/index.js`) || !existsSync(`${options.build}/wasm/simd128.wasm`)) {
    console.error(
      `peers: expected a build in ${options.build}; run node scripts/build.mjs there, or name another with --build.`,
    );
    process.exit(2);
  }
  const copy = mkdtempSync(`${tmpdir()}/lanewise-bench-build-`);
  for (const part of ['dist', 'wasm', 'src', 'package.json'])
    cpSync(`${options.build}/${part}`, `${copy}/${part}`, { recursive: true });
  symlinkSync(`${root}/node_modules`, `${copy}/node_modules`);
  return copy;
}

const output = (command, ...args) => spawnSync(command, args, { cwd: options.build, encoding: 'utf8' }).stdout.trim();
const build = copyBuild();
process.once('exit', () => rmSync(build, { recursive: true, force: true }));
const env = { LANEWISE_BUILD: build };
const works = worksOf({ node, oldNode, python, chromium }, env);
const unknown = positionals.find((name) => !works[name]);
if (unknown) {
  console.error(`peers: expected one of ${Object.keys(works).join(', ')}, got ${unknown}.`);
  process.exit(2);
}

for (const name of positionals.length > 0 ? positionals : Object.keys(works)) {
  const rows = [];
  for (const comparison of works[name]()) rows.push(...(await pair(comparison, Number(options.rounds), env)));
  if (rows.length === 0 || !options.write) continue;
  const result = {
    date: new Date().toISOString().slice(0, 10),
    machine: cpus()[0].model.trim(),
    node: output(node, '--version').replace('v', ''),
    build: output('git', 'describe', '--always', '--dirty'),
    rounds: Number(options.rounds),
    rows,
  };
  writeResults({ [name]: result }, Object.keys(works)); // after each work: a long run may be cut short
}

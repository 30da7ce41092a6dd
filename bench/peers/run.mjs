// lanewise beside other engines: the same work, in one run, on the same core, sample by sample in turn.
// usage: node bench/peers/run.mjs [WORK…] [--rounds 5] [--node PATH] [--old-node PATH] [--python PATH] [--chromium PATH]
//                                 [--build FOLDER] [--before FOLDER] [--write]
// WORK: see works.mjs; all when none is named.
// --node: the Node that runs lanewise and the JavaScript peers (22 or later has relaxed SIMD). --old-node: one without relaxed
// SIMD, for q8 and q4; default the one that runs this script, if it is older than 22. --build: the folder whose dist/, wasm/
// and src/ are measured. --before: a built checkout of another commit; what lanewise does in these works is then paired with what that
// one does, by its own bench/peers, instead of with others. --write: replace the results of these works in results.json and RESULTS.md.
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
    before: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const { node, python, chromium } = options;
const isOld = Number(process.versions.node.split('.')[0]) < 22 && node !== process.execPath;
const oldNode = options['old-node'] ?? (isOld ? process.execPath : undefined);

/** Copies a build, so that all samples are of one build even if the tree is rebuilt meanwhile. */
function copyBuild(folder) {
  if (!existsSync(`${folder}/dist/index.js`) || !existsSync(`${folder}/wasm/simd128.wasm`)) {
    console.error(
      `peers: expected a build in ${folder}; run node scripts/build.mjs there, or name another with --build.`,
    );
    process.exit(2);
  }
  const copy = mkdtempSync(`${tmpdir()}/lanewise-bench-build-`);
  for (const part of ['dist', 'wasm', 'src', 'package.json'])
    cpSync(`${folder}/${part}`, `${copy}/${part}`, { recursive: true });
  symlinkSync(`${root}/node_modules`, `${copy}/node_modules`);
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }));
  return copy;
}

/**
 * Each of ours in a comparison, paired with what the build before does with the same task; limits of the machine stay. Both orders of
 * starting are measured: of two processes of one build the first read its weights at 0.87 × the speed of the second, whose memory lay
 * elsewhere in the machine's.
 */
function beside(before, { title, contestants, ...comparison }) {
  const references = contestants.filter(({ reference }) => reference);
  return contestants
    .filter(({ ours }) => ours)
    .flatMap((own) => {
      const { role, command, ...rest } = own;
      const [node, script] = command;
      const there = [node, script.replace(/^.*(?=\/bench\/peers\/)/, options.before)];
      const other = { ...rest, role: 'before', ours: false, command: there, env: { LANEWISE_BUILD: before } };
      const both = { ...comparison, title: `${title}, ${role}`, contestants: [own, other, ...references] };
      return [both, { ...both, title: `${both.title}, started second`, contestants: [other, own, ...references] }];
    });
}

const outputIn = (cwd, command, ...args) => spawnSync(command, args, { cwd, encoding: 'utf8' }).stdout.trim();
const commitOf = (folder) => outputIn(folder, 'git', 'describe', '--always', '--dirty');
const build = copyBuild(options.build);
const before = options.before && copyBuild(options.before);
const env = { LANEWISE_BUILD: build };
const works = worksOf({ node, oldNode, python, chromium, ownOnly: before !== undefined }, env);
const unknown = positionals.find((name) => !works[name]);
if (unknown) {
  console.error(`peers: expected one of ${Object.keys(works).join(', ')}, got ${unknown}.`);
  process.exit(2);
}

for (const name of positionals.length > 0 ? positionals : Object.keys(works)) {
  const rows = [];
  const comparisons = works[name]().flatMap((comparison) => (before ? beside(before, comparison) : [comparison]));
  for (const comparison of comparisons) rows.push(...(await pair(comparison, Number(options.rounds), env)));
  if (rows.length === 0 || !options.write) continue;
  const result = {
    date: new Date().toISOString().slice(0, 10),
    machine: cpus()[0].model.trim(),
    node: outputIn(root, node, '--version').replace('v', ''),
    build: commitOf(options.build),
    rounds: Number(options.rounds),
    ...(before && { note: `Beside lanewise ${commitOf(options.before)}, by its own scripts.` }),
    rows,
  };
  const key = before ? `${name}, before and after` : name;
  writeResults({ [key]: result }, Object.keys(works)); // after each work: a long run may be cut short
}

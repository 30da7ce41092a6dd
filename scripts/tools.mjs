// Programs that tests need and the package does not: installed from npm into a cache outside of the project.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lanewise/platforms');
const { arch } = process;

/** Runtimes: the npm package of each, and where its program lies. */
const PROGRAMS = {
  'node-20': nodeOf(20),
  'node-22': nodeOf(22),
  'node-24': nodeOf(24),
  'node-26': nodeOf(26),
  deno: { spec: `@deno/linux-${arch}-glibc@2.9.6`, path: `@deno/linux-${arch}-glibc/deno` },
  bun: {
    spec: `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}@1.4.5`,
    path: `@oven/bun-linux-${arch === 'arm64' ? 'aarch64' : arch}/bin/bun`,
  },
  workerd: {
    spec: `@cloudflare/workerd-linux-${arch === 'x64' ? '64' : arch}@1.20261117.1`,
    path: `@cloudflare/workerd-linux-${arch === 'x64' ? '64' : arch}/bin/workerd`,
  },
};

/** @param {number} version */
function nodeOf(version) {
  return { spec: `node-linux-${arch}@${version}`, path: `node-linux-${arch}/bin/node` };
}

/**
 * The folder in which packages are installed, installing them when it is not there. Their scripts do not run.
 * @param {string} name of the folder
 * @param {readonly string[]} specs
 */
export function toolFolder(name, specs) {
  const folder = join(CACHE, name);
  const complete = join(folder, 'node_modules/.package-lock.json'); // npm writes it last
  if (existsSync(complete)) return folder;
  console.error(`Installing ${specs.join(', ')} …`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const flags = ['--no-audit', '--no-fund', '--no-package-lock', '--ignore-scripts', '--silent'];
  execFileSync('npm', ['install', '--prefix', folder, ...flags, ...specs], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (!existsSync(complete)) throw new Error(`tools: expected "npm install ${specs.join(' ')}" to fill ${folder}.`);
  return folder;
}

/**
 * The path of a program.
 * @param {keyof typeof PROGRAMS} name
 */
export function programPath(name) {
  const { spec, path } = PROGRAMS[name];
  const program = join(toolFolder(spec.replaceAll(/[@/]+/g, '-').replace(/^-/, ''), [spec]), 'node_modules', path);
  if (!existsSync(program)) throw new Error(`tools: expected ${program} behind "npm install ${spec}", got none.`);
  return program;
}

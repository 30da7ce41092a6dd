// Makes a checkout ready to run: dependencies as package-lock.json has them, and a current build. Plain Node, because on a
// fresh clone there is nothing else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Installs and builds what is missing or out of date; ends this process where that fails. */
export function prepare() {
  const [major = 0] = process.versions.node.split('.').map(Number);
  if (major < 20) {
    console.error(`lanewise needs Node 20 or later, this is ${process.versions.node}.`);
    process.exit(2);
  }
  if (!installed()) {
    console.error('Installing the dependencies (npm ci) …');
    runOrExit('npm', ['ci', '--no-audit', '--no-fund'], process.platform === 'win32');
  }
  runOrExit(process.execPath, [`${root}scripts/build.mjs`, '--if-needed'], false);
}

/** Whether node_modules holds what package-lock.json asks for; npm notes there what it installed. */
function installed() {
  const noted = `${root}node_modules/.package-lock.json`;
  if (!existsSync(noted)) return false;
  const there = packagesOf(noted);
  const wanted = Object.entries(packagesOf(`${root}package-lock.json`)).filter(([path]) => path !== '');
  return wanted.every(([path, { version, optional }]) => (there[path] ? there[path].version === version : optional));
}

/**
 * @param {string} path
 * @returns {Record<string, { version?: string, optional?: boolean }>}
 */
function packagesOf(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {boolean} shell
 */
function runOrExit(command, args, shell) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], shell });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

// `npm run test:web`: builds the page, checks its size, and tests it from end to end in Chromium and Firefox. As root on
// Debian it installs a browser that is missing; elsewhere that browser is skipped, and the name of the test says how to get it.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, root } from './prepare.mjs';
import { countsLine } from './test-counts.mjs';

/** Debian's packages of the browsers, and what each is run by. */
const BROWSERS = [
  { package: 'chromium', path: '/usr/bin/chromium', variable: 'CHROMIUM' },
  { package: 'firefox-esr', path: '/usr/bin/firefox-esr', variable: 'FIREFOX' },
];

prepare();
const missing = BROWSERS.filter(({ path, variable }) => !process.env[variable] && !existsSync(path));
if (missing.length > 0 && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
  const names = missing.map((browser) => browser.package);
  console.error(`Installing ${names.join(' and ')} (apt-get) …`);
  run('apt-get', ['update', '-qq']);
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names]);
}
run(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--config', 'web/vite.config.ts']);
run(process.execPath, [join(root, 'web/check-size.mjs')]);

// .ci/run collects the reports of several runs here and prints their sum itself.
const collected = process.env.LANEWISE_TEST_REPORTS;
const folder = collected ?? mkdtempSync(join(tmpdir(), 'lanewise-test-'));
mkdirSync(folder, { recursive: true });
const report = join(folder, `web-${process.pid}.json`);
const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    ...['run', '--config', 'web/vitest.config.ts', '--reporter=default', '--reporter=json'],
    ...[`--outputFile.json=${report}`, ...process.argv.slice(2)],
  ],
  { cwd: root, stdio: 'inherit' },
);
if (!collected) {
  console.log(countsLine([report]));
  rmSync(folder, { recursive: true });
}
process.exitCode = status ?? 1;

/**
 * Runs a command and ends this process with its exit code when it fails.
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

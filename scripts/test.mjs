// `npm test`: installs and builds what is missing, then runs all tests, or those named: npm test -- test/cli
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { prepare, root } from './prepare.mjs';
import { countsLine } from './test-counts.mjs';

prepare();
// .ci/run collects the reports of several runs here and prints their sum itself.
const collected = process.env.LANEWISE_TEST_REPORTS;
const folder = collected ?? mkdtempSync(join(tmpdir(), 'lanewise-test-'));
mkdirSync(folder, { recursive: true });
const report = join(folder, `node-${process.versions.node}-${process.pid}.json`);
const { status } = spawnSync(
  process.execPath,
  [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: 'inherit' },
);
if (!collected) {
  console.log(countsLine([report]));
  rmSync(folder, { recursive: true });
}
process.exitCode = status ?? 1;

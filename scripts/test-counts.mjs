// Sums vitest's JSON reports: `node scripts/test-counts.mjs FOLDER` prints "N passed, N failed, N skipped".
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ status: string, assertionResults: { status: string }[] }} FileResult
 * @param {string[]} reports paths of JSON reports; one that is missing counts as a failure
 */
export function countsLine(reports) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const path of reports) {
    /** @type {FileResult[]} */
    let files;
    try {
      files = JSON.parse(readFileSync(path, 'utf8')).testResults;
    } catch {
      counts.failed++;
      continue;
    }
    for (const { status, assertionResults } of files) {
      const failed = assertionResults.filter((result) => result.status === 'failed').length;
      const passed = assertionResults.filter((result) => result.status === 'passed').length;
      counts.passed += passed;
      // A file that could not be loaded has no tests that failed.
      counts.failed += failed === 0 && status === 'failed' ? 1 : failed;
      counts.skipped += assertionResults.length - passed - failed;
    }
  }
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? '.';
  const reports = readdirSync(folder).filter((name) => name.endsWith('.json'));
  console.log(countsLine(reports.length === 0 ? ['no report'] : reports.map((name) => join(folder, name))));
}

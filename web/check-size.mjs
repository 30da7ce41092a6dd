// How large the built page is: its scripts and WebAssembly, compressed, against the 170 KB that it may have.
// Usage: npm run build:web && node web/check-size.mjs
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const LIMIT_BYTES = 170_000;
const folder = fileURLToPath(new URL('./dist/', import.meta.url));

const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(js|wasm)$/.test(name))
  .map((name) => {
    const bytes = readFileSync(folder + name);
    return { name, gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
  });
const scripts = files.filter(({ name }) => name.endsWith('.js'));
const binaries = files.filter(({ name }) => name.endsWith('.wasm'));
if (scripts.length === 0 || binaries.length !== 6)
  throw new Error(
    `web/dist: expected scripts and six binaries, got ${scripts.length} and ${binaries.length}. Run "npm run build:web".`,
  );

/** @param {'gzip' | 'brotli'} kind @param {typeof files} some */
const sum = (kind, some) => some.reduce((total, file) => total + file[kind], 0);
/** @param {number} bytes */
const kilobytes = (bytes) => `${(bytes / 1000).toFixed(1)} KB`;
for (const { name, gzip, brotli } of files.sort((a, b) => b.gzip - a.gzip))
  console.log(`${kilobytes(gzip).padStart(9)} gzip ${kilobytes(brotli).padStart(9)} brotli  ${name}`);
// A browser writes with one binary and trains with another; the service worker stores the others too, for a day on which it
// runs those.
const isSmall = (/** @type {{ name: string }} */ { name }) => name.includes('-inference');
const used = [
  ...scripts,
  ...binaries.filter(isSmall).slice(0, 1),
  ...binaries.filter((file) => !isSmall(file)).slice(0, 1),
];
const total = sum('gzip', used);
console.log(
  `The page runs on ${kilobytes(total)} of scripts and WebAssembly in gzip, ${kilobytes(sum('brotli', used))} in brotli ` +
    `(all six binaries: ${kilobytes(sum('gzip', files))}, ${kilobytes(sum('brotli', files))}); at most ${kilobytes(LIMIT_BYTES)}.`,
);
if (total > LIMIT_BYTES) process.exit(1);

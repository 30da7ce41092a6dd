/** What npm would publish: the right files, small, and exports that resolve. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const UNPACKED_LIMIT_BYTES = 1.5e6;

interface Packed {
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly mode: number }[];
}

const [packed] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts', '--silent'], { cwd: root, encoding: 'utf8' }),
) as [Packed];
const paths = packed.files.map(({ path }) => path);

/** Bytes of an installed package with everything below it. */
function sizeOf(path: string): number {
  const stat = lstatSync(path);
  if (!stat.isDirectory()) return stat.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}

describe('the tarball', () => {
  test('has the built package, the binaries, README and changes, nothing else', () => {
    const kinds = new Set(paths.map((path) => (path.includes('/') ? `${path.split('/')[0]}/` : path)));
    const allowed = [...['CHANGELOG.md', 'LICENSE', 'README.md'], ...['dist/', 'package.json', 'wasm/']];
    expect([...kinds].filter((kind) => !allowed.includes(kind))).toEqual([]);
    expect(paths.filter((path) => path.startsWith('wasm/')).sort()).toEqual([
      'wasm/relaxed-inference.wasm',
      'wasm/relaxed-threads.wasm',
      'wasm/relaxed.wasm',
      'wasm/simd128-inference.wasm',
      'wasm/simd128-threads.wasm',
      'wasm/simd128.wasm',
    ]);
    expect(paths.filter((path) => /\.(ts|map)$/.test(path) && !path.endsWith('.d.ts'))).toEqual([]);
  });

  test('is at most 1.5 MB unpacked, with what it needs at run time', () => {
    const dependencies = Object.keys(manifest.dependencies);
    for (const name of dependencies) {
      const { dependencies: more = {} } = JSON.parse(
        readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8'),
      );
      expect(more).toEqual({}); // or their sizes would have to be added
    }
    const bytes = dependencies.reduce(
      (sum, name) => sum + sizeOf(join(root, 'node_modules', name)),
      packed.unpackedSize,
    );
    expect(bytes).toBeLessThan(UNPACKED_LIMIT_BYTES);
  });

  test('has what package.json names: bin, types, exports', () => {
    const targets = [
      manifest.bin.lanewise,
      manifest.types,
      ...Object.values(manifest.exports as Record<string, string | Record<string, string>>).flatMap((target) =>
        typeof target === 'string' ? [target] : Object.values(target),
      ),
    ].map((path) => path.replace(/^\.\//, ''));
    expect(targets.filter((path) => !paths.includes(path))).toEqual([]);
    expect(readFileSync(join(root, manifest.bin.lanewise), 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  test('imports only what it has or depends on', () => {
    const modules = paths.filter((path) => path.endsWith('.js'));
    for (const module of modules) {
      const source = readFileSync(join(root, module), 'utf8');
      for (const [, specifier] of source.matchAll(/^(?:import|export)[^'"`]*?from\s+['"]([^'"]+)['"]/gm)) {
        if (specifier!.startsWith('.')) {
          const target = fileURLToPath(new URL(specifier!, pathToFileURL(join(root, module))));
          expect(existsSync(target), `${module} imports ${specifier}`).toBe(true);
        } else if (!specifier!.startsWith('node:')) {
          expect(Object.keys(manifest.dependencies), `${module} imports ${specifier}`).toContain(specifier);
        }
      }
    }
  });

  test('uses node: modules in the command line and behind checks of the host only', () => {
    // thread.js is the body of a worker of node:worker_threads; nothing imports it.
    const modules = paths.filter(
      (path) => path.endsWith('.js') && !path.startsWith('dist/cli/') && path !== 'dist/runtime/thread.js',
    );
    const offenders = modules.filter((path) => /^import .*['"]node:/m.test(readFileSync(join(root, path), 'utf8')));
    expect(offenders).toEqual([]);
  });
});

test('the package resolves by its own name', async () => {
  const names = Object.keys(manifest.exports).filter((path) => path !== './package.json');
  const code = names
    .map((path) => `Object.keys(await import(${JSON.stringify(join('lanewise', path))})).join()`)
    .join(', ');
  const print = `console.log(JSON.stringify([${code}]))`;
  const exported = JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', print], { cwd: root, encoding: 'utf8' }),
  );
  expect(exported).toHaveLength(names.length);
  const main = exported[names.indexOf('.')].split(',');
  expect(main).toEqual(
    expect.arrayContaining(['createModel', 'Trainer', 'loadModel', 'tokenDataset', 'trainTokenizer']),
  );
});

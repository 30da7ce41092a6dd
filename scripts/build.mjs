// Builds the six WebAssembly binaries (wasm/) and the JavaScript with its types (dist/).
// Usage: node scripts/build.mjs [wasm|ts] [--if-needed]: both when nothing is named; --if-needed skips what is up to date.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** What was built from which sources; tools like it there, and `npm ci` removes it. */
const cache = `${root}node_modules/.cache/lanewise`;

/** What asc says of most programs, and means nothing to their users. */
const ASC_NOISE = /^Last converge was suboptimal\.\n/gm;

/**
 * Runs a tool of node_modules and ends this process with its exit code when it fails.
 * @param {string} name
 * @param {string[]} args
 */
function run(name, args) {
  const { status, error, stdout, stderr } = spawnSync(`${root}node_modules/.bin/${name}`, args, {
    cwd: root,
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  process.stderr.write(`${stdout}${stderr}`.replace(ASC_NOISE, ''));
  if (status !== 0) process.exit(status ?? 1);
}

/**
 * A digest of names and contents of files and folders; it also changes when a file is removed.
 * @param {string[]} paths
 */
function digest(paths) {
  const files = paths.flatMap((path) =>
    path.endsWith('/')
      ? readdirSync(root + path, { recursive: true, encoding: 'utf8' })
          .map((name) => path + name)
          .filter((name) => statSync(root + name).isFile())
      : [path],
  );
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(`${file}\0`).update(readFileSync(root + file));
  return hash.digest('hex');
}

function buildWasm() {
  console.error('Building the WebAssembly binaries (asc) …');
  mkdirSync(`${root}wasm`, { recursive: true });
  for (const target of Object.keys(targets)) run('asc', ['--target', target]);
}

/** What programs import or start; all else becomes chunks that these share. */
const ENTRIES = [
  ...['index', 'workerd', 'edge-light', 'tokenizer/index', 'family'],
  ...['cli/main', 'cli/first-token', 'runtime/thread'],
];
/** Workers of browsers: a file each, with all that it needs, so that the entries' chunks stay few and a page fetches one. */
const WORKERS = ['runtime/engine-worker', 'runtime/web-thread'];

/**
 * Globals that the hosts of a worker never have: code that needs them is left out.
 * @type {Record<string, Record<string, string>>}
 */
const ABSENT = { 'runtime/engine-worker': { process: 'undefined', setImmediate: 'undefined' } };

/**
 * What programs do, and the modules with which they begin it. Each becomes one file: what these modules need, besides what is
 * loaded on demand, and besides what is in the files before. `text` loads tokenizers, also for those who need nothing else of this
 * package; `inference` loads a model and generates, `process` is what
 * Node, Deno and Bun need for that besides, `writing` makes and saves models; then each family.
 * @type {Record<string, readonly string[]>}
 */
const PROGRAMS = {
  text: ['tokenizer/tokenizer-json', 'tokenizer/vocab-and-merges'],
  inference: ['generation/load-model', 'models/first-token'],
  process: ['runtime/local-backend', 'files/node'],
  writing: ['models/save', 'models/create'],
  gpt2: ['models/gpt2/family'],
  gpt1: ['models/gpt1/family'],
};

/**
 * Folders and modules that become one file each: a program that uses nothing of one leaves it out whole, also after bundling.
 * What they share with other parts of the package is in files of its own.
 */
const FOLDERS = ['training', 'benchmark', 'models/lora'];

/** Modules and their types by tsc; then few files instead of one for each module, which Node takes 70 ms longer to find and read. */
async function buildTypeScript() {
  console.error('Building the JavaScript (tsc, rolldown) …');
  // Elsewhere first: programs that use dist/ find it until the new one is complete.
  const modules = `${realpathSync(cache)}/modules`; // as rolldown names them, also where node_modules is a link
  const fresh = `${cache}/dist`;
  for (const folder of [modules, fresh]) rmSync(folder, { recursive: true, force: true });
  run('tsc', ['-p', 'tsconfig.build.json', '--outDir', modules]);
  const { build } = await import('rolldown');
  const external = [/^node:/, 'commander', /\.wasm(\?module)?$/];
  // What package.json promises to bundlers holds here too; otherwise chunks would import each other for nothing.
  const effects = sideEffects.map((path) => path.replace('./dist', modules));
  /** @param {string} id */
  const moduleSideEffects = (id) => effects.includes(id.replaceAll('\\', '/'));
  /**
   * What a bundler keeps of some modules and their imports, besides what is loaded on demand.
   * @param {readonly string[]} entries
   */
  async function keptOf(entries) {
    const input = entries.map((entry) => `${modules}/${entry}.js`);
    const { output } = await build({ input, external, write: false, treeshake: { moduleSideEffects } });
    const chunks = output.filter((file) => file.type === 'chunk');
    const needed = chunks.filter(({ isEntry }) => isEntry); // grows while it is gone through
    for (const { imports } of needed)
      needed.push(...chunks.filter((chunk) => imports.includes(chunk.fileName) && !needed.includes(chunk)));
    return new Set(
      needed.flatMap((chunk) => Object.entries(chunk.modules).flatMap(([id, { code }]) => (code ? [id] : []))),
    );
  }
  /**
   * @param {readonly string[]} entries
   * @param {readonly { name: string, test: (id: string) => boolean }[]} groups
   * @param {Record<string, string>} define
   */
  const bundle = (entries, groups, define = {}) =>
    build({
      input: Object.fromEntries(entries.map((entry) => [entry, `${modules}/${entry}.js`])),
      external,
      treeshake: { moduleSideEffects },
      transform: { define },
      logLevel: 'warn',
      ...(groups.length > 0 ? { preserveEntrySignatures: 'allow-extension' } : {}),
      // Chunks stand in runtime/, from where the files of src/runtime/ find the binaries and the workers; those of verbs in cli/.
      output: {
        dir: fresh,
        format: 'es',
        minifyInternalExports: false,
        // Types carry the documentation; what programs run needs none.
        comments: { legal: true, annotation: true, jsdoc: false },
        entryFileNames: '[name].js',
        chunkFileNames: ({ moduleIds: [first = '', ...more] }) =>
          `${[first, ...more].every((id) => id.startsWith(`${modules}/cli/`)) ? 'cli' : 'runtime'}/[name].js`,
        codeSplitting: groups.length === 0 ? true : { includeDependenciesRecursively: false, groups: [...groups] },
      },
    });
  const programs = await Promise.all(
    Object.entries(PROGRAMS).map(async ([name, entries]) => {
      const kept = await keptOf(entries);
      return { name, test: (/** @type {string} */ id) => kept.has(id) };
    }),
  );
  const folders = FOLDERS.map((path) => {
    const start = `${modules}/${path}`;
    const isBelow = (/** @type {string} */ id) => id.startsWith(`${start}/`) || id === `${start}.js`;
    return { name: path.replace(/.*\//, ''), test: (/** @type {string} */ id) => isBelow(id.replaceAll('\\', '/')) };
  });
  await bundle(ENTRIES, [...programs, ...folders]);
  for (const worker of WORKERS) await bundle([worker], [], ABSENT[worker]);
  for (const name of readdirSync(modules, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.d.ts') || name.startsWith('cli/')) continue; // programs do not import the command
    mkdirSync(dirname(`${fresh}/${name}`), { recursive: true });
    copyFileSync(`${modules}/${name}`, `${fresh}/${name}`);
  }
  chmodSync(`${fresh}/cli/main.js`, 0o755);
  rmSync(`${root}dist`, { recursive: true, force: true });
  renameSync(fresh, `${root}dist`);
}

/** @type {{ sideEffects: string[] }} */
const { sideEffects } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
/** @type {{ targets: Record<string, { outFile: string }> }} */
const { targets } = JSON.parse(readFileSync(`${root}asconfig.json`, 'utf8'));
const tools = ['package-lock.json', 'package.json', 'scripts/build.mjs'];
const parts = {
  wasm: {
    sources: ['assembly/', 'src/abi/', 'asconfig.json', ...tools],
    outputs: Object.values(targets).map(({ outFile }) => outFile),
    build: buildWasm,
  },
  ts: {
    sources: ['src/', 'tsconfig.json', 'tsconfig.build.json', ...tools],
    outputs: ['dist/index.js', 'dist/cli/main.js'],
    build: buildTypeScript,
  },
};

const ifNeeded = process.argv.includes('--if-needed');
const wanted = process.argv.slice(2).filter((argument) => argument !== '--if-needed');
mkdirSync(cache, { recursive: true });
for (const [name, { sources, outputs, build }] of Object.entries(parts)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const stamp = `${cache}/${name}.sha256`;
  const now = digest(sources);
  const upToDate = outputs.every((path) => existsSync(root + path)) && existsSync(stamp);
  if (ifNeeded && upToDate && readFileSync(stamp, 'utf8') === now) continue;
  rmSync(stamp, { force: true });
  await build();
  writeFileSync(stamp, now);
}

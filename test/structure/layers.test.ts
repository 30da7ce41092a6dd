/**
 * The house rules that can be read off the source: imports point downwards (ARCHITECTURE.md, "The house"), only the
 * runtime knows WebAssembly and workers, only named files know Node, index files only re-export, every file says what
 * it is in its first line, and ARCHITECTURE.md's file map names every file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, 'utf8');

/** Files below a folder that end in one of `endings`, as paths from the root of the project. */
function filesBelow(folder: string, endings: readonly string[]): string[] {
  return readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((path) => endings.some((ending) => path.endsWith(ending)) && !path.includes('/node_modules/'))
    .sort();
}

const sources = filesBelow('src', ['.ts', '.js']);
const kernels = filesBelow('assembly', ['.ts']);

/** Folders of src/ that each folder may import; itself and errors.ts always. A file may be named where only it is meant. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  abi: [],
  runtime: ['abi'],
  graph: ['runtime', 'abi'],
  nn: ['graph', 'runtime', 'abi'],
  models: ['nn', 'graph', 'runtime', 'abi', 'formats', 'files', 'random'],
  training: ['models', 'nn', 'graph', 'runtime', 'abi', 'formats', 'files', 'random'],
  // A model with its tokenizer (text-model.ts) generates and scores, so evaluation stands below generation.
  generation: ['evaluation', 'models', 'nn', 'graph', 'runtime', 'abi', 'tokenizer', 'formats', 'files', 'random'],
  evaluation: ['models', 'nn', 'graph', 'runtime', 'abi', 'tokenizer', 'data', 'formats', 'files', 'random'],
  benchmark: ['training', 'models', 'nn', 'graph', 'runtime', 'abi', 'formats', 'files', 'random'],
  cli: [
    'benchmark',
    'evaluation',
    'training',
    'generation',
    'models',
    'nn',
    'graph',
    'runtime',
    'abi',
    'tokenizer',
    'data',
    'formats',
    'files',
    'random',
    'index.ts',
  ],
  tokenizer: [],
  files: [],
  random: [],
  formats: ['files'],
  data: ['random'],
};

/** Files that may import `node:` modules; thread.js because a worker of Node finds its parent there. */
const NODE_FILES = ['src/runtime/thread.js', 'src/files/node.ts'];

interface Node {
  type: string;
  [field: string]: unknown;
}

/** Every node of a syntax tree. */
function* nodesOf(value: unknown): Generator<Node> {
  if (Array.isArray(value)) for (const item of value) yield* nodesOf(item);
  else if (typeof value === 'object' && value !== null) {
    if ('type' in value) yield value as Node;
    for (const field of Object.values(value)) yield* nodesOf(field);
  }
}

interface Parsed {
  readonly path: string;
  /** What it imports or re-exports, also as types and dynamically. */
  readonly imports: readonly string[];
  readonly identifiers: ReadonlySet<string>;
  readonly statements: readonly Node[];
}

function parse(path: string): Parsed {
  const program = parseAst(read(path), { lang: 'ts' }) as unknown as Node & { body: Node[] };
  const imports: string[] = [];
  const identifiers = new Set<string>();
  for (const node of nodesOf(program)) {
    const source = node.source as Node | null | undefined;
    if (source?.type === 'Literal' && typeof source.value === 'string') imports.push(source.value);
    if (node.type === 'Identifier') identifiers.add(node.name as string);
  }
  return { path, imports, identifiers, statements: program.body };
}

const parsed = sources.map(parse);

/** A relative import as a path from the root of the project. */
function resolve(from: string, specifier: string): string {
  return posix.join(dirname(from), specifier);
}

/** The folder of src/ that a file belongs to, or the file itself when it stands in src/. */
function layerOf(path: string): string {
  return path.split('/')[1]!;
}

describe('imports', () => {
  test('every folder of src/ has a rule', () => {
    const folders = new Set(sources.map(layerOf).filter((layer) => !layer.includes('.')));
    expect([...folders].filter((folder) => !(folder in MAY_IMPORT))).toEqual([]);
  });

  test('point downwards', () => {
    const wrong = parsed.flatMap(({ path, imports }) => {
      const layer = layerOf(path);
      const allowed = MAY_IMPORT[layer];
      if (!allowed) return []; // src/index.ts and src/errors.ts, below
      return imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => resolve(path, specifier))
        .filter((target) => {
          const inside = target.slice('src/'.length);
          return !(
            layerOf(target) === layer ||
            inside === 'errors.ts' ||
            allowed.includes(inside) ||
            allowed.includes(layerOf(target))
          );
        })
        .map((target) => `${path} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  test('errors.ts and the list of operations import nothing, and nothing but the command line imports the package entry', () => {
    for (const leaf of [
      'src/errors.ts',
      'src/abi/context.ts',
      'src/abi/encodings.ts',
      'src/abi/opcodes.ts',
      'src/abi/operations.ts',
    ])
      expect(parsed.find(({ path }) => path === leaf)?.imports, leaf).toEqual([]);
    const users = parsed.filter(({ path, imports }) => imports.some((name) => resolve(path, name) === 'src/index.ts'));
    // The entries of edge hosts are the package entry with binaries of their own.
    expect(users.map(({ path }) => path).filter((path) => layerOf(path) !== 'cli')).toEqual([
      'src/edge-light.ts',
      'src/workerd.ts',
    ]);
  });

  test('only a training graph loads the table of gradients', () => {
    const importers = (target: RegExp) =>
      parsed
        .filter(({ path, imports }) => imports.some((name) => target.test(resolve(path, name))))
        .map(({ path }) => path);
    expect(importers(/^src\/graph\/gradients\/rules\.ts$/)).toEqual(['src/graph/training-graph.ts']);
    // The loss records the gradients of the product with its table itself, chunk by chunk.
    expect(importers(/^src\/graph\/gradients\//).filter((path) => !path.startsWith('src/graph/gradients/'))).toEqual([
      'src/graph/ops/loss.ts',
      'src/graph/training-graph.ts',
    ]);
  });

  test('models know no text, and the trainer knows no GPT', () => {
    const imports = (layer: string) =>
      parsed
        .filter(({ path }) => layerOf(path) === layer)
        .flatMap(({ path, imports }) => imports.map((specifier) => ({ path, target: resolve(path, specifier) })));
    expect(imports('models').filter(({ target }) => layerOf(target) === 'tokenizer')).toEqual([]);
    expect(
      imports('training').filter(({ target }) => /^src\/(models\/(gpt|load|inference|index)|tokenizer)/.test(target)),
    ).toEqual([]);
  });

  test('kernels import kernels, and the list of operations', () => {
    const wrong = kernels.flatMap((path) =>
      [...read(path).matchAll(/^\s*(?:import|export)\b[^;]*?\bfrom '([^']+)'/gm)]
        .map(([, specifier]) => resolve(path, specifier!))
        .filter((target) => !target.startsWith('assembly/') && !/^src\/abi\/\w+$/.test(target))
        .map((target) => `${path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('only named packages are imported', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string> };
    const named = Object.keys(dependencies);
    const outside = parsed.flatMap(({ path, imports }) =>
      imports.filter((name) => !/^(\.|node:)/.test(name)).map((name) => ({ path, name })),
    );
    expect(outside.filter(({ name }) => !named.includes(name))).toEqual([]);
    expect(new Set(outside.map(({ name }) => name))).toEqual(new Set(named));
  });
});

describe('hosts', () => {
  test('only src/runtime names WebAssembly, workers or shared memory', () => {
    const names = ['WebAssembly', 'Worker', 'SharedArrayBuffer', 'Atomics'];
    const wrong = parsed.flatMap(({ path, identifiers }) =>
      layerOf(path) === 'runtime'
        ? []
        : names.filter((name) => identifiers.has(name)).map((name) => `${path}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  test('only the command line and named files import node: modules', () => {
    const wrong = parsed.flatMap(({ path, imports }) =>
      layerOf(path) === 'cli' || NODE_FILES.includes(path)
        ? []
        : imports.filter((name) => name.startsWith('node:')).map((name) => `${path} → ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('files', () => {
  test('index files only re-export', () => {
    const wrong = parsed
      .filter(({ path }) => path.endsWith('/index.ts'))
      .flatMap(({ path, statements }) =>
        statements
          .filter(
            ({ type, source }) => !(type === 'ExportAllDeclaration' || (type === 'ExportNamedDeclaration' && source)),
          )
          .map(({ type }) => `${path}: ${type}`),
      );
    expect(wrong).toEqual([]);
  });

  test('every file begins with a comment that says what it is', () => {
    const others = [
      ...filesBelow('scripts', ['.mjs', '.py']),
      ...filesBelow('test', ['.ts', '.mjs', '.py']),
      ...filesBelow('bench', ['.ts', '.mjs', '.py']),
      ...filesBelow('examples', ['.ts', '.mjs']),
    ];
    const wrong = [...sources, ...kernels, ...others].filter((path) => {
      const text = read(path).replace(/^#!.*\n/, '');
      return !/^(\/\*|\/\/|#|""")/.test(text);
    });
    expect(wrong).toEqual([]);
  });

  test("ARCHITECTURE.md's file map names every file of src/ and assembly/, and no other", () => {
    const [, map = ''] = read('ARCHITECTURE.md').split(/^## File map$/m);
    const named = [...map.split(/^## /m)[0]!.matchAll(/^\| `((?:src|assembly)\/[^`]+)` \| \S/gm)].map(
      ([, path]) => path!,
    );
    const files = [...sources, ...kernels];
    expect({
      missing: files.filter((path) => !named.includes(path)),
      gone: named.filter((path) => !files.includes(path)),
      twice: named.filter((path, index) => named.indexOf(path) !== index),
    }).toEqual({ missing: [], gone: [], twice: [] });
  });
});

/**
 * The rules of the layout that can be read off the source: imports point downwards and never in circles, families are named at
 * home, `import()` stands at listed boundaries, only the runtime knows WebAssembly and workers, only named files know Node, index files
 * only re-export, and every file says what it is in its first line. ARCHITECTURE.md is the map for people.
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

/** Folders of model families. */
const FAMILIES = sources.flatMap((path) => /^src\/models\/([^/]+)\/family\.ts$/.exec(path)?.[1] ?? []);

/** Folders of src/ from the bottom to the top. */
const BASE = ['abi', 'random', 'files'];
const ENGINE = [...BASE, 'runtime', 'graph'];
const MODELS = [...ENGINE, 'formats', 'nn', 'models', 'data'];

/** Folders of src/ that each folder may import; itself and errors.ts always. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  abi: [],
  random: [],
  files: [],
  runtime: ['abi'],
  graph: ['abi', 'runtime'],
  nn: ['abi', 'graph'],
  formats: ['abi', 'files'],
  data: ['random'],
  tokenizer: ['formats'],
  models: [...ENGINE, 'formats', 'nn'],
  objectives: MODELS,
  training: [...MODELS, 'objectives'],
  evaluation: [...MODELS, 'tokenizer'],
  // A model with its tokenizer (text-model.ts) generates and scores, so evaluation stands below generation.
  generation: [...MODELS, 'tokenizer', 'evaluation'],
  benchmark: [...MODELS, 'objectives', 'training'],
  cli: [...MODELS, 'tokenizer', 'objectives', 'training', 'evaluation', 'generation', 'benchmark', 'index.ts'],
};

/** Where a module is loaded when it is needed, and why not at once. Nothing else may use `import()`. */
const LOADED_ON_DEMAND: readonly (readonly [from: string, to: string, why: string])[] = [
  ...['bench', 'generate', 'info', 'merge', 'quantize', 'score', 'tokenize', 'train'].map(
    (verb) => ['src/cli/main.ts', `src/cli/${verb}.ts`, 'one verb a process'] as const,
  ),
  ['src/runtime/engine.ts', 'src/runtime/local-backend.ts', 'a page runs its engine in a worker'],
  ['src/files/open.ts', 'src/files/node.ts', 'file systems: not in browsers'],
  ['src/files/open.ts', 'src/files/file-list.ts', 'picked files: in browsers alone'],
  ['src/files/node.ts', 'node:fs/promises', 'file systems: not in browsers'],
  ['src/formats/safetensors/open.ts', 'src/formats/safetensors/shards.ts', 'few folders are sharded'],
  ...FAMILIES.map(
    (family) => ['src/models/registry.ts', `src/models/${family}/family.ts`, 'loaded with its first model'] as const,
  ),
  ['src/models/load.ts', 'src/models/lora/attach.ts', 'adapters: few programs have any'],
  ['src/models/model.ts', 'src/models/save.ts', 'programs that generate text do not save'],
  ['src/models/model.ts', 'src/models/weights/parameter-values.ts', 'programs that generate text do not read weights'],
  ['src/generation/text-model.ts', 'src/evaluation/score.ts', 'programs that generate text do not score'],
];

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
  /** What it imports or re-exports, also as types and on demand. */
  readonly imports: readonly string[];
  /** What it imports by `import()`; undefined where that is computed. */
  readonly onDemand: readonly (string | undefined)[];
  readonly identifiers: ReadonlySet<string>;
  /** Strings and the fixed parts of templates. */
  readonly texts: readonly string[];
  readonly statements: readonly Node[];
}

function parse(path: string): Parsed {
  const program = parseAst(read(path), { lang: 'ts' }) as unknown as Node & { body: Node[] };
  const imports: string[] = [];
  const onDemand: (string | undefined)[] = [];
  const identifiers = new Set<string>();
  const texts: string[] = [];
  for (const node of nodesOf(program)) {
    const source = node.source as Node | null | undefined;
    const specifier = source?.type === 'Literal' && typeof source.value === 'string' ? source.value : undefined;
    if (specifier !== undefined) imports.push(specifier);
    if (node.type === 'ImportExpression') onDemand.push(specifier);
    if (node.type === 'TSImportType') onDemand.push(undefined); // a type that its file's imports do not show
    if (node.type === 'Identifier') identifiers.add(node.name as string);
    if (node.type === 'Literal' && typeof node.value === 'string') texts.push(node.value);
    if (node.type === 'TemplateElement') texts.push((node.value as { cooked: string }).cooked);
  }
  return { path, imports, onDemand, identifiers, texts, statements: program.body };
}

const parsed = sources.map(parse);

/** A relative import as a path from the root of the project. */
function resolve(from: string, specifier: string): string {
  return posix.join(dirname(from), specifier);
}

const isRelative = (specifier: string): boolean => specifier.startsWith('.');

/** Groups of files that import each other, directly or not: the strongly connected components of more than one (Tarjan 1972). */
function circlesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[][] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file)!, low.get(next)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) circles.push(circle.sort());
  };
  for (const file of graph.keys()) if (!index.has(file)) visit(file);
  return circles;
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

  test('never form a circle, types included', () => {
    const graph = new Map(
      parsed.map(({ path, imports }) => [path, imports.filter(isRelative).map((name) => resolve(path, name))] as const),
    );
    expect(circlesOf(graph)).toEqual([]);
    expect(
      circlesOf(
        new Map([
          ['a', ['b']],
          ['b', ['c']],
          ['c', ['b']],
        ]),
      ),
    ).toEqual([['b', 'c']]);
  });

  test('are on demand at the listed places only', () => {
    const found = parsed.flatMap(({ path, onDemand }) =>
      onDemand.map((name) => `${path} → ${name && isRelative(name) ? resolve(path, name) : name}`),
    );
    expect(found.sort()).toEqual(LOADED_ON_DEMAND.map(([from, to]) => `${from} → ${to}`).sort());
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

describe('families', () => {
  test('have a folder each', () => {
    expect(FAMILIES).toContain('gpt2');
  });

  test('are named in their folder and in the registry only', () => {
    const name = /gpt-?[12]|openai-?gpt/i;
    const isAtHome = (path: string) =>
      path === 'src/models/registry.ts' || FAMILIES.some((folder) => path.startsWith(`src/models/${folder}/`));
    const wrong = parsed
      .filter(({ path }) => !isAtHome(path))
      .flatMap(({ path, identifiers, texts }) =>
        [...identifiers, ...texts].filter((text) => name.test(text)).map((text) => `${path}: ${text.slice(0, 60)}`),
      );
    expect(wrong).toEqual([]);
    expect(parse('src/models/registry.ts').texts.some((text) => name.test(text))).toBe(true);
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

  test('ARCHITECTURE.md names every folder of src/', () => {
    const map = read('ARCHITECTURE.md');
    const folders = [...new Set(sources.map(layerOf))].filter((layer) => !layer.includes('.'));
    expect(folders.filter((folder) => !map.includes(`| \`src/${folder}/\` |`))).toEqual([]);
  });
});

/**
 * Everything that the package exports has a doc comment (CONTRIBUTING.md, "Comments"): one sentence for each export and each public
 * member of a class; for functions also every parameter, what is returned, and an example. `npm run docs:api` makes the API
 * reference of them.
 */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAst } from 'vitest/node';
import { root } from './documents.ts';

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

interface Source {
  readonly path: string;
  readonly text: string;
  readonly body: readonly Node[];
}

/** What an exported name stands for. */
interface Exported {
  readonly name: string;
  readonly source: Source;
  /** From the word `export` on. */
  readonly statement: Node;
  readonly declaration: Node;
}

const sources = new Map<string, Source>();

function sourceOf(path: string): Source {
  const known = sources.get(path);
  if (known) return known;
  const text = readFileSync(`${root}${path}`, 'utf8');
  const { body } = parseAst(text, { lang: 'ts' }) as unknown as { body: Node[] };
  const source = { path, text, body };
  sources.set(path, source);
  return source;
}

const nameOf = (node: unknown) => (node as { name: string }).name;

/** Names that a file exports with their declarations, those of other files included. */
function exportsOf(path: string): Exported[] {
  const source = sourceOf(path);
  return source.body.flatMap((statement): Exported[] => {
    if (statement.type !== 'ExportNamedDeclaration') return [];
    const declaration = statement.declaration as Node | null;
    const from = statement.source as { value: string } | null;
    if (declaration) {
      const ids = (declaration.declarations as Node[] | undefined)?.map(({ id }) => id) ?? [declaration.id];
      return ids.map((id) => ({ name: nameOf(id), source, statement, declaration }));
    }
    if (!from) return [];
    const others = exportsOf(posix.join(posix.dirname(path), from.value));
    return (statement.specifiers as Node[]).flatMap(({ local, exported }) =>
      others.filter(({ name }) => name === nameOf(local)).map((found) => ({ ...found, name: nameOf(exported) })),
    );
  });
}

/** The doc comment that ends where a node begins. */
function commentBefore({ text }: Source, { start }: Node): string | undefined {
  const before = text.slice(0, start).replace(/\s+$/, '');
  return before.endsWith('*/') ? before.slice(before.lastIndexOf('/**')) : undefined;
}

const all = ['src/index.ts', 'src/family.ts', 'src/tokenizer/index.ts'].flatMap(exportsOf);
/** Each name once; of overloads, the first one has the comment. */
const exported = [...new Map(all.toReversed().map((entry) => [entry.name, entry])).values()];

function problemsOfFunction(name: string, source: Source, comment: string, declaration: Node): string[] {
  const documented = [...comment.matchAll(/@param (?:\{[^}]*\} )?\[?(\w+)/g)].map(([, parameter]) => parameter!);
  const parameters = (declaration.params as Node[]).flatMap((parameter) => {
    const { left = parameter } = parameter as { left?: Node };
    return left.type === 'Identifier' ? [nameOf(left)] : [];
  });
  const { length } = declaration.params as Node[];
  const missing = parameters.filter((parameter) => !documented.includes(parameter));
  return [
    ...missing.map((parameter) => `${name}: @param ${parameter}`),
    ...(documented.length < length && missing.length === 0 ? [`${name}: @param of a destructured one`] : []),
    ...(comment.includes('@returns') || returnsNothing(source, declaration) ? [] : [`${name}: @returns`]),
    ...(comment.includes('@example') ? [] : [`${name}: @example`]),
  ];
}

function returnsNothing({ text }: Source, { returnType }: Node): boolean {
  const { start, end } = returnType as Node;
  return /^: (void|Promise<void>)$/.test(text.slice(start, end));
}

function problemsOfClass(name: string, source: Source, declaration: Node): string[] {
  return ((declaration.body as Node).body as Node[])
    .filter((member) => ['MethodDefinition', 'PropertyDefinition'].includes(member.type))
    .filter(({ key, accessibility }) => (key as Node).type === 'Identifier' && accessibility !== 'private')
    .filter(({ override }) => !override)
    .filter(({ key, kind }) => !(kind === 'constructor' || nameOf(key) === 'name'))
    .filter((member) => !commentBefore(source, member))
    .map(({ key }) => `${name}.${nameOf(key)}`);
}

describe('doc comments of exports', () => {
  test('the exports are found', () => {
    expect(exported.length).toBeGreaterThan(100);
  });

  test('are complete', () => {
    const problems = exported.flatMap(({ name, source, statement, declaration }) => {
      const comment = commentBefore(source, statement);
      if (!comment) return [`${name} (${source.path})`];
      if (declaration.type === 'FunctionDeclaration' || declaration.type === 'TSDeclareFunction')
        return problemsOfFunction(name, source, comment, declaration);
      return declaration.type === 'ClassDeclaration' ? problemsOfClass(name, source, declaration) : [];
    });
    expect(problems).toEqual([]);
  });
});

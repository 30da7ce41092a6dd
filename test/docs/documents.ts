/** The documents that people read, and what stands in them: blocks of code, headings, tables, links. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../../', import.meta.url));

/** A fenced block of code. */
export interface Block {
  /** The first word behind the fence: `ts`, `sh`, `text`, or '' for drawings. */
  readonly language: string;
  /** The file that an excerpt was taken from: `src=path` behind the language. */
  readonly source: string | undefined;
  readonly code: string;
  /** Of the fence, from 1. */
  readonly line: number;
  /** The heading above it. */
  readonly heading: string;
}

export interface Document {
  /** From the root of the project. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
}

/** README.md and all pages below docs/ but the generated ones, README.md first. */
export const documents: readonly Document[] = [
  'README.md',
  ...readdirSync(`${root}docs`, { recursive: true, encoding: 'utf8' })
    .map((name) => `docs/${name.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.md') && !path.startsWith('docs/api/reference/'))
    .sort(),
].map(readDocument);

export function readDocument(path: string): Document {
  const text = readFileSync(`${root}${path}`, 'utf8');
  const blocks = [...text.matchAll(/^```(\w*)(?: src=(\S+))?\n([\s\S]*?)^```$/gm)].map(
    ({ 1: language, 2: source, 3: code, index }) => ({
      language: language!,
      source,
      code: code!,
      line: text.slice(0, index).split('\n').length,
      heading: headingsOf(text.slice(0, index)).at(-1) ?? path,
    }),
  );
  return { path, text, blocks };
}

/** Headings outside of blocks of code. */
export function headingsOf(text: string): string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '');
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!);
}

/** What GitHub calls the headings in links. */
export function anchorsOf(text: string): string[] {
  return headingsOf(text).map((title) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

/** The text of a document under a heading, up to the next one of any level. */
export function sectionOf(path: string, heading: string): string {
  const { text } = documents.find((document) => document.path === path)!;
  const [, after] = `\n${text}`.split(`\n${heading}\n`);
  if (after === undefined) throw new Error(`${path} has no heading "${heading}"`);
  return after.split(/^#+ /m)[0]!;
}

/** The table whose header begins with `title`: first words of the first cells, and last cells without backticks. */
export function rowsOf(text: string, title: string): Map<string, string> {
  const [, rows] = text.split(new RegExp(`^\\| ${title} \\|.*\\n\\|[-|]+\\n`, 'm'));
  if (rows === undefined) throw new Error(`no table of ${title}`);
  const found = rows.split(/\n(?!\|)/)[0]!.matchAll(/^\| `([^` ]+).*\| ?(.*) \|$/gm);
  return new Map(Array.from(found, ([, name, last]) => [name!, last!.trim().replaceAll('`', '')]));
}

export const tableOf = (text: string, title: string) => [...rowsOf(text, title).keys()];

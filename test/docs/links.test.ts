/** Links in documents lead to files and headings that are there. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { anchorsOf, documents, readDocument, root } from './documents.ts';

const OTHERS = ['ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'bench/README.md'];

describe.each([...documents, ...OTHERS.map(readDocument)])('$path', ({ path, text }) => {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`]*`/g, '');
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
  test('links to files and headings that are there', () => {
    for (const target of targets.filter((target) => !/^[a-z]+:/.test(target))) {
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : posix.join(posix.dirname(path), file);
      expect(existsSync(`${root}${linked}`), `${path} → ${target}`).toBe(true);
      if (anchor === undefined || statSync(`${root}${linked}`).isDirectory()) continue;
      expect(anchorsOf(readFileSync(`${root}${linked}`, 'utf8')), `${path} → ${target}`).toContain(anchor);
    }
  });
});

test('every page of docs/ is reached from README.md', () => {
  const known = new Map(documents.map((document) => [document.path, document.text]));
  const reached = ['README.md', 'ARCHITECTURE.md'];
  for (const path of reached)
    for (const [, target] of (known.get(path) ?? readDocument(path).text).matchAll(/\]\(([^)\s#]+)/g)) {
      const linked = posix.join(posix.dirname(path), target!);
      if (known.has(linked) && !reached.includes(linked)) reached.push(linked);
    }
  expect([...known.keys()].filter((path) => !reached.includes(path))).toEqual([]);
});

/** Paths that documents name as examples, of files that programs write. */
const paths = (text: string) =>
  text.matchAll(/`((?:src|assembly|test|bench|scripts|examples|web|docs)\/[\w./-]+\.(?:ts|js|mjs|py|md|html|json))`/g);

describe.each(documents)('$path', ({ path, text }) => {
  test('names files that are there', () => {
    const named = [...text.matchAll(/^```.* src=(\S+)$/gm), ...paths(text)].map(([, file]) => file!);
    expect([...new Set(named)].filter((file) => !existsSync(`${root}${file}`))).toEqual([]);
  });

  test('names functions that stand in the files that it says', () => {
    const prose = text.replaceAll(/\s+/g, ' ');
    const gone = [...prose.matchAll(/`([\w.]+)` \(`([\w./-]+\.(?:ts|js|mjs))`/g)].filter(([, name, file]) => {
      const [last] = name!.split('.').slice(-1);
      return !existsSync(`${root}${file}`) || !readFileSync(`${root}${file}`, 'utf8').includes(last!);
    });
    expect(gone.map(([claim]) => `${path}: ${claim}`)).toEqual([]);
  });
});

/** Phrases of a private dialect, for which the field has terms (error message, lazily loaded, bundled model, prompt). */
const DIALECT = /\b(at hand|in words|without a word|words on demand|comes along|goes on|who can wait|its kin)\b/;

test.each([...documents, ...OTHERS.map(readDocument)])('$path is in plain terms', ({ text }) => {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/\*[^*\n]+\*/g, '');
  expect(prose.split('\n').filter((line) => DIALECT.test(line))).toEqual([]);
});

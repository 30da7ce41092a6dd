/**
 * Merges as files hold them: pairs of tokens, in `merges.txt`
 *
 *   #version: 0.2
 *   Ġ t
 *   h e
 *
 * or in `model.merges` of tokenizer.json, as ["Ġ", "t"] or, in older files, "Ġ t".
 */
import { asArray, problem, show } from './json-checks.ts';
import { MAX_MERGES, MergeTable } from './merges.ts';

export type MergePair = readonly [string, string];

const HEADER = '#version: 0.2';

export function writeMergesTxt(pairs: readonly MergePair[]): string {
  return [HEADER, ...pairs.map(([left, right]) => `${left} ${right}`), ''].join('\n');
}

export function parseMergesTxt(text: string, where: string): MergePair[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  while (lines.at(-1) === '') lines.pop();
  const pairs: MergePair[] = [];
  lines.forEach((line, i) => {
    if (!line.startsWith('#version')) pairs.push(splitPair(line) ?? damaged(`${where}, line ${i + 1}`, line));
  });
  return pairs;
}

/** Reads `model.merges`. */
export function readMerges(value: unknown, where: string): MergePair[] {
  return asArray(value, where).map((entry, i) => {
    const pair = typeof entry === 'string' ? splitPair(entry) : asPair(entry);
    return pair ?? damaged(`${where}[${i}]`, entry);
  });
}

function splitPair(line: string): MergePair | undefined {
  const space = line.indexOf(' ');
  if (space < 1 || space === line.length - 1 || line.indexOf(' ', space + 1) >= 0) return undefined;
  return [line.slice(0, space), line.slice(space + 1)];
}

function asPair(entry: unknown): MergePair | undefined {
  if (!Array.isArray(entry) || entry.length !== 2) return undefined;
  const [left, right] = entry;
  return typeof left === 'string' && typeof right === 'string' ? [left, right] : undefined;
}

function damaged(where: string, entry: unknown): never {
  throw problem(where, 'two tokens, separated by one space', show(entry), 'The file is damaged; obtain it again.');
}

/** Resolves the pairs to ids; each token, and what the two make, must be in the vocabulary. */
export function mergeTable(pairs: readonly MergePair[], vocab: ReadonlyMap<string, number>, where: string): MergeTable {
  if (pairs.length > MAX_MERGES) {
    throw problem(where, `at most ${MAX_MERGES} merges`, `${pairs.length}`, 'Train a smaller vocabulary.');
  }
  const lefts = new Int32Array(pairs.length);
  const rights = new Int32Array(pairs.length);
  const merged = new Int32Array(pairs.length);
  const idOf = (token: string, rank: number): number => {
    const id = vocab.get(token);
    if (id !== undefined) return id;
    const got = `${show(token)} in merge ${rank + 1}`;
    throw problem(where, 'tokens of the vocabulary', got, 'Take the vocabulary and the merges from the same model.');
  };
  pairs.forEach(([left, right], rank) => {
    lefts[rank] = idOf(left, rank);
    rights[rank] = idOf(right, rank);
    merged[rank] = idOf(left + right, rank);
  });
  return new MergeTable(lefts, rights, merged);
}

/**
 * Merges as files hold them: pairs of tokens, in `merges.txt`
 *
 *   #version: 0.2
 *   Ġ t
 *   h e
 *
 * or in `model.merges` of tokenizer.json, as ["Ġ", "t"] or, in older files, "Ġ t".
 */
import { asArray, problem, show } from '../json-checks.ts';
import { MAX_MERGES, MergeTable } from './merges.ts';

export type MergePair = readonly [string, string];

const HEADER = '#version: 0.2';

export function writeMergesTxt(pairs: readonly MergePair[]): string {
  return [HEADER, ...pairs.map(([left, right]) => `${left} ${right}`), ''].join('\n');
}

/** Reads `merges.txt`: the value that `model.merges` would have. */
export function parseMergesTxt(text: string, where: string): MergePair[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  while (lines.at(-1) === '') lines.pop();
  const pairs: MergePair[] = [];
  lines.forEach((line, i) => {
    if (!line.startsWith('#version')) pairs.push(pairOf(line) ?? damaged(`${where}, line ${i + 1}`, line));
  });
  return pairs;
}

/** Reads `model.merges` into a table of ids; each token, and what the two make, must be in the vocabulary. */
export function readMerges(value: unknown, ids: ReadonlyMap<string, number>, where: string): MergeTable {
  const entries = asArray(value, where);
  if (entries.length > MAX_MERGES) {
    throw problem(where, `at most ${MAX_MERGES} merges`, `${entries.length}`, 'Train a smaller vocabulary.');
  }
  const lefts = new Int32Array(entries.length);
  const rights = new Int32Array(entries.length);
  const merged = new Int32Array(entries.length);
  for (let rank = 0; rank < entries.length; rank++) {
    const [left, right] = pairOf(entries[rank]) ?? damaged(`${where}[${rank}]`, entries[rank]);
    lefts[rank] = ids.get(left) ?? missing(left, rank, where);
    rights[rank] = ids.get(right) ?? missing(right, rank, where);
    merged[rank] = ids.get(left + right) ?? missing(left + right, rank, where);
  }
  return new MergeTable(lefts, rights, merged);
}

/** An entry of `model.merges`, or a line of `merges.txt`; undefined for what is none. */
function pairOf(entry: unknown): MergePair | undefined {
  if (typeof entry === 'string') return splitPair(entry);
  if (!Array.isArray(entry) || entry.length !== 2) return undefined;
  const [left, right] = entry;
  return typeof left === 'string' && typeof right === 'string' ? [left, right] : undefined;
}

function splitPair(line: string): MergePair | undefined {
  const space = line.indexOf(' ');
  if (space < 1 || space === line.length - 1 || line.indexOf(' ', space + 1) >= 0) return undefined;
  return [line.slice(0, space), line.slice(space + 1)];
}

function damaged(where: string, entry: unknown): never {
  throw problem(where, 'two tokens, separated by one space', show(entry), 'The file is damaged; obtain it again.');
}

function missing(token: string, rank: number, where: string): never {
  const got = `${show(token)} in merge ${rank + 1}`;
  throw problem(where, 'tokens of the vocabulary', got, 'Take the vocabulary and the merges from the same model.');
}

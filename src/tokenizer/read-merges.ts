/** Merges out of files, checked; how files hold them: merge-list.ts. */
import { asArray } from './json-checks.ts';
import { type MergePair, mergeTable, pairOf } from './merge-list.ts';
import { MAX_MERGES, type MergeTable } from './merges.ts';
import { problem, show } from './problem.ts';

export function parseMergesTxt(text: string, where: string): MergePair[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  while (lines.at(-1) === '') lines.pop();
  const pairs: MergePair[] = [];
  lines.forEach((line, i) => {
    if (!line.startsWith('#version')) pairs.push(pairOf(line) ?? damaged(`${where}, line ${i + 1}`, line));
  });
  return pairs;
}

/** Reads `model.merges`. */
export function readMerges(value: unknown, where: string): MergePair[] {
  return asArray(value, where).map((entry, i) => pairOf(entry) ?? damaged(`${where}[${i}]`, entry));
}

function damaged(where: string, entry: unknown): never {
  throw problem(where, 'two tokens, separated by one space', show(entry), 'The file is damaged; obtain it again.');
}

/** Resolves the pairs to ids; each token, and what the two make, must be in the vocabulary. */
export function resolveMerges(
  pairs: readonly MergePair[],
  vocab: ReadonlyMap<string, number>,
  where: string,
): MergeTable {
  if (pairs.length > MAX_MERGES)
    throw problem(where, `at most ${MAX_MERGES} merges`, `${pairs.length}`, 'Train a smaller vocabulary.');
  const table = mergeTable(pairs, vocab);
  if (table) return table;
  const rank = pairs.findIndex(([left, right]) => ![left, right, left + right].every((token) => vocab.has(token)));
  const [left, right] = pairs[rank]!;
  const missing = [left, right, left + right].find((token) => !vocab.has(token));
  const got = `${show(missing)} in merge ${rank + 1}`;
  throw problem(where, 'tokens of the vocabulary', got, 'Take the vocabulary and the merges from the same model.');
}

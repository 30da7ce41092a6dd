/**
 * Merges as files hold them: pairs of tokens, in `merges.txt`
 *
 *   #version: 0.2
 *   Ġ t
 *   h e
 *
 * or in `model.merges` of tokenizer.json, as ["Ġ", "t"] or, in older files, "Ġ t".
 */
import { MAX_MERGES, MergeTable } from './merges.ts';

export type MergePair = readonly [string, string];

const HEADER = '#version: 0.2';

export function writeMergesTxt(pairs: readonly MergePair[]): string {
  return [HEADER, ...pairs.map(([left, right]) => `${left} ${right}`), ''].join('\n');
}

/** An entry of `model.merges`, or a line of `merges.txt`; undefined for what is none. */
export function pairOf(entry: unknown): MergePair | undefined {
  return typeof entry === 'string' ? splitPair(entry) : asPair(entry);
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

/** The pairs by ids; undefined unless each token, and what the two make, is in the vocabulary. */
export function mergeTable(pairs: readonly MergePair[], vocab: ReadonlyMap<string, number>): MergeTable | undefined {
  const lefts = new Int32Array(pairs.length);
  const rights = new Int32Array(pairs.length);
  const merged = new Int32Array(pairs.length);
  for (let rank = 0; rank < pairs.length; rank++) {
    const [left, right] = pairs[rank]!;
    const [a, b, both] = [vocab.get(left), vocab.get(right), vocab.get(left + right)];
    if (a === undefined || b === undefined || both === undefined) return undefined;
    lefts[rank] = a;
    rights[rank] = b;
    merged[rank] = both;
  }
  return pairs.length > MAX_MERGES ? undefined : new MergeTable(lefts, rights, merged);
}

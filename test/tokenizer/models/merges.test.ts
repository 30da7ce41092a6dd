/** Merging one word against the rule written naively. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readMerges } from '../../../src/tokenizer/models/merge-list.ts';
import { MergeTable, WordMerger } from '../../../src/tokenizer/models/merges.ts';
import { check, gpt2 } from '../support.ts';

/** The definition: the pair of the lowest rank, the leftmost first, until there is none. */
function mergeByDefinition(symbols: number[], merges: readonly (readonly [number, number, number])[]): number[] {
  const word = [...symbols];
  for (;;) {
    let best = -1;
    let bestRank = merges.length;
    for (let i = 0; i + 1 < word.length; i++) {
      const rank = merges.findLastIndex(([left, right]) => left === word[i] && right === word[i + 1]);
      if (rank >= 0 && rank < bestRank) {
        best = i;
        bestRank = rank;
      }
    }
    if (best < 0) return word;
    word.splice(best, 2, merges[bestRank]![2]);
  }
}

function tableOf(merges: readonly (readonly [number, number, number])[]): MergeTable {
  const column = (i: 0 | 1 | 2) => Int32Array.from(merges, (merge) => merge[i]);
  return new MergeTable(column(0), column(1), column(2));
}

describe('WordMerger', () => {
  const random = fc.record({
    // Each merge makes a token of its own, from any two earlier ones.
    pairs: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 40 }),
    word: fc.oneof(fc.array(fc.nat(2), { maxLength: 62 }), fc.array(fc.nat(2), { minLength: 60, maxLength: 200 })),
  });

  test('merges short and long words by definition', () =>
    check(random, 3000, ({ pairs, word }) => {
      const merges = pairs.map(([a, b], i) => [a % (3 + i), b % (3 + i), 3 + i] as const);
      const symbols = Int32Array.from(word);
      const count = new WordMerger(tableOf(merges)).merge(symbols, symbols.length);
      expect(Array.from(symbols.subarray(0, count))).toEqual(mergeByDefinition(word, merges));
    }));

  test('of a pair that stands twice the later rank counts', () => {
    const table = tableOf([
      [0, 1, 3],
      [1, 2, 4],
      [0, 1, 3],
    ]);
    const symbols = Int32Array.of(0, 1, 2);
    expect(new WordMerger(table).merge(symbols, 3)).toBe(2);
    expect(Array.from(symbols.subarray(0, 2))).toEqual([0, 4]);
    expect(table.pairs()).toEqual([
      [1, 2],
      [0, 1],
    ]);
  });

  test('the work on one long word grows like n log n', () => {
    const { vocab, merges } = gpt2().toJSON().model;
    const merger = new WordMerger(readMerges(merges, new Map(Object.entries(vocab)), 'merges'));
    const bytes = { a: () => 64, random: (i: number) => 64 + ((Math.imul(i, 0x9e3779b1) >>> 16) % 26) };
    for (const byte of Object.values(bytes)) {
      const work = [20_000, 200_000].map((length) => {
        const before = merger.heapMoves;
        merger.merge(
          Int32Array.from({ length }, (_, i) => byte(i)),
          length,
        );
        return merger.heapMoves - before;
      });
      // Ten times the length: n log n gives about 12 times the work, n² would give 100 times.
      expect(work[1]! / work[0]!).toBeLessThan(20);
      expect(work[1]!).toBeLessThan(200_000 * 40);
    }
  });

  test('a megabyte without a space goes through', () => {
    const tokenizer = gpt2();
    const text = 'a'.repeat(1_000_000);
    const ids = tokenizer.encode(text);
    expect(ids.length).toBe(250_000);
    expect(tokenizer.decode(ids)).toBe(text);
  });
});

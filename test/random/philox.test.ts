/** Philox against the published vectors, and what Random makes of it. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { randomInteger } from '../../src/random/integer.ts';
import { multiplyHigh, philox, Random } from '../../src/random/philox.ts';

const ONES = 0xffffffff;

describe('philox', () => {
  // Random123 1.14, tests/kat_vectors, philox4x32 10 rounds.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [ONES, ONES, ONES, ONES],
      [ONES, ONES],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('gives the known answer for counter %j', (counter, key, words) => {
    expect([...philox(counter, key)]).toEqual(words);
  });

  it('multiplies words as BigInt does', () => {
    const samples = [0, 1, 2, 0xffff, 0x10000, 0x10001, 0x7fffffff, 0x80000000, 0xd2511f53, 0xfffeffff, ONES];
    for (const a of samples)
      for (const b of samples) expect(multiplyHigh(a, b)).toBe(Number((BigInt(a) * BigInt(b)) >> 32n));
  });
});

describe('Random', () => {
  it('is a function of seed, stream and index', () => {
    const [a, b] = [new Random(7), new Random(7)];
    const forwards = Array.from({ length: 20 }, (_, index) => a.uniform(3, index));
    const backwards = Array.from({ length: 20 }, (_, index) => b.uniform(3, 19 - index)).reverse();
    expect(forwards).toEqual(backwards);
    expect(new Set([...forwards, ...forwards.map((_, index) => a.uniform(4, index))]).size).toBe(40);
    expect(new Random(7 + 2 ** 32).uniform(3, 0)).not.toBe(a.uniform(3, 0));
    expect(a.uniform(3, 2 ** 32)).not.toBe(a.uniform(3, 0));
  });

  it('keeps its stream: these numbers never change', () => {
    const random = new Random(2 ** 53 - 1);
    expect([random.uniform(0, 0), random.uniform(1, 2 ** 40), randomInteger(random, 10, 2, 5)]).toMatchInlineSnapshot(`
      [
        0.3229007986588057,
        0.22996590073250422,
        8,
      ]
    `);
  });

  it('spreads uniform numbers evenly', () => {
    const seed = 11;
    const random = new Random(seed);
    const count = 50_000;
    const bins = new Array<number>(50).fill(0);
    for (let i = 0; i < count; i++) {
      const u = random.uniform(0, i);
      expect(u >= 0 && u < 1).toBe(true);
      bins[Math.floor(u * 50)]!++;
    }
    expect(chiSquare(bins, count / 50), `seed ${seed}`).toBeLessThan(85.4); // 49 degrees of freedom, p = 0.001
  });

  it.each([1, 2, 3, 7, 10, 1000, 3 * 2 ** 30, 2 ** 32])('draws whole numbers below %d', (bound) => {
    const seed = 5;
    const random = new Random(seed);
    const bins = new Array<number>(Math.min(bound, 12)).fill(0);
    const count = 12_000;
    for (let i = 0; i < count; i++) {
      const value = randomInteger(random, bound, 9, i);
      expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
      expect(randomInteger(random, bound, 9, i)).toBe(value);
      bins[Math.floor((value / bound) * bins.length)]!++;
    }
    // Bins hold equally many numbers, or nearly; 11 degrees of freedom at most, p = 0.001.
    expect(chiSquare(bins, count / bins.length), `seed ${seed}`).toBeLessThan(31.3);
  });

  it('names what is wrong', () => {
    expect(() => new Random(-1)).toThrow(
      new ConfigError(
        'random: expected seed to be a whole number from 0 to 2^53 − 1, got -1. Give such a number, or leave it out for 0.',
      ),
    );
    expect(() => new Random(2 ** 53)).toThrow(ConfigError);
    const random = new Random(0);
    expect(() => randomInteger(random, 0, 0, 0)).toThrow('random: expected a bound from 1 to 2^32, got 0.');
  });
});

function chiSquare(bins: readonly number[], expected: number): number {
  return bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

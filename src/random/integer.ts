/** Whole numbers out of random words. */
import { multiplyHigh, type Random } from './philox.ts';

/**
 * Draws a whole number, all equally likely: the upper word of (random word × bound), with the few products rejected that
 * would favour some results (D. Lemire, "Fast random integer generation in an interval", 2019). A rejected word is
 * followed by the next one of its counter, then by the counter's next attempt.
 *
 * @param random - Where the words come from.
 * @param bound - How many numbers there are to choose from, 1 … 2^32.
 * @param stream - What the number is for, 0 … 2^32 − 1.
 * @param index - Which number of the stream, 0 … 2^53 − 1.
 * @returns 0 … bound − 1.
 */
export function randomInteger(random: Random, bound: number, stream: number, index: number): number {
  if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32)
    throw new RangeError(`random: expected a bound from 1 to 2^32, got ${bound}.`);
  const rejected = 2 ** 32 % bound; // how many of the 2^32 words are too many
  for (let attempt = 0; ; attempt++) {
    const words = random.words(stream, index, attempt);
    for (let i = 0; i < 4; i++) {
      if (bound === 2 ** 32) return words[i]!;
      if (Math.imul(words[i]!, bound) >>> 0 >= rejected) return multiplyHigh(words[i]!, bound);
    }
  }
}

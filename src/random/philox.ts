/**
 * Random numbers as a function: Philox4x32-10 turns a counter and a key into four 32-bit numbers, the same ones as
 * `assembly/math/philox.ts`. Nothing is remembered between calls, so any draw can be repeated, skipped or made elsewhere.
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */
import { ConfigError } from '../errors.ts';

// Multipliers and Weyl constants of the paper, section 3.3 and table 2.
const PHILOX_M0 = 0xd2511f53;
const PHILOX_M1 = 0xcd9e8d57;
const PHILOX_W0 = 0x9e3779b9; // golden ratio
const PHILOX_W1 = 0xbb67ae85; // √3 − 1
const PHILOX_ROUNDS = 10;

/**
 * Computes the four words of one counter under one key.
 *
 * @param counter - Four words, unsigned; a `Uint32Array` or any array of 0 … 2^32 − 1.
 * @param key - Two words.
 * @param out - Receives the words. Default a new array.
 * @returns `out`.
 * @example
 * ```ts
 * philox([0, 0, 0, 0], [0, 0]); // Uint32Array [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
 * ```
 */
export function philox(
  counter: ArrayLike<number>,
  key: ArrayLike<number>,
  out: Uint32Array = new Uint32Array(4),
): Uint32Array {
  let c0 = counter[0]! >>> 0;
  let c1 = counter[1]! >>> 0;
  let c2 = counter[2]! >>> 0;
  let c3 = counter[3]! >>> 0;
  let k0 = key[0]! | 0;
  let k1 = key[1]! | 0;
  for (let round = 0; round < PHILOX_ROUNDS; round++) {
    const high0 = multiplyHigh(PHILOX_M0, c0);
    const high1 = multiplyHigh(PHILOX_M1, c2);
    const low0 = Math.imul(PHILOX_M0, c0);
    const low1 = Math.imul(PHILOX_M1, c2);
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + PHILOX_W0) | 0;
    k1 = (k1 + PHILOX_W1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
  return out;
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers, from four products of 16-bit halves. */
export function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  // Every sum stays below 2^53, where doubles are exact.
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  return aHigh * bHigh + Math.floor(middle / 0x10000) + (((aLow * bHigh + (middle & 0xffff)) / 0x10000) >>> 0);
}

/**
 * Checks a seed.
 *
 * @param seed - The value that was passed as a seed.
 * @param where - What the message names.
 * @returns The seed.
 * @throws {ConfigError} When it is not a whole number from 0 to 2^53 − 1.
 */
export function checkSeed(seed: number, where: string): number {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ConfigError(
      `${where}: expected seed to be a whole number from 0 to 2^53 − 1, got ${String(seed)}. Give such a number, or leave it out for 0.`,
    );
  return seed;
}

/**
 * The random numbers of one seed. A draw is named by a stream (what it is for) and an index (which one); equal names give
 * equal numbers, in any order and on any host.
 *
 * @example
 * ```ts
 * const random = new Random(7);
 * random.uniform(0, 3); // the fourth number of stream 0, whatever was drawn before
 * randomInteger(random, 6, 1, 0) + 1; // a die
 * ```
 */
export class Random {
  readonly seed: number;
  readonly #key: Uint32Array;
  readonly #counter = new Uint32Array(4);
  readonly #words = new Uint32Array(4);

  /**
   * @param seed - A whole number from 0 to 2^53 − 1; its low and high 32 bits are the key.
   * @throws {ConfigError} When it is not.
   */
  constructor(seed: number) {
    this.seed = checkSeed(seed, 'random');
    this.#key = new Uint32Array([seed % 2 ** 32, Math.floor(seed / 2 ** 32)]);
  }

  /**
   * Draws four words of 32 bits, which the next call overwrites.
   *
   * @param stream - What they are for, 0 … 2^32 − 1.
   * @param index - Which number of the stream, 0 … 2^53 − 1.
   * @param attempt - Which four of the number's words.
   */
  words(stream: number, index: number, attempt: number): Uint32Array {
    const counter = this.#counter; // index low, index high, stream, attempt
    counter[0] = index;
    counter[1] = Math.floor(index / 2 ** 32);
    counter[2] = stream;
    counter[3] = attempt;
    return philox(counter, this.#key, this.#words);
  }

  /**
   * Draws from [0, 1), every multiple of 2^−53 equally likely.
   *
   * @param stream - What the number is for, 0 … 2^32 − 1.
   * @param index - Which number of the stream, 0 … 2^53 − 1.
   */
  uniform(stream: number, index: number): number {
    const [a, b] = this.words(stream, index, 0);
    return ((a! >>> 5) * 2 ** 26 + (b! >>> 6)) / 2 ** 53;
  }
}

/**
 * The largest of many numbers without sorting them: radix selection. A pass over the keys adds up, for each value of the
 * next 11 bits, how many there are or how much they weigh; the digit at which the sum from above reaches the target is
 * where the border runs, and the next pass looks at that digit only. Three passes, whatever the numbers are.
 */

/** 32 bits, from the top: 11 + 11 + 10. */
const DIGITS = [
  { shift: 21, count: 2048 },
  { shift: 10, count: 2048 },
  { shift: 0, count: 1024 },
] as const;

/** Where the top ends: it has all larger keys, and the first `ties` of those with exactly this key. */
export interface Border {
  readonly key: number;
  /** At least 1, counted from the lowest index. */
  readonly ties: number;
}

/**
 * Maps floats to unsigned words of the same order; −0 and 0 are equal. Not for NaN.
 *
 * @param keys - Receives the words, as many as there are scores.
 * @param scores - The floats.
 */
export function orderedKeys(keys: Uint32Array, scores: Float32Array): void {
  const words = new Int32Array(scores.buffer, scores.byteOffset, scores.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    keys[i] = word >= 0 ? word | 0x80000000 : word === -0x80000000 ? 0x80000000 : ~word;
  }
}

/**
 * Finds the fewest largest keys that together reach a target.
 *
 * @param keys - The keys, at least one.
 * @param weights - What each counts for, 0 or more; undefined: 1 each.
 * @param target - What the sum over the top must reach. Where all together do not reach it, all are the top.
 */
export function findBorder(keys: Uint32Array, weights: Float64Array | undefined, target: number): Border {
  const sums = new Float64Array(DIGITS[0].count);
  const used = new Uint8Array(DIGITS[0].count);
  let above = 0; // the sum over keys that are larger in the digits fixed so far
  let prefix = 0;
  let mask = 0;
  for (const { shift, count } of DIGITS) {
    sums.fill(0);
    used.fill(0);
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!;
      if ((key & mask) >>> 0 !== prefix) continue;
      const digit = (key >>> shift) & (count - 1);
      sums[digit]! += weights ? weights[i]! : 1;
      used[digit] = 1;
    }
    const lowest = used.indexOf(1);
    let border = count - 1;
    while (border > lowest && !(used[border] && above + sums[border]! >= target)) above += sums[border--]!;
    prefix = (prefix | (border << shift)) >>> 0;
    mask = (mask | ((count - 1) << shift)) >>> 0;
  }
  let ties = 0;
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] !== prefix) continue;
    ties++;
    above += weights ? weights[i]! : 1;
    if (above >= target) break;
  }
  return { key: prefix, ties };
}

/** Sets of code points, and white space. */

/**
 * A set of code points, kept as the sorted starts and ends of its ranges. Packed, they are the steps from each to the next: of a
 * number the last digit in base 32, after the others in base 26 as capital letters. Pages load such a set, so it is short.
 */
export class CodePointSet {
  readonly #bounds: Int32Array;
  readonly #ascii: Uint8Array;

  constructor(packed: string) {
    let at = 0;
    this.#bounds = Int32Array.from(packed.match(/[A-Z]*./g)!, (step) => {
      let high = 0;
      for (let i = 0; i < step.length - 1; i++) high = high * 26 + step.charCodeAt(i) - 65;
      at += high * 32 + Number.parseInt(step.at(-1)!, 32);
      return at;
    });
    this.#ascii = Uint8Array.from({ length: 128 }, (_, code) => (this.#search(code) ? 1 : 0));
  }

  has(code: number): boolean {
    return code < 128 ? this.#ascii[code] === 1 : this.#search(code);
  }

  #search(code: number): boolean {
    // An odd number of bounds at or below the code: inside a range.
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#bounds[middle]! <= code) low = middle + 1;
      else high = middle;
    }
    return (low & 1) === 1;
  }
}

/** Whether the code point has the property White_Space; the set has been closed for many versions of Unicode. */
export function isSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return (
    code === 0x85 ||
    code === 0xa0 ||
    code === 0x1680 ||
    (code >= 0x2000 && code <= 0x200a) ||
    code === 0x2028 ||
    code === 0x2029 ||
    code === 0x202f ||
    code === 0x205f ||
    code === 0x3000
  );
}

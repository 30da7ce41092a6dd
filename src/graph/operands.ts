/** The arguments of a recorded operation, read by descriptor word: for gradients and costs. */
import type { FieldValue, Operation } from './graph.ts';
import type { Extent, Region, Tensor } from './tensor.ts';

/** What an operation was recorded with. Reading a word as something that it is not is an error. */
export interface Operands {
  /** A word that was not recorded is 0, as in the descriptor. */
  number(word: number): number;
  /** A count of rows or segments: fixed, or set by each run. */
  extent(word: number): Extent;
  tensor(word: number): Tensor;
  /** Undefined where the pointer is absent. */
  optionalTensor(word: number): Tensor | undefined;
  region(word: number): Region;
}

export function operandsOf({ opcode, label, fields }: Operation): Operands {
  const byWord = new Map<number, FieldValue>(fields);
  const value = (word: number) => byWord.get(word) ?? 0;
  const wrong = (word: number, expected: string) =>
    new Error(`${label}: expected ${expected} in word ${word} of operation ${opcode}, got something else.`);
  const optionalTensor = (word: number) => {
    const found = value(word);
    if (found === 0) return undefined;
    if (typeof found === 'object' && 'storage' in found) return found;
    throw wrong(word, 'a tensor');
  };
  return {
    number(word) {
      const found = value(word);
      if (typeof found === 'number') return found;
      throw wrong(word, 'a number');
    },
    extent(word) {
      const found = value(word);
      if (typeof found === 'number' || 'index' in found) return found;
      throw wrong(word, 'a size');
    },
    tensor(word) {
      const found = optionalTensor(word);
      if (found) return found;
      throw wrong(word, 'a tensor');
    },
    optionalTensor,
    region(word) {
      const found = value(word);
      if (typeof found === 'object' && 'address' in found) return found;
      throw wrong(word, 'a region');
    },
  };
}

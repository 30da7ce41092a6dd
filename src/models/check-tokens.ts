/** Token ids from outside. */
import { DataError } from '../errors.ts';

/** Kernels index tables with ids unchecked, so every id from outside passes here. */
export function checkTokens(tokens: ArrayLike<number>, vocabSize: number, where: string): void {
  for (let i = 0; i < tokens.length; i++) {
    const id = tokens[i]!;
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize))
      throw new DataError(
        `${where}: expected token ids from 0 to ${vocabSize - 1}, got ${id} at ${i}. Encode the text with the model's own tokenizer.`,
      );
  }
}

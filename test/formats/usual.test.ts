/** Readers of what is usual: they know what libraries write, and say nothing that the strict readers would not say. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCanonicalHeader } from '../../src/formats/canonical-header.ts';
import { readSafetensorsHeader } from '../../src/formats/index.ts';
import { fileBytes, tensor, WatchedFile } from './support.ts';

/** Text with some of it cut out and something else put in. */
const damage = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.nat(6),
  fc.constantFrom('', '"', '0', '-', '}', ',', 'null', '[]', '9', '.0', '\\u0061', '"n_embd":8,', ' '),
);
const damaged = (text: string, [where, length, insert]: [number, number, string]) => {
  const at = Math.floor(where * text.length);
  return text.slice(0, at) + insert + text.slice(at + length);
};

/** What the strict reader says, or undefined when it refuses. */
async function strict<T>(read: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}

describe('header of safetensors', () => {
  const HEADER = `{"__metadata__":{"format":"pt"},${tensor('w', 'F32', [2, 3], 0, 24)},${tensor('é"', 'I64', [1], 24, 32)}}`;

  it('as the Rust library writes it is read', async () => {
    for (const text of [HEADER, `${HEADER}    `, `{${tensor('w', 'BF16', [16], 0, 32)}}`]) {
      const file = new WatchedFile(fileBytes(text, 32));
      expect(await readCanonicalHeader(file)).toEqual(await readSafetensorsHeader(file));
    }
  });

  it('says what the strict reader says, or nothing', async () => {
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        const file = new WatchedFile(fileBytes(damaged(HEADER, how), 32));
        const found = await readCanonicalHeader(file);
        if (found !== undefined) expect(found).toEqual(await strict(() => readSafetensorsHeader(file)));
      }),
      { numRuns: 3000 },
    );
    for (const size of [0, 7, 8, 20]) {
      const file = new WatchedFile(fileBytes(HEADER, 32).subarray(0, size));
      expect(await readCanonicalHeader(file)).toBeUndefined();
    }
  });
});

/** SHA-256 in pieces against Node's. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { Sha256, sha256 } from '../../src/files/sha256.ts';

const bytes = new Uint8Array(3000).map((_, i) => (i * 167) ^ (i >>> 3));
const expected = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

it('has the values of FIPS 180-4', () => {
  expect(sha256(new TextEncoder().encode('abc'))).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  expect(sha256(new Uint8Array(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
});

it('is right around the ends of blocks', () => {
  for (let n = 0; n <= 200; n++)
    expect(sha256(bytes.subarray(0, n)), `${n} bytes`).toBe(expected(bytes.subarray(0, n)));
});

it('does not depend on how bytes are cut', () => {
  for (const step of [1, 7, 63, 64, 65, 1000]) {
    const hash = new Sha256();
    for (let i = 0; i < bytes.length; i += step) hash.update(bytes.subarray(i, i + step));
    expect(hash.hex(), `steps of ${step}`).toBe(expected(bytes));
  }
});

it('counts more than 2^32 bits', () => {
  const piece = new Uint8Array(2 ** 24 + 1).fill(5);
  const hash = new Sha256();
  const reference = createHash('sha256');
  for (let i = 0; i < 33; i++) {
    hash.update(piece);
    reference.update(piece);
  }
  expect(hash.hex()).toBe(reference.digest('hex'));
});

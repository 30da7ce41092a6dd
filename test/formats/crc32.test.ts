/** CRC-32 against the definition, bit by bit, and against zlib's where the runtime has it. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { crc32 } from '../../src/formats/index.ts';

/** The register of the polynomial, one bit at a time. */
function bitwise(bytes: Uint8Array): number {
  let register = 0xffffffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const odd = (register ^ (byte >>> bit)) & 1;
      register = (register >>> 1) ^ (odd ? 0xedb88320 : 0);
    }
  return ~register >>> 0;
}

const bytes = Uint8Array.from({ length: 200 }, (_, i) => Math.imul(i + 1, 2654435761) >>> 24);

describe('crc32', () => {
  it('has the check value of the standard', () => {
    expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  });

  it('equals the definition at every length and offset', () => {
    const { crc32: native } = zlib as { crc32?: (data: Uint8Array) => number };
    for (let start = 0; start < 9; start++)
      for (let end = start; end < 60; end++) {
        const part = bytes.subarray(start, end);
        expect(crc32(part)).toBe(bitwise(part));
        if (native) expect(crc32(part)).toBe(native(part));
      }
  });

  it('goes on from the CRC of what stands in front', () => {
    for (let cut = 0; cut <= bytes.length; cut += 7)
      expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(crc32(bytes));
  });
});

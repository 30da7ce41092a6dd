/** Half precision to f32, bit for bit. */
import { describe, expect, it } from 'vitest';
import { convertToF32 } from '../../src/formats/index.ts';

/** The value of an f16 by its definition. */
function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

const bytesOf = (words: number[]): Uint8Array => new Uint8Array(Uint16Array.from(words).buffer);
const bitsOf = (values: Float32Array): number[] => [
  ...new Uint32Array(values.buffer, values.byteOffset, values.length),
];

describe('convertToF32', () => {
  it('converts F16 by hand-computed bits', () => {
    const table: [half: number, single: number][] = [
      [0x0000, 0x00000000], // 0
      [0x8000, 0x80000000], // -0
      [0x3c00, 0x3f800000], // 1
      [0xc000, 0xc0000000], // -2
      [0x3555, 0x3eaaa000], // nearest to 1/3
      [0x7bff, 0x477fe000], // 65504, the largest
      [0x0400, 0x38800000], // 2^-14, the smallest normal
      [0x03ff, 0x387fc000], // the largest subnormal
      [0x0001, 0x33800000], // 2^-24, the smallest
      [0x8001, 0xb3800000],
      [0x7c00, 0x7f800000], // infinity
      [0xfc00, 0xff800000],
      [0x7e00, 0x7fc00000], // quiet NaN
      [0x7c01, 0x7f802000], // signalling NaN, payload kept
      [0xffff, 0xffffe000],
    ];
    const out = new Float32Array(table.length);
    expect(convertToF32('F16', bytesOf(table.map(([half]) => half)), out)).toBe(table.length);
    expect(bitsOf(out)).toEqual(table.map(([, single]) => single));
  });

  it('converts each of the 65536 F16 values by the definition', () => {
    const all = Array.from({ length: 65536 }, (_, bits) => bits);
    const out = new Float32Array(65536);
    convertToF32('F16', bytesOf(all), out);
    for (const bits of all) if (!Object.is(out[bits], f16Value(bits))) expect.unreachable(`bits ${bits}: ${out[bits]}`);
  });

  it('converts each of the 65536 BF16 values: the upper half of an f32', () => {
    const all = Array.from({ length: 65536 }, (_, bits) => bits);
    const out = new Float32Array(65536);
    convertToF32('BF16', bytesOf(all), out);
    const bits = new Uint32Array(out.buffer);
    for (const word of all) if (bits[word] !== word * 65536) expect.unreachable(`bits ${word}`);
    expect(out[0x3f80]).toBe(1);
    expect(out[0x0001]).toBe(2 ** -133);
    expect(out[0xff80]).toBe(Number.NEGATIVE_INFINITY);
    expect(out[0x7fc0]).toBeNaN();
  });

  it('copies F32 with every bit, NaN payloads too, at any alignment', () => {
    const words = Uint32Array.of(0x7f800001, 0xffc12345, 0x00000001, 0x80000000, 0x3f800000);
    const shifted = new Uint8Array(words.byteLength + 3);
    shifted.set(new Uint8Array(words.buffer), 3);
    const out = new Float32Array(7);
    expect(convertToF32('F32', shifted.subarray(3), out)).toBe(5);
    expect(bitsOf(out)).toEqual([...words, 0, 0]);
  });

  it('reads half precision at odd addresses', () => {
    const bytes = new Uint8Array([9, 0x00, 0x3c, 0x00, 0xc0]).subarray(1);
    const out = new Float32Array(2);
    convertToF32('F16', bytes, out);
    expect([...out]).toEqual([1, -2]);
  });

  it('refuses parts of elements and targets that are too short', () => {
    expect(() => convertToF32('F32', new Uint8Array(6), new Float32Array(2))).toThrow(RangeError);
    expect(() => convertToF32('F16', new Uint8Array(3), new Float32Array(2))).toThrow(
      'convertToF32: expected whole F16 elements, at most 2, got 3 bytes.',
    );
    expect(() => convertToF32('BF16', new Uint8Array(6), new Float32Array(2))).toThrow(RangeError);
  });
});

/** Half precision to f32 and back, bit for bit. */
import { describe, expect, it } from 'vitest';
import { convertFromF32, convertToF32 } from '../../src/formats/index.ts';

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

describe('convertFromF32', () => {
  const wordsOf = (bytes: Uint8Array) => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

  it('gives each finite F16 back', () => {
    const finite = all.filter((bits) => (bits & 0x7c00) !== 0x7c00);
    expect(finite.length).toBe(2 * 0x7c00);
    const values = Float32Array.from(finite, f16Value); // by the definition, not by convertToF32
    const bytes = convertFromF32('F16', values);
    expect(bytes.length).toBe(2 * finite.length);
    wordsOf(bytes).forEach((bits, i) => {
      if (bits !== finite[i]) expect.unreachable(`${values[i]}: ${bits}, expected ${finite[i]}`);
    });
  });

  it('gives each BF16 back, infinities and NaN too', () => {
    const bits = Uint32Array.from(all, (half) => half * 65536);
    wordsOf(convertFromF32('BF16', new Float32Array(bits.buffer))).forEach((half, i) => {
      if (half !== i) expect.unreachable(`bits ${i}: ${half}`);
    });
  });

  it('is the inverse of convertToF32', () => {
    for (const dtype of ['F16', 'BF16'] as const) {
      const finite = all.filter((bits) => (bits & 0x7c00) !== 0x7c00);
      const values = new Float32Array(finite.length);
      convertToF32(dtype, new Uint8Array(finite.buffer), values);
      expect(Buffer.compare(convertFromF32(dtype, values), new Uint8Array(finite.buffer)), dtype).toBe(0);
    }
  });

  it('takes a part of an array, and leaves it as it is', () => {
    const values = Float32Array.of(9, 1, -2, 0.5, 9);
    const part = values.subarray(1, 4);
    expect([...wordsOf(convertFromF32('F16', part))]).toEqual([0x3c00, 0xc000, 0x3800]);
    expect([...wordsOf(convertFromF32('BF16', part))]).toEqual([0x3f80, 0xc000, 0x3f00]);
    const bytes = convertFromF32('F32', part);
    expect([bytes.buffer, bytes.byteOffset, bytes.length]).toEqual([values.buffer, 4, 12]);
    expect([...values]).toEqual([9, 1, -2, 0.5, 9]);
    for (const dtype of ['F32', 'F16', 'BF16'] as const)
      expect(convertFromF32(dtype, new Float32Array(0)).length).toBe(0);
  });
});

/** f32 back to the element types of weights (`convert.ts`): what saving writes. */

import type { FloatDtype } from './dtype.ts';

/**
 * The bytes of values that the element type holds exactly, as all that `convertToF32` gives are.
 * @param dtype 'F32', 'F16' or 'BF16'.
 * @param values finite for F16.
 * @returns little-endian bytes; of F32 those of `values` themselves.
 */
export function convertFromF32(dtype: FloatDtype, values: Float32Array<ArrayBuffer>): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  if (dtype === 'BF16') for (let i = 0; i < halves.length; i++) halves[i] = bits[i]! >>> 16;
  else for (let i = 0; i < halves.length; i++) halves[i] = halfOf(bits[i]!);
  return new Uint8Array(halves.buffer);
}

/** The f16 that has the value of an f32, given and returned by their bits. */
function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  const mantissa = bits & 0x7fffff;
  if (exponent > 0) return sign | (exponent << 10) | (mantissa >>> 13);
  return exponent < -10 ? sign : sign | ((mantissa | 0x800000) >>> (14 - exponent)); // subnormal, zero
}

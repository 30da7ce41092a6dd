/**
 * Weights of 16 bits to f32 and back, exactly: every f16 and bf16 value, subnormal, infinity and NaN included, is an f32 value.
 *
 *   f32   s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm
 *   bf16  s eeeeeeee mmmmmmm                     its upper half
 *   f16   s eeeee mmmmmmmmmm                     exponent bias 15 instead of 127
 *
 * Files are little-endian, and so is every host of WebAssembly's typed arrays that this package runs on.
 */

import type { FloatDtype } from './dtype.ts';

/** The f32 bits of an f16 given by its bits. */
function halfBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const mantissa = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13); // infinity, NaN with its payload
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21; // subnormal: mantissa · 2^-24, normalized
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

let table: Uint32Array | undefined;

/** The f32 bits of all f16: looking up takes a third of the time of computing. */
function halfTable(): Uint32Array {
  table ??= Uint32Array.from({ length: 65536 }, (_, half) => halfBits(half));
  return table;
}

/**
 * Converts little-endian bytes to f32, bit for bit.
 * @param dtype 'F32' (a copy), 'F16' or 'BF16'.
 * @param bytes whole elements, at any alignment.
 * @param out receives as many values as `bytes` holds, from its start.
 * @returns how many values were written.
 * @throws RangeError when `bytes` ends inside an element, or `out` is shorter.
 */
export function convertToF32(dtype: FloatDtype, bytes: Uint8Array, out: Float32Array): number {
  const count = bytes.length / (dtype === 'F32' ? 4 : 2);
  if (!Number.isInteger(count) || count > out.length) {
    throw new RangeError(
      `convertToF32: expected whole ${dtype} elements, at most ${out.length}, got ${bytes.length} bytes.`,
    );
  }
  if (dtype === 'F32') {
    new Uint8Array(out.buffer, out.byteOffset, bytes.length).set(bytes);
    return count;
  }
  const bits = new Uint32Array(out.buffer, out.byteOffset, count);
  const halves = halfWords(bytes, count);
  if (dtype === 'BF16') for (let i = 0; i < count; i++) bits[i] = halves[i]! << 16;
  else for (let i = 0, table = halfTable(); i < count; i++) bits[i] = table[halves[i]!]!;
  return count;
}

function halfWords(bytes: Uint8Array, count: number): Uint16Array {
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, count);
  return new Uint16Array(bytes.slice().buffer, 0, count);
}

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

/**
 * The element types of safetensors, with their sizes
 * (huggingface/safetensors `safetensors/src/tensor.rs`, `enum Dtype` and `bitsize`).
 */

/** Element type → bits per element, in the order in which the Rust writer sorts (last first). */
export const BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Name of an element type as it stands in a file. */
export type TensorDtype = keyof typeof BITS;

/** Element types that become f32 without loss. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

/** Whether a string names an element type. */
export function isTensorDtype(name: string): name is TensorDtype {
  return Object.hasOwn(BITS, name);
}

/**
 * Bits per element.
 * @param dtype element type.
 * @returns 4, 6, 8, 16, 32 or 64.
 */
export function dtypeBits(dtype: TensorDtype): number {
  return BITS[dtype];
}

/**
 * Number of elements of a shape, by checked multiplication.
 * @param shape sizes; [] is one element.
 * @returns the product, or undefined when it or a partial product passes 2^53 − 1.
 */
export function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

/**
 * Bytes of a tensor.
 * @param dtype element type.
 * @param shape sizes.
 * @returns the bytes, or undefined when they pass 2^53 − 1 or do not fill whole bytes (4- and 6-bit elements).
 */
export function tensorBytes(dtype: TensorDtype, shape: readonly number[]): number | undefined {
  const count = elementCount(shape);
  if (count === undefined) return undefined;
  const bits = count * dtypeBits(dtype);
  return Number.isSafeInteger(bits) && bits % 8 === 0 ? bits / 8 : undefined;
}

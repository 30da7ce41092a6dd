/** bf16: [32 steps][16 columns] of u16, the upper halves of floats, rounded to nearest, ties to even. */

/** Four floats → bf16 in the lower halves of four words, rounded to nearest, ties to even; NaN stays NaN. */
// @ts-ignore: decorator
@inline export function roundBf16(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const rounded = i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd);
  return i32x4.shr_u(v128.bitselect(v128.or(x, i32x4.splat(0x400000)), rounded, f32x4.ne(x, x)), 16);
}

/** `count` floats → bf16. */
export function encodeBf16(dst: usize, src: usize, count: i32): void {
  for (; count >= 8; count -= 8) {
    v128.store(dst, i16x8.narrow_i32x4_u(roundBf16(v128.load(src)), roundBf16(v128.load(src, 16))));
    src += 32;
    dst += 16;
  }
  for (; count > 0; count--) {
    v128.store_lane<u16>(dst, roundBf16(v128.load32_zero(src)), 0);
    src += 4;
    dst += 2;
  }
}

/** `count` bf16 → floats, exactly; a multiple of 8. */
export function decodeBf16(dst: usize, src: usize, count: i32): void {
  for (; count > 0; count -= 8) {
    v128.store(dst, i32x4.shl(v128.load16x4_u(src), 16));
    v128.store(dst, i32x4.shl(v128.load16x4_u(src, 8), 16), 16);
    src += 16;
    dst += 32;
  }
}

export function valueBf16(at: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(at) << 16);
}

/** f16: [32 steps][16 columns] of u16, rounded to nearest, ties to even. */

/** The largest finite f16. */
const F16_MAX: f32 = 65504;

/** `count` floats → f16. Returns whether all fit: magnitudes above 65,504 and NaN do not. */
export function encodeF16(dst: usize, src: usize, count: i32): bool {
  let fits = true;
  for (; count > 0; count--) {
    const x = load<f32>(src);
    fits = fits && abs(x) <= F16_MAX;
    store<u16>(dst, halfBits(x));
    src += 4;
    dst += 2;
  }
  return fits;
}

/** The bits of x as f16, for |x| ≤ 65,504. */
// @ts-ignore: decorator
@inline function halfBits(x: f32): u16 {
  const bits = reinterpret<u32>(x), sign = (bits >>> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  // Below 2^-14 adding 0.5 rounds to multiples of 2^-24; above, half a unit in the last place is added to the bits.
  const small = reinterpret<u32>(reinterpret<f32>(magnitude) + <f32>0.5) - 0x3f000000;
  const normal = (magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13;
  return <u16>(sign | (magnitude < 0x38800000 ? small : normal));
}

/** `count` f16 → floats, exactly; a multiple of 4. 2^112 moves the exponent, also of subnormal numbers. */
export function decodeF16(dst: usize, src: usize, count: i32): void {
  const mask = i32x4.splat(0x8fffe000), power = f32x4.splat(reinterpret<f32>(0x77800000));
  for (; count > 0; count -= 16) {
    v128.store(dst, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(src), 13), mask), power));
    v128.store(dst, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(src, 8), 13), mask), power), 16);
    v128.store(dst, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(src, 16), 13), mask), power), 32);
    v128.store(dst, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(src, 24), 13), mask), power), 48);
    src += 32;
    dst += 64;
  }
}

export function valueF16(at: usize): f32 {
  return reinterpret<f32>((<i32>load<i16>(at) << 13) & 0x8fffe000) * reinterpret<f32>(0x77800000);
}

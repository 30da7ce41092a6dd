/**
 * Encodings of weights: how steps (k) × 16 columns of floats become bytes, and back: chunks of 32 steps, in blocks that share
 * scales.
 *
 *   packed      [32][16] f32                                       as it is
 *   f16, bf16   [32][16] u16                                       rounded to nearest, ties to even
 *   q8          blocks of two chunks, the last one of a panel of one or two;
 *               scale s of each column: the smallest bf16 ≥ max |w| / 127;  q = nearest(w / s), −127 … 127
 *               ┌──────────────┬────────────────┬──────────────────────────────────────────────┬── ┈
 *               │ 16 scales    │ 16 × −Σq, i16  │ 8 lines of 64 bytes: [16 columns][4 k] of i8 │ 8 lines …  64 + chunks × 512 bytes
 *               └──────────────┴────────────────┴──────────────────────────────────────────────┴── ┈
 *   q4          blocks of one chunk; s: of some bf16 near m / −8, m the value of largest magnitude, the one with the least squared error;
 *               q = nearest(w / s) + 8, clamped to 0 … 15
 *               ┌──────────────┬───────────────────────────────────────────────────────────────┐
 *               │ 16 scales    │ 4 lines of 64 bytes: [16 columns][4 bytes], 8 k of a column:  │  288 bytes
 *               └──────────────┤  byte i holds k = i in its low and k = 4 + i in its high half │
 *                              └───────────────────────────────────────────────────────────────┘
 *
 * bf16 scales cost no accuracy: integers are found for the scale as it is stored. All arithmetic is f32, in an order that
 * test/kernels/weights-twin.ts repeats. Where blocks stand: panel.ts.
 */
import * as op from '../abi';

/** Candidates for the scale of q4: m divided by these. */
const Q4_CANDIDATES: i32 = 9;
const Q4_FIRST: f32 = -8.5, Q4_STEP: f32 = 0.25;

/** The largest finite f16. */
const F16_MAX: f32 = 65504;

// @ts-ignore: decorator
@inline function row(tile: usize, k: i32): v128 {
  return v128.load(tile + (<usize>k << 6));
}

/** |x| < ∞ in all lanes. */
// @ts-ignore: decorator
@inline function allFinite(magnitude: v128): bool {
  return i32x4.all_true(f32x4.lt(magnitude, f32x4.splat(Infinity)));
}

/** max |w| of four columns; NaN where a value is NaN. */
function largest(tile: usize, steps: i32): v128 {
  let max = f32x4.splat(0);
  for (let k = 0; k < steps; k++) max = f32x4.max(max, f32x4.abs(row(tile, k)));
  return max;
}

/** x rounded away from 0 to bf16, as f32. */
// @ts-ignore: decorator
@inline function upToBf16(x: v128): v128 {
  return v128.and(i32x4.add(x, i32x4.splat(0xffff)), i32x4.splat(0xffff0000));
}

/** The upper halves of four words. */
// @ts-ignore: decorator
@inline function storeUpperHalves(at: usize, x: v128): void {
  v128.store_lane<u64>(at, i8x16.shuffle(x, x, 2, 3, 6, 7, 10, 11, 14, 15, 2, 3, 6, 7, 10, 11, 14, 15), 0);
}

/** nearest(x / scale) as integers; 0 where the scale is 0. */
// @ts-ignore: decorator
@inline function quotient(x: v128, scale: v128, nonzero: v128): v128 {
  return v128.and(i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(x, scale))), nonzero);
}

/** A block of floats [steps][16] → q8, steps whole chunks. Returns whether all were finite. */
export function encodeQ8(dst: usize, tile: usize, steps: i32): bool {
  let finite = true;
  for (let column: usize = 0; column < 16; column += 4) {
    const src = tile + (column << 2), max = largest(src, steps);
    finite = finite && allFinite(max);
    const scale = upToBf16(f32x4.div(max, f32x4.splat(127)));
    const nonzero = f32x4.gt(scale, f32x4.splat(0));
    storeUpperHalves(dst + (column << 1), scale);
    let sum = i32x4.splat(0), line = dst + op.Q8_HEAD_BYTES + (column << 2);
    const low = i32x4.splat(127), high = i32x4.splat(-127), byte = i32x4.splat(255);
    for (let k = 0; k < steps; k += 4) {
      let bytes = i32x4.splat(0);
      for (let i = 3; i >= 0; i--) {
        const q = i32x4.max_s(i32x4.min_s(quotient(row(src, k + i), scale, nonzero), low), high);
        sum = i32x4.sub(sum, q);
        bytes = v128.or(i32x4.shl(bytes, 8), v128.and(q, byte));
      }
      v128.store(line, bytes);
      line += 64;
    }
    v128.store_lane<u64>(dst + 32 + (column << 1), i16x8.narrow_i32x4_s(sum, sum), 0);
  }
  return finite;
}

/** The same back. */
export function decodeQ8(tile: usize, src: usize, steps: i32): void {
  for (let column: usize = 0; column < 16; column += 4) {
    const scale = scales(src + (column << 1));
    let line = src + op.Q8_HEAD_BYTES + (column << 2), dst = tile + (column << 2);
    for (let k = 0; k < steps; k += 4) {
      let bytes = v128.load(line);
      for (let i = 0; i < 4; i++) {
        v128.store(dst, f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(bytes, 24), 24)), scale));
        bytes = i32x4.shr_u(bytes, 8);
        dst += 64;
      }
      line += 64;
    }
  }
}

/** Four bf16 scales as floats. */
// @ts-ignore: decorator
@inline export function scales(at: usize): v128 {
  return i32x4.shl(v128.load16x4_u(at), 16);
}

/** A block of floats [32][16] → q4. Returns whether all were finite. */
export function encodeQ4(dst: usize, tile: usize): bool {
  let finite = true;
  for (let column: usize = 0; column < 16; column += 4) {
    const src = tile + (column << 2), max = largest(src, op.Q4_BLOCK);
    finite = finite && allFinite(max);
    const scale = bestScaleQ4(src, max);
    const nonzero = f32x4.ne(scale, f32x4.splat(0));
    storeUpperHalves(dst + (column << 1), scale);
    let line = dst + 32 + (column << 2);
    for (let k = 0; k < 32; k += 8) {
      let bytes = i32x4.splat(0);
      for (let i = 3; i >= 0; i--) {
        const low = nibble(row(src, k + i), scale, nonzero), high = nibble(row(src, k + 4 + i), scale, nonzero);
        bytes = v128.or(i32x4.shl(bytes, 8), v128.or(low, i32x4.shl(high, 4)));
      }
      v128.store(line, bytes);
      line += 64;
    }
  }
  return finite;
}

/** nearest(x / scale) + 8 in 0 … 15. */
// @ts-ignore: decorator
@inline function nibble(x: v128, scale: v128, nonzero: v128): v128 {
  const q = i32x4.add(quotient(x, scale, nonzero), i32x4.splat(8));
  return i32x4.min_s(i32x4.max_s(q, i32x4.splat(0)), i32x4.splat(15));
}

/** The candidate with the least squared error; of several the first. */
function bestScaleQ4(src: usize, max: v128): v128 {
  let extreme = f32x4.splat(0);
  for (let k = 31; k >= 0; k--) { // the first of the largest magnitude
    const x = row(src, k);
    extreme = v128.bitselect(x, extreme, f32x4.eq(f32x4.abs(x), max));
  }
  let best = f32x4.splat(0), least = f32x4.splat(Infinity);
  // A power of two near 1 / max: squares of errors neither overflow nor vanish, whatever the magnitude of the weights.
  const exponent = i32x4.min_u(v128.and(max, i32x4.splat(0x7f800000)), i32x4.splat(252 << 23));
  const power = i32x4.sub(i32x4.splat(253 << 23), exponent);
  let divisor = Q4_FIRST;
  for (let candidate = 0; candidate < Q4_CANDIDATES; candidate++) {
    const scale = upToBf16(f32x4.div(extreme, f32x4.splat(divisor)));
    const nonzero = f32x4.ne(scale, f32x4.splat(0));
    let error = f32x4.splat(0);
    for (let k = 0; k < 32; k++) {
      const x = row(src, k);
      const q = f32x4.convert_i32x4_s(i32x4.sub(nibble(x, scale, nonzero), i32x4.splat(8)));
      const difference = f32x4.mul(f32x4.sub(x, f32x4.mul(q, scale)), power);
      error = f32x4.add(error, f32x4.mul(difference, difference));
    }
    const better = f32x4.lt(error, least);
    best = v128.bitselect(scale, best, better);
    least = v128.bitselect(error, least, better);
    divisor += Q4_STEP;
  }
  return best;
}

export function decodeQ4(tile: usize, src: usize): void {
  const eight = i32x4.splat(8), nibbleMask = i32x4.splat(15);
  for (let column: usize = 0; column < 16; column += 4) {
    const scale = scales(src + (column << 1));
    let line = src + 32 + (column << 2), dst = tile + (column << 2);
    for (let k = 0; k < 32; k += 8) {
      let bytes = v128.load(line);
      for (let i = 0; i < 4; i++) {
        const low = i32x4.sub(v128.and(bytes, nibbleMask), eight);
        const high = i32x4.sub(v128.and(i32x4.shr_u(bytes, 4), nibbleMask), eight);
        v128.store(dst, f32x4.mul(f32x4.convert_i32x4_s(low), scale));
        v128.store(dst + 256, f32x4.mul(f32x4.convert_i32x4_s(high), scale));
        bytes = i32x4.shr_u(bytes, 8);
        dst += 64;
      }
      dst += 256;
      line += 64;
    }
  }
}

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

/** `count` bf16 → floats, exactly; a multiple of 8. */
export function decodeBf16(dst: usize, src: usize, count: i32): void {
  for (; count > 0; count -= 8) {
    v128.store(dst, i32x4.shl(v128.load16x4_u(src), 16));
    v128.store(dst, i32x4.shl(v128.load16x4_u(src, 8), 16), 16);
    src += 16;
    dst += 32;
  }
}

// One value, for looking up a column: the same arithmetic as above.

export function valueF16(at: usize): f32 {
  return reinterpret<f32>((<i32>load<i16>(at) << 13) & 0x8fffe000) * reinterpret<f32>(0x77800000);
}

export function valueBf16(at: usize): f32 {
  return reinterpret<f32>(<u32>load<u16>(at) << 16);
}

/** Step k of column `column` of a q8 block. */
export function valueQ8(block: usize, column: usize, k: usize): f32 {
  return <f32>(<i32>load<i8>(block + op.Q8_HEAD_BYTES + (k >> 2 << 6) + (column << 2) + (k & 3))) * valueBf16(block + (column << 1));
}

/** Step k of column `column` of a q4 block. */
export function valueQ4(block: usize, column: usize, k: usize): f32 {
  const byte = <i32>load<u8>(block + 32 + (k >> 3 << 6) + (column << 2) + (k & 3));
  return <f32>((k & 4 ? byte >> 4 : byte & 15) - 8) * valueBf16(block + (column << 1));
}

if (op.Q4_BLOCK != op.ENCODING_CHUNK) ERROR('q4: blocks of several chunks');

/**
 * q4: blocks of one chunk of 32 steps. Scale s of each column: of some bf16 near m / −8, m the value of largest magnitude, the one with
 * the least squared error; q = nearest(w / s) + 8, clamped to 0 … 15.
 *
 *   ┌──────────────┬───────────────────────────────────────────────────────────────┐
 *   │ 16 scales    │ 4 lines of 64 bytes: [16 columns][4 bytes], 8 k of a column:  │  288 bytes
 *   └──────────────┤  byte i holds k = i in its low and k = 4 + i in its high half │
 *                  └───────────────────────────────────────────────────────────────┘
 */
import * as op from '../abi';
import { valueBf16 } from './bf16';
import { allFinite, largest, quotient, row, scales, storeUpperHalves, upToBf16 } from './integers';

/** Candidates for the scale: m divided by these. */
const Q4_CANDIDATES: i32 = 9;
const Q4_FIRST: f32 = -8.5, Q4_STEP: f32 = 0.25;

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

/** Step k of column `column` of a q4 block. */
export function valueQ4(block: usize, column: usize, k: usize): f32 {
  const byte = <i32>load<u8>(block + 32 + (k >> 3 << 6) + (column << 2) + (k & 3));
  return <f32>((k & 4 ? byte >> 4 : byte & 15) - 8) * valueBf16(block + (column << 1));
}

if (op.Q4_BLOCK != op.ENCODING_CHUNK) ERROR('q4: blocks of several chunks');

/**
 * q8: blocks of two chunks of 32 steps, the last one of a panel of one or two. Scale s of each column: the smallest bf16 ≥ max |w| / 127;
 * q = nearest(w / s), −127 … 127.
 *
 *   ┌──────────────┬────────────────┬──────────────────────────────────────────────┬── ┈
 *   │ 16 scales    │ 16 × −Σq, i16  │ 8 lines of 64 bytes: [16 columns][4 k] of i8 │ 8 lines …  64 + chunks × 512 bytes
 *   └──────────────┴────────────────┴──────────────────────────────────────────────┴── ┈
 */
import * as op from '../abi';
import { valueBf16 } from './bf16';
import { allFinite, largest, quotient, row, scales, storeUpperHalves, upToBf16 } from './integers';

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

/** Step k of column `column` of a q8 block. */
export function valueQ8(block: usize, column: usize, k: usize): f32 {
  return <f32>(<i32>load<i8>(block + op.Q8_HEAD_BYTES + (k >> 2 << 6) + (column << 2) + (k & 3))) * valueBf16(block + (column << 1));
}

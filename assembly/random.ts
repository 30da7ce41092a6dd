/** Normally distributed numbers: Philox and the transform of G. E. P. Box and M. E. Muller (1958). */
import * as op from './abi';
import { float, ptr, shareStart, size, word } from './interpreter/descriptor';
import { LINE_ELEMENTS, storeLanes } from './math/lanes';
import { logVector, sineOfTurn } from './math/math';
import { philox } from './math/philox';
import { madd } from './math/simd';

/** 2⁻³² and half of it: a random word w becomes (w + ½) / 2³², never 0, so a normal is at most √(66 ln 2) = 6.8. */
const WORD: f32 = 2.3283064365386963e-10;
const HALF_WORD: f32 = 1.1641532182693481e-10;

/** Four normals of one Philox block: radius from word 0, angle from word 1, cosine and sine; likewise words 2 and 3. */
// @ts-ignore: decorator
@inline function boxMuller(words: v128): v128 {
  const word = f32x4.convert_i32x4_u(i32x4.shuffle(words, words, 0, 0, 2, 2));
  const uniform = madd(word, f32x4.splat(WORD), f32x4.splat(HALF_WORD));
  const radius = f32x4.sqrt(f32x4.mul(logVector(uniform), f32x4.splat(-2)));
  // The cosine is a quarter of a turn ahead.
  const turn = i32x4.add(i32x4.shuffle(words, words, 1, 1, 3, 3), i64x2.splat(0x40000000));
  return f32x4.mul(radius, sineOfTurn(turn));
}

/** out[i] = mean + std · normal(i), count elements. Threads share them, a cache line at a time. */
export function randomNormal(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.RANDOM_NORMAL_COUNT);
  const out = ptr(d, op.RANDOM_NORMAL_OUT), seed = ptr(d, op.RANDOM_NORMAL_SEED);
  const mean = f32x4.splat(float(d, op.RANDOM_NORMAL_MEAN)), std = f32x4.splat(float(d, op.RANDOM_NORMAL_STD));
  const stream = <u32>word(d, op.RANDOM_NORMAL_STREAM);
  const key0 = load<u32>(seed), key1 = load<u32>(seed, 4), run = load<u32>(seed, 8);
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  while (i < end) {
    let normals = madd(boxMuller(philox(<u32>(i >> 4), 0, stream, run, key0, key1)), std, mean);
    if (i + 16 <= end) {
      storeLanes(out + i, normals, true);
      i += 16;
    } else {
      for (; i < end; i += 4) {
        storeLanes(out + i, normals, false);
        normals = i32x4.shuffle(normals, normals, 1, 2, 3, 0);
      }
    }
  }
}

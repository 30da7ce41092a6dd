/**
 * Dropout (Srivastava et al. 2014): out (+)= inp · keep / (1 − p). The mask is a function of seed, run and stream
 * (Philox), so the backward pass draws it again instead of storing it.
 */
import * as op from '../abi';
import { float, ptr, shareStart, size, word } from '../interpreter/descriptor';
import { LINE_ELEMENTS, loadLanes, storeLanes } from '../math/lanes';
import { philox } from '../math/philox';

/**
 * out = inp · factor, or out += … with ACCUMULATE; [rows, cols]; factor is scale where the element's random number is
 * ≥ threshold, else 0 (a dropped NaN stays NaN). out may be inp. Threads share the elements, a cache line at a time.
 */
export function dropout(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.DROPOUT_ROWS) * size(d, ctx, op.DROPOUT_COLS);
  const out = ptr(d, op.DROPOUT_OUT), inp = ptr(d, op.DROPOUT_INP), seed = ptr(d, op.DROPOUT_SEED);
  const accumulate = (word(d, op.DROPOUT_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  const threshold = i32x4.splat(word(d, op.DROPOUT_THRESHOLD)), scale = f32x4.splat(float(d, op.DROPOUT_SCALE));
  const stream = <u32>word(d, op.DROPOUT_STREAM);
  const key0 = load<u32>(seed), key1 = load<u32>(seed, 4), run = load<u32>(seed, 8);
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  for (; i + 16 <= end; i += 16) {
    const random = philox(<u32>(i >> 4), 0, stream, run, key0, key1);
    step(out + i, inp + i, v128.and(scale, i32x4.ge_u(random, threshold)), accumulate, true);
  }
  if (i < end) {
    const random = philox(<u32>(i >> 4), 0, stream, run, key0, key1);
    let factor = v128.and(scale, i32x4.ge_u(random, threshold));
    for (; i < end; i += 4) {
      step(out + i, inp + i, factor, accumulate, false);
      factor = i32x4.shuffle(factor, factor, 1, 2, 3, 0);
    }
  }
}

// @ts-ignore: decorator
@inline function step(out: usize, inp: usize, factor: v128, accumulate: bool, whole: bool): void {
  const product = f32x4.mul(loadLanes(inp, whole), factor);
  storeLanes(out, accumulate ? f32x4.add(loadLanes(out, whole), product) : product, whole);
}

/**
 * Products of a single row, for decoding (one query over a long cache) and for rows that do not fill a register tile:
 *
 *   c[g·8 + j] = Σ_k a[k] · B_g[k, j]       B_g: group g, rows of 8 contiguous floats, `step` bytes apart
 *
 * summed strictly in order of k by `madd`, as gemm/tile.ts does: a row has the same bits whichever of the two computed
 * it. With `resume` the sum starts from c instead of 0, so that a sum may be cut anywhere without changing its bits.
 */
import { madd } from '../math/simd';

/** Keys at a time by rowTimesValues, so that the rest of a row of values is read while its lines are in the cache. */
const VISIT: i32 = 16;

/**
 * Scores of one query: c [panels · 8] = a [k] · each of `panels` key panels, `stride` bytes apart; overwritten. One panel after the
 * other, which is the order of memory: decoding from main memory ran at 9 GB/s with four panels side by side, 8 with two, 13
 * with one and 18 with VISIT (a plain read 23 to 28; Zen 4, shared machine), though two chains of additions leave the
 * multipliers half idle.
 */
export function rowTimesPanels(c: usize, a: usize, b: usize, stride: usize, panels: i32, k: i32): void {
  for (; panels > 0; panels--) {
    rowTimesPanel(c, a, b, k);
    c += 32;
    b += stride;
  }
}

/** The same with one panel. */
// @ts-ignore: decorator
@inline export function rowTimesPanel(c: usize, a: usize, b: usize, k: i32): void {
  rowProduct1(c, a, b, 32, k, false);
}

/**
 * Weighted values: c [groups · 8] = Σ_k a[k] · row k of `groups` groups of 8 columns, group g at b + g · groupStride.
 * Overwrites c, or continues it with `resume`. VISIT of 4, 8, 16, 32: the same within 3 %; all keys: a third slower.
 */
export function rowTimesValues(
  c: usize, a: usize, b: usize, groupStride: usize, step: usize, groups: i32, k: i32, resume: bool,
): void {
  for (; k > 0; k -= VISIT) {
    rowTimesGroups(c, a, b, groupStride, step, groups, min(k, VISIT), resume);
    a += <usize>VISIT << 2;
    b += <usize>VISIT * step;
    resume = true;
  }
}

/** rowTimesValues in one visit, for up to VISIT keys. */
export function rowTimesGroups(
  c: usize, a: usize, b: usize, groupStride: usize, step: usize, groups: i32, k: i32, resume: bool,
): void {
  for (; groups >= 4; groups -= 4) {
    rowProduct4(c, a, b, groupStride, step, k, resume);
    c += 128;
    b += 4 * groupStride;
  }
  for (; groups > 0; groups--) {
    rowProduct1(c, a, b, step, k, resume);
    c += 32;
    b += groupStride;
  }
}

/** Four groups side by side: eight independent sums hide the latency of one addition. */
function rowProduct4(c: usize, a: usize, b: usize, groupStride: usize, step: usize, k: i32, resume: bool): void {
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0), c2 = f32x4.splat(0), c3 = f32x4.splat(0);
  let c4 = f32x4.splat(0), c5 = f32x4.splat(0), c6 = f32x4.splat(0), c7 = f32x4.splat(0);
  if (resume) {
    c0 = v128.load(c);
    c1 = v128.load(c, 16);
    c2 = v128.load(c, 32);
    c3 = v128.load(c, 48);
    c4 = v128.load(c, 64);
    c5 = v128.load(c, 80);
    c6 = v128.load(c, 96);
    c7 = v128.load(c, 112);
  }
  let b1 = b + groupStride, b2 = b1 + groupStride, b3 = b2 + groupStride;
  for (; k > 0; k--) {
    const x = v128.load32_splat(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    c2 = madd(x, v128.load(b1), c2);
    c3 = madd(x, v128.load(b1, 16), c3);
    c4 = madd(x, v128.load(b2), c4);
    c5 = madd(x, v128.load(b2, 16), c5);
    c6 = madd(x, v128.load(b3), c6);
    c7 = madd(x, v128.load(b3, 16), c7);
    a += 4;
    b += step;
    b1 += step;
    b2 += step;
    b3 += step;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
  v128.store(c, c4, 64);
  v128.store(c, c5, 80);
  v128.store(c, c6, 96);
  v128.store(c, c7, 112);
}

/** One group. */
function rowProduct1(c: usize, a: usize, b: usize, step: usize, k: i32, resume: bool): void {
  let c0 = f32x4.splat(0), c1 = f32x4.splat(0);
  if (resume) {
    c0 = v128.load(c);
    c1 = v128.load(c, 16);
  }
  for (; k > 0; k--) {
    const x = v128.load32_splat(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    a += 4;
    b += step;
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
}

/**
 * Softmax of one row of scores in two passes: the maximum, then exponentials and their sum.
 *
 *   p[j] = exp(scale · s[j] − max_j scale · s[j])      for j < keys, not yet divided by their sum
 *
 * Key j is always added in lane j mod 8, in order of j, and keys past the last add nothing: the bits do not depend on
 * how many columns the row was computed with.
 */
import { horizontalMax, horizontalSum, madd } from '../math/simd';
import { softmaxExp } from './exp';
import { Head, dropoutFactors } from './head';

/** The first `count` of four lanes: all bits, the others 0. */
// @ts-ignore: decorator
@inline export function firstLanes(count: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count));
}

/**
 * Overwrites the `keys` scores at `s` with p, and the rest of their last 8 with 0; the sum of p and the maximum go to
 * head.sum and head.max. Scores past the last key are read but never matter, whatever they are.
 * Relative error of p / sum: that of exp, 2⁻²³ · |scale · s| from its argument, and (keys / 8 + 3) · 2⁻²⁴ from the sum.
 */
export function softmaxRow(head: Head, s: usize, keys: i32): void {
  const scale = f32x4.splat(head.scale);
  const exp = head.exp;
  const lowest = f32x4.splat(-Infinity);
  const end = s + (<usize>(keys & ~7) << 2);
  const mask0 = firstLanes(keys & 7), mask1 = firstLanes((keys & 7) - 4);
  let max0 = lowest, max1 = lowest;
  let at = s;
  for (; at < end; at += 32) {
    max0 = f32x4.pmax(max0, f32x4.mul(v128.load(at), scale));
    max1 = f32x4.pmax(max1, f32x4.mul(v128.load(at, 16), scale));
  }
  if (keys & 7) {
    max0 = f32x4.pmax(max0, v128.bitselect(f32x4.mul(v128.load(at), scale), lowest, mask0));
    max1 = f32x4.pmax(max1, v128.bitselect(f32x4.mul(v128.load(at, 16), scale), lowest, mask1));
  }
  const largest = horizontalMax(f32x4.pmax(max0, max1));
  const shift = f32x4.splat(-largest);
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  for (at = s; at < end; at += 32) {
    const p0 = softmaxExp(madd(v128.load(at), scale, shift), exp);
    const p1 = softmaxExp(madd(v128.load(at, 16), scale, shift), exp);
    v128.store(at, p0);
    v128.store(at, p1, 16);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
  }
  if (keys & 7) {
    const p0 = v128.and(softmaxExp(madd(v128.load(at), scale, shift), exp), mask0);
    const p1 = v128.and(softmaxExp(madd(v128.load(at, 16), scale, shift), exp), mask1);
    v128.store(at, p0);
    v128.store(at, p1, 16);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
  }
  head.sum = horizontalSum(f32x4.add(sum0, sum1));
  head.max = largest;
}

/** p[j] *= keep_j / (1 − dropout) for the keys from `first`, a multiple of 4, to keys − 1; p[first] is at p. `row` is row · heads + head. */
export function dropRow(head: Head, p: usize, first: i32, keys: i32, row: u32): void {
  for (let group = <u32>first >> 2, groups = <u32>(keys + 3) >> 2; group < groups; group++) {
    v128.store(p, f32x4.mul(v128.load(p), dropoutFactors(head, group, row)));
    p += 16;
  }
}

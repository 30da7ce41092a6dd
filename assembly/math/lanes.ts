/**
 * Tails: what is left of a row after its last whole vector goes through the same vector code one element at a time,
 * so that an element's bits do not depend on where it stands. `whole` is mostly a constant; where the loop's body is
 * long, one loop takes both and `whole` is a variable.
 */

/** Four elements at `at`, or one of them in every lane. */
// @ts-ignore: decorator
@inline export function loadLanes(at: usize, whole: bool): v128 {
  return whole ? v128.load(at) : v128.load32_splat(at);
}

/** Stores four elements at `at`, or lane 0. */
// @ts-ignore: decorator
@inline export function storeLanes(at: usize, v: v128, whole: bool): void {
  if (whole) v128.store(at, v);
  else v128.store32_lane(at, v, 0);
}

/** out = a + b, four elements or one. */
// @ts-ignore: decorator
@inline export function addLanes(out: usize, a: usize, b: usize, whole: bool): void {
  storeLanes(out, f32x4.add(loadLanes(a, whole), loadLanes(b, whole)), whole);
}

/** out = a · b, or out += a · b, which is rounded twice in every binary; four elements or one. */
// @ts-ignore: decorator
@inline export function storeProduct(out: usize, a: v128, b: v128, accumulate: bool, whole: bool): void {
  const product = f32x4.mul(a, b);
  storeLanes(out, accumulate ? f32x4.add(loadLanes(out, whole), product) : product, whole);
}

/** Threads share elements in units of a cache line. */
export const LINE_ELEMENTS: u32 = 16;

/**
 * `value` in every lane, held in a register or on the stack for the length of a loop. V8 14 (Node 26, x86) rebuilds a
 * vector constant by three instructions at every use, which took as long as the rest of exp: 8.2 ns for four, 4.2 held.
 * `unknown` is a 0 that no compiler can tell: the sign of a count. (Not of `threads`, which binaries for inference know to be 1.)
 */
// @ts-ignore: decorator
@inline export function held(value: f32, unknown: i32): v128 {
  return i32x4.splat(reinterpret<i32>(value) | unknown);
}

/**
 * Reading a descriptor (src/abi/operations.ts): every kernel has the signature
 *   kernel(d, ctx, thread, threads)
 * with d the descriptor, ctx the run context, and does share `thread` of `threads` of the work. There may be more shares than
 * threads (plan.ts), so a share knows its thread by the scratch memory in its context alone.
 * A kernel holds no static data, allocates nothing, has no barrier inside, and its result does not depend on `threads`.
 */
import { CONTEXT_SCRATCH, CONTEXT_SIZES } from '../abi';

/** The raw word `field`. */
// @ts-ignore: decorator
@inline export function word(d: usize, field: i32): i32 {
  return load<i32>(d + ((<usize>field) << 2));
}

/** A pointer field. */
// @ts-ignore: decorator
@inline export function ptr(d: usize, field: i32): usize {
  return <usize>load<u32>(d + ((<usize>field) << 2));
}

/** A float field. */
// @ts-ignore: decorator
@inline export function float(d: usize, field: i32): f32 {
  return load<f32>(d + ((<usize>field) << 2));
}

/** A size field, looked up in the context when it is dynamic. */
// @ts-ignore: decorator
@inline export function size(d: usize, ctx: usize, field: i32): i32 {
  const value = load<i32>(d + ((<usize>field) << 2));
  return value >= 0 ? value : load<i32>(ctx + ((<usize>(~value + CONTEXT_SIZES)) << 2));
}

/** This thread's scratch memory, aligned to 64 bytes. */
// @ts-ignore: decorator
@inline export function scratch(ctx: usize): usize {
  return <usize>load<u32>(ctx + (CONTEXT_SCRATCH << 2));
}

/** First unit of share `thread` when `total` units are dealt to `threads` in whole blocks of `quantum`; share t ends where t + 1 begins. */
export function shareStart(total: u32, quantum: u32, thread: u32, threads: u32): u32 {
  const blocks = (total + quantum - 1) / quantum;
  return min(total, <u32>((<u64>blocks * thread) / threads) * quantum);
}

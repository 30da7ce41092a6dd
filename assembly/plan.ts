/** The plan interpreter: walks descriptors and calls their kernels, a barrier after each. */
import * as op from '../src/graph/opcodes';
import { attentionBackward } from './attention/backward';
import { attentionCached, cacheAppend } from './attention/cache';
import { attentionForward } from './attention/forward';
import { ptr } from './descriptor';
import { gemm } from './gemm/gemm';
import { barrier } from './threads';

/** Operations [first, first + count) of the plan of `ctx`, this thread's share. */
export function run(ctx: usize, first: u32, count: u32, thread: u32, threads: u32): void {
  let d = ptr(ctx, op.CONTEXT_OPS) + <usize>first * op.DESCRIPTOR_BYTES;
  for (let end = d + <usize>count * op.DESCRIPTOR_BYTES; d < end; d += op.DESCRIPTOR_BYTES) {
    runOne(d, ctx, thread, threads);
    barrier(ctx, threads);
  }
}

/** One operation, no barrier: tests and the profiler call it thread by thread. */
export function runOne(d: usize, ctx: usize, thread: u32, threads: u32): void {
  switch (load<i32>(d)) {
    case op.OP_NONE: break;
    case op.OP_GEMM: gemm(d, ctx, thread, threads); break;
    case op.OP_ATTENTION: attentionForward(d, ctx, thread, threads); break;
    case op.OP_ATTENTION_BACKWARD: attentionBackward(d, ctx, thread, threads); break;
    case op.OP_CACHE_APPEND: cacheAppend(d, ctx, thread, threads); break;
    case op.OP_ATTENTION_CACHED: attentionCached(d, ctx, thread, threads); break;
    default: unreachable();
  }
}

/**
 * The plan interpreter: walks descriptors and calls their kernels, a barrier after each.
 *
 * With several threads, a long operation is cut into several shares for each, and a thread that has finished its own takes shares
 * of others. So no thread waits long for one that the machine has suspended, or whose core is slow. What a share computes does
 * not depend on the thread that takes it.
 */
import * as op from '../abi';
import { activation, activationBackward } from '../elementwise/activation';
import { adamw } from '../adamw';
import { attentionBackward } from '../attention/backward';
import { attentionCached, cacheAppend } from '../attention/cache';
import { attentionForward } from '../attention/forward';
import { IS_FULL } from '../build';
import { crossEntropy } from '../cross-entropy';
import { ptr } from './descriptor';
import { dropout } from '../elementwise/dropout';
import { add, copy, fill, multiply, scale } from '../elementwise/elementwise';
import { embedding, embeddingBackward, gatherRows, scatterRows } from '../embedding';
import { gemm, gemmShares } from '../gemm/gemm';
import { quantizeRows } from '../gemm/quantize-rows';
import { layerNorm, layerNormBackward } from '../norm/layer-norm';
import { randomNormal } from '../random';
import { clip, columnSum, squares, sum } from '../reduce';
import { rmsNorm, rmsNormBackward } from '../norm/rms-norm';
import { rotary } from '../rotary';
import { barrier, claimShare } from './threads';
import { decode, encode } from '../weights/panel';

/** Shares for each thread of operations of which a share costs little beside its work. */
const SHARES: u32 = 4;

/** Operations [first, first + count) of the plan of `ctx`, as many of their shares as this thread gets. */
export function run(ctx: usize, first: u32, count: u32, thread: u32, threads: u32): void {
  let d = ptr(ctx, op.CONTEXT_OPS) + <usize>first * op.DESCRIPTOR_BYTES;
  const end = d + <usize>count * op.DESCRIPTOR_BYTES;
  if (!ASC_FEATURE_THREADS || threads < 2) {
    for (; d < end; d += op.DESCRIPTOR_BYTES) runOne(d, ctx, 0, 1);
  } else {
    const own = ownContext(ctx, thread);
    for (; d < end; d += op.DESCRIPTOR_BYTES) {
      const each = sharesOfThread(d, ctx, threads);
      if (each == 1) runOne(d, own, thread, threads);
      else {
        for (let share = claimShare(ctx, thread, threads, each); share >= 0; share = claimShare(ctx, thread, threads, each)) {
          runOne(d, own, share, threads * each);
        }
      }
      barrier(ctx, threads);
    }
  }
}

/** The context as this thread's shares see it, with scratch memory of its own: at the start of that memory. */
function ownContext(ctx: usize, thread: u32): usize {
  const own = ptr(ctx, op.CONTEXT_SCRATCH) + <usize>load<u32>(ctx + (op.CONTEXT_SCRATCH_BYTES << 2)) * <usize>thread;
  memory.copy(own, ctx, op.CONTEXT_BYTES);
  store<u32>(own + (op.CONTEXT_SCRATCH << 2), <u32>own + op.CONTEXT_BYTES);
  return own;
}

/** How many shares of an operation each thread has. Those that are short in decoding, where it matters, have a single one. */
function sharesOfThread(d: usize, ctx: usize, threads: u32): u32 {
  switch (load<i32>(d)) {
    case op.OP_GEMM:
    case op.OP_GEMM_PANELS: return gemmShares(d, ctx, threads);
    case op.OP_NONE:
    case op.OP_ADD:
    case op.OP_MULTIPLY:
    case op.OP_SCALE:
    case op.OP_LAYER_NORM:
    case op.OP_RMS_NORM:
    case op.OP_ROTARY:
    case op.OP_EMBEDDING:
    case op.OP_GATHER_ROWS:
    case op.OP_CACHE_APPEND:
    case op.OP_QUANTIZE_ROWS:
    case op.OP_ENCODE: return 1;
    default: return SHARES;
  }
}

/** One operation, no barrier: tests and the profiler call it thread by thread. */
export function runOne(d: usize, ctx: usize, thread: u32, threads: u32): void {
  if (!IS_FULL) { // kernels need not share there
    thread = 0;
    threads = 1;
  }
  switch (load<i32>(d)) { // the list of src/abi/inference-operations.ts
    case op.OP_NONE: break;
    case op.OP_GEMM_PANELS: gemm(d, ctx, thread, threads); break;
    case op.OP_ADD: add(d, ctx, thread, threads); break;
    case op.OP_MULTIPLY: multiply(d, ctx, thread, threads); break;
    case op.OP_ACTIVATION: activation(d, ctx, thread, threads); break;
    case op.OP_LAYER_NORM: layerNorm(d, ctx, thread, threads); break;
    case op.OP_RMS_NORM: rmsNorm(d, ctx, thread, threads); break;
    case op.OP_ROTARY: rotary(d, ctx, thread, threads); break;
    case op.OP_EMBEDDING: embedding(d, ctx, thread, threads); break;
    case op.OP_GATHER_ROWS: gatherRows(d, ctx, thread, threads); break;
    case op.OP_CACHE_APPEND: cacheAppend(d, ctx, thread, threads); break;
    case op.OP_ATTENTION_CACHED: attentionCached(d, ctx, thread, threads); break;
    case op.OP_ENCODE: encode(d, ctx, thread, threads); break;
    case op.OP_SCALE: scale(d, ctx, thread, threads); break;
    case op.OP_QUANTIZE_ROWS: quantizeRows(d, ctx, thread, threads); break;
    default:
      if (IS_FULL) runFull(d, ctx, thread, threads);
      else unreachable();
  }
}

/** All other operations, which only full binaries have: training, scoring, looking inside. */
function runFull(d: usize, ctx: usize, thread: u32, threads: u32): void {
  switch (load<i32>(d)) {
    case op.OP_GEMM: gemm(d, ctx, thread, threads); break;
    case op.OP_COLUMN_SUM: columnSum(d, ctx, thread, threads); break;
    case op.OP_COPY: copy(d, ctx, thread, threads); break;
    case op.OP_FILL: fill(d, ctx, thread, threads); break;
    case op.OP_ACTIVATION_BACKWARD: activationBackward(d, ctx, thread, threads); break;
    case op.OP_DROPOUT: dropout(d, ctx, thread, threads); break;
    case op.OP_LAYER_NORM_BACKWARD: layerNormBackward(d, ctx, thread, threads); break;
    case op.OP_RMS_NORM_BACKWARD: rmsNormBackward(d, ctx, thread, threads); break;
    case op.OP_EMBEDDING_BACKWARD: embeddingBackward(d, ctx, thread, threads); break;
    case op.OP_SCATTER_ROWS: scatterRows(d, ctx, thread, threads); break;
    case op.OP_CROSS_ENTROPY: crossEntropy(d, ctx, thread, threads); break;
    case op.OP_ATTENTION: attentionForward(d, ctx, thread, threads); break;
    case op.OP_ATTENTION_BACKWARD: attentionBackward(d, ctx, thread, threads); break;
    case op.OP_SUM: sum(d, ctx, thread, threads); break;
    case op.OP_SQUARES: squares(d, ctx, thread, threads); break;
    case op.OP_CLIP: clip(d, ctx, thread, threads); break;
    case op.OP_ADAMW: adamw(d, ctx, thread, threads); break;
    case op.OP_RANDOM_NORMAL: randomNormal(d, ctx, thread, threads); break;
    case op.OP_DECODE: decode(d, ctx, thread, threads); break;
    default: unreachable();
  }
}

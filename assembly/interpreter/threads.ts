/**
 * How threads meet. Workers sleep on the control block's generation; a run raises it. Between two operations stands
 * a barrier: the last thread to arrive releases the others, which look CONTROL_SPIN times and then sleep. A worker that
 * ends in an error says so and releases all: threads that wait for it, or come to wait later, trap.
 * The single-threaded binaries contain none of this.
 */
import { CONTEXT_CONTROL, CONTROL_ARRIVED, CONTROL_CLAIMED, CONTROL_CONTEXT, CONTROL_COUNT, CONTROL_FAILED, CONTROL_FIRST, CONTROL_GENERATION, CONTROL_RELEASED, CONTROL_SPIN, CONTROL_STOP, CONTROL_THREADS } from '../abi';
import { run } from './plan';

/** How many shares of a thread are taken, from the first on (lower half) and from the last on (upper half). */
// @ts-ignore: decorator
@inline function taken(claimed: u32): u32 {
  return (claimed & 0xffff) + (claimed >> 16);
}

/**
 * A share of the current operation, of which each thread has `each`, that no thread has taken; -1 when there is none. A thread takes
 * its own in order, so that it reads memory from front to back, and then the shares of others, their last ones first. The
 * barrier after the operation resets all claims.
 */
export function claimShare(ctx: usize, thread: u32, threads: u32, each: u32): i32 {
  if (!ASC_FEATURE_THREADS) return -1;
  const words = <usize>load<u32>(ctx + (CONTEXT_CONTROL << 2)) + (CONTROL_CLAIMED << 2);
  const own = atomic.add<u32>(words + (<usize>thread << 2), 1);
  if (taken(own) < each) return thread * each + (own & 0xffff);
  for (let other = thread + 1, end = thread + threads; other < end; other++) {
    const owner = other < threads ? other : other - threads, word = words + (<usize>owner << 2);
    if (taken(atomic.load<u32>(word)) >= each) continue;
    const claimed = atomic.add<u32>(word, 1 << 16);
    if (taken(claimed) < each) return (owner + 1) * each - 1 - (claimed >> 16);
  }
  return -1;
}

/** Returns when all `threads` threads have called it; traps when one of them never will. */
export function barrier(ctx: usize, threads: u32): void {
  if (threads < 2) return;
  if (ASC_FEATURE_THREADS) {
    const control = <usize>load<u32>(ctx + (CONTEXT_CONTROL << 2));
    const arrived = control + (CONTROL_ARRIVED << 2);
    const released = control + (CONTROL_RELEASED << 2);
    const generation = atomic.load<i32>(released);
    if (atomic.add<u32>(arrived, 1) + 1 == threads) {
      atomic.store<u32>(arrived, 0);
      for (let word = control + (CONTROL_CLAIMED << 2), end = word + (<usize>threads << 2); word < end; word += 4) atomic.store<u32>(word, 0);
      atomic.store<i32>(released, generation + 1);
      atomic.notify(released);
      return;
    }
    const failed = control + (CONTROL_FAILED << 2);
    for (let spin = load<i32>(control + (CONTROL_SPIN << 2)); spin > 0 && atomic.load<i32>(released) == generation; --spin) {}
    // A failure before `generation` was read is seen here, a later one changes `released`.
    if (!atomic.load<i32>(failed)) sleepWhile(released, generation, 0);
    if (atomic.load<i32>(failed)) unreachable();
  }
}

/**
 * Returns when the word at `address` is no longer `value`. V8's baseline compiler in Node 20 sets the last local of a function
 * to 0 when it has waited (V8 11.3; Node 22 does not): `spare` is that local. It is exported, which keeps its parameters,
 * and calls itself, which keeps it from being inlined; a wait hardly ever returns early.
 */
export function sleepWhile(address: usize, value: i32, spare: i32): void {
  if (ASC_FEATURE_THREADS) {
    atomic.wait<i32>(address, value, -1);
    if (atomic.load<i32>(address) == value) sleepWhile(address, value, spare);
  }
}

/** Worker `thread` will reach no barrier any more: frees all that wait for it. */
export function fail(control: usize, thread: u32): void {
  if (ASC_FEATURE_THREADS) {
    const released = control + (CONTROL_RELEASED << 2);
    atomic.store<i32>(control + (CONTROL_FAILED << 2), thread);
    atomic.add<i32>(released, 1);
    atomic.notify(released);
  }
}

/** A worker's life: wait for a run, do thread `thread`'s share, until told to stop. `seen` is the generation at its birth. */
export function work(control: usize, thread: u32, seen: i32): void {
  if (ASC_FEATURE_THREADS) {
    const generation = control + (CONTROL_GENERATION << 2);
    while (true) {
      for (let spin = load<i32>(control + (CONTROL_SPIN << 2)); spin > 0 && atomic.load<i32>(generation) == seen; --spin) {}
      sleepWhile(generation, seen, 0);
      seen = atomic.load<i32>(generation);
      if (load<i32>(control + (CONTROL_STOP << 2))) return;
      run(
        <usize>load<u32>(control + (CONTROL_CONTEXT << 2)),
        load<u32>(control + (CONTROL_FIRST << 2)),
        load<u32>(control + (CONTROL_COUNT << 2)),
        thread,
        load<u32>(control + (CONTROL_THREADS << 2)),
      );
    }
  }
}

/** Starts a run on every thread and does thread 0's share; returns when all shares are done. */
export function dispatch(control: usize, ctx: usize, first: u32, count: u32, threads: u32): void {
  if (ASC_FEATURE_THREADS) {
    if (threads > 1) {
      store<u32>(control + (CONTROL_CONTEXT << 2), <u32>ctx);
      store<u32>(control + (CONTROL_FIRST << 2), first);
      store<u32>(control + (CONTROL_COUNT << 2), count);
      store<u32>(control + (CONTROL_THREADS << 2), threads);
      atomic.add<i32>(control + (CONTROL_GENERATION << 2), 1);
      atomic.notify(control + (CONTROL_GENERATION << 2));
    }
  }
  run(ctx, first, count, 0, threads);
}

/**
 * The guard of a worker's engine: a worker that sees when a thread of the engine is gone, and frees who waits for it.
 * No event tells that a browser has ended a worker, and the worker that computes waits for its threads inside WebAssembly, where no
 * event would reach it. So the guard, whose event loop is free, waits for the locks that threads hold while they live (life.js), and
 * then does in shared memory what a thread does that ends in an error, but for the text: barriers trap, and the run throws.
 */
import { CONTROL_FAILED, CONTROL_RELEASED } from '../abi/index.ts';
import { watchLife } from './life.js';

/** A thread that ended in an error may have said so just before it ended: its words count more than that it is gone. */
const LAST_WORDS_MILLISECONDS = 300;

/**
 * @typedef {object} Watch
 * @property {WebAssembly.Memory} memory
 * @property {string} life thread t holds the lock `life-t`
 * @property {number} threads
 * @property {number} control address of the control block
 */

/**
 * Watches the threads of an engine. Who disposes the engine ends the guard.
 * @param {Watch} watch
 */
export function guard({ memory, life, threads, control }) {
  const words = new Int32Array(memory.buffer, control);
  const { signal } = new AbortController(); // never aborted
  for (let thread = 1; thread < threads; thread++)
    watchLife(`${life}-${thread}`, signal, () => {
      setTimeout(() => {
        if (Atomics.compareExchange(words, CONTROL_FAILED, 0, thread) !== 0) return;
        Atomics.add(words, CONTROL_RELEASED, 1);
        Atomics.notify(words, CONTROL_RELEASED);
      }, LAST_WORDS_MILLISECONDS);
    });
}

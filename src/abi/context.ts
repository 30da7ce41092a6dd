/**
 * The memory that a plan is run from: descriptors, the run context, and the control block by which threads meet.
 * Both compilers read this folder (TypeScript writes these words, AssemblyScript reads them), so its files hold nothing but integer
 * constants: one list, one truth.
 */

// ── Descriptors: one operation each ───────────────────────────────────────────────────────────────────────────
export const DESCRIPTOR_WORDS = 32;
export const DESCRIPTOR_BYTES = 128;

// ── Run context: 1,024 bytes that stay the same while a plan runs ─────────────────────────────────────────────
/** Pointer to the first descriptor. */
export const CONTEXT_OPS = 0;
/** Pointer to the scratch memory of thread 0. */
export const CONTEXT_SCRATCH = 1;
/** Bytes of scratch memory of each thread; with several threads each begins with a copy of the context (assembly/interpreter/plan.ts). */
export const CONTEXT_SCRATCH_BYTES = 2;
/** Pointer to the control block (threads.ts), whose barrier the plan uses. */
export const CONTEXT_CONTROL = 3;
/** First dynamic size; they run to the end of the context. */
export const CONTEXT_SIZES = 16;
export const CONTEXT_MAX_SIZES = 240;
export const CONTEXT_BYTES = 1024;

// ── Control block: how threads meet. One cache line of 64 bytes for each thing that is waited for ─────────────
export const CONTROL_GENERATION = 0; // raised by one for each run; workers sleep on it
export const CONTROL_CONTEXT = 1;
export const CONTROL_FIRST = 2;
export const CONTROL_COUNT = 3;
export const CONTROL_THREADS = 4;
export const CONTROL_STOP = 5; // 1: workers leave their loop
export const CONTROL_SPIN = 6; // how many times to look before sleeping
export const CONTROL_ARRIVED = 16; // threads that reached the barrier
export const CONTROL_RELEASED = 32; // generation of the barrier
export const CONTROL_FAILED = 33; // the number of a worker that ended in an error; barriers then end in one too. 0: none
export const CONTROL_CLAIMED = 48; // a word for each of up to 256 threads: which of its shares are taken (threads.ts)
export const CONTROL_MESSAGE = 304; // what that error said: UTF-8 up to a zero, in the rest of the block
export const CONTROL_BYTES = 1280;

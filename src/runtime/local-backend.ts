/**
 * The backend in which the calling thread is thread 0 of the kernels: Node, Deno, Bun, edge functions, workers. The engine
 * of a page runs it in a worker (remote-backend.ts).
 */

import {
  CONTROL_BYTES,
  CONTROL_FAILED,
  CONTROL_GENERATION,
  CONTROL_MESSAGE,
  CONTROL_SPIN,
  CONTROL_STOP,
} from '../abi/index.ts';
import { DisposedError, EngineError, EnvironmentError, MemoryError } from '../errors.ts';
import { CONTROL_ADDRESS, MEMORY_LIMIT_BYTES } from './allocator.ts';
import type { Backend, BackendInfo, BackendOptions, Kernels } from './backend.ts';
import { binaryModule, providedBinaries } from './binaries.ts';
import {
  defaultThreads,
  eventLoopTurn,
  hardwareThreads,
  runtimeName,
  startThread,
  type Thread,
  threadsMissing,
} from './host.ts';
import { isNodeLike } from './host-kind.ts';
import { instantiateKernels } from './instantiate.js';
import { probeFeatures } from './probe.ts';
import { workerGone } from './worker-gone.ts';

const PAGE_BYTES = 65536;

/** Looks before sleeping: about 100 µs, longer than shares of one operation differ. A thread that sleeps is late by as much. */
const SPIN_LOOKS = 50_000;
/** With more threads than cores a spinning thread holds up the one it waits for. */
const SPIN_LOOKS_OVERSUBSCRIBED = 20;

/** The event loop gets a turn when this many milliseconds have passed since its last one. */
const TURN_MILLISECONDS = 30;

/**
 * @param kernels what it starts with; `full` where there is no smaller binary
 * @param life a name of this engine, by which its page sees that one of its threads is gone (life.js); without one, a guard of
 * its own sees it where that may happen (guard.js)
 * @param nameLife makes a name for an engine without one, by which its guard sees that a thread is gone
 * @throws EnvironmentError where WebAssembly SIMD or the package's own files cannot be had, MemoryError when the host
 * refuses the first page
 */
export async function createLocalBackend(
  options: BackendOptions = {},
  kernels: Kernels = 'full',
  life?: string,
  nameLife?: () => Promise<string | undefined>,
): Promise<Backend> {
  const features = probeFeatures();
  if (!features.simd)
    throw new EnvironmentError(
      'engine: expected WebAssembly SIMD, got a runtime without it. Use Node 20 or later, or a browser of 2023 or later that allows WebAssembly.',
    );
  if (features.refusal !== undefined)
    throw new EnvironmentError(
      `engine: expected a host that compiles WebAssembly, got a refusal (${features.refusal}). Add 'wasm-unsafe-eval' to script-src of the Content-Security-Policy; on an edge host import lanewise with its condition, workerd or edge-light.`,
    );
  const notes: string[] = [];
  const cores = hardwareThreads();
  let threads = options.threads ?? defaultThreads();
  if (threads > 1) {
    const missing = threadsMissing() ?? (hasThreadBinaries() ? undefined : 'only binaries of one thread were provided');
    if (missing) {
      notes.push(`1 thread instead of ${threads}: ${missing}`);
      threads = 1;
    }
  }
  let precision = options.precision ?? 'fast';
  if (precision === 'fast' && !features.relaxedSimd) {
    notes.push(`exact instead of fast: ${features.relaxedMissing}`);
    precision = 'exact';
  }
  const flavor = precision === 'fast' ? 'relaxed' : 'simd128';
  const binary = threads > 1 ? (`${flavor}-threads` as const) : flavor;
  const isFull = kernels === 'full' || threads > 1 || providedBinaries() !== undefined;
  const info: BackendInfo = { runtime: runtimeName(), binary, precision, threads, notes };
  const module = await binaryModule(isFull ? binary : `${flavor}-inference`);
  const backend = new LocalBackend(info, module, isFull, threads > cores);
  await backend.startThreads(life, nameLife);
  return backend;
}

function hasThreadBinaries(): boolean {
  const provided = providedBinaries();
  return !provided || provided['simd128-threads'] !== undefined;
}

/** A first MiB, that may grow to 4 GiB. */
function createMemory(shared: boolean): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory(shared ? { initial: 16, maximum: 65536, shared } : { initial: 16 });
  } catch (cause) {
    throw new MemoryError(
      `engine: expected room for a new memory, got a refusal of the host (${(cause as Error).message}). Dispose other models${shared ? ', or use one thread: it needs no 4 GiB of addresses' : ''}.`,
      16 * PAGE_BYTES,
      MEMORY_LIMIT_BYTES,
      { cause },
    );
  }
}

class LocalBackend implements Backend {
  readonly info: BackendInfo;
  readonly #module: WebAssembly.Module;
  readonly #memory: WebAssembly.Memory;
  #kernels: ReturnType<typeof instantiateKernels>;
  #isFull: boolean;
  #workers: Thread[] = [];
  #guard: Thread | undefined;
  /** Why nothing runs any more: the error message. */
  #ended: string | undefined;
  #lastTurn = performance.now();

  constructor(info: BackendInfo, module: WebAssembly.Module, isFull: boolean, oversubscribed: boolean) {
    this.info = info;
    this.#module = module;
    this.#isFull = isFull;
    this.#memory = createMemory(info.threads > 1);
    this.#kernels = instantiateKernels(module, this.#memory);
    this.#control()[CONTROL_SPIN] = oversubscribed ? SPIN_LOOKS_OVERSUBSCRIBED : SPIN_LOOKS;
  }

  #control(): Int32Array {
    return new Int32Array(this.#memory.buffer, CONTROL_ADDRESS, CONTROL_BYTES / 4);
  }

  async startThreads(
    given: string | undefined,
    nameLife: (() => Promise<string | undefined>) | undefined,
  ): Promise<void> {
    const { threads } = this.info;
    // Browsers end workers; with a `given` name the page watches for that itself.
    const guarded = given === undefined && threads > 1 && !isNodeLike ? await nameLife?.() : undefined;
    const life = given ?? guarded;
    const seen = this.#control()[CONTROL_GENERATION]!;
    const task = {
      module: this.#module,
      memory: this.#memory,
      control: CONTROL_ADDRESS,
      message: CONTROL_ADDRESS + CONTROL_MESSAGE * 4,
      messageBytes: CONTROL_BYTES - CONTROL_MESSAGE * 4,
      seen,
    };
    const starting = [];
    for (let thread = 1; thread < threads; thread++)
      starting.push(startThread({ ...task, thread, life: life === undefined ? undefined : `${life}-${thread}` }));
    const results = await Promise.allSettled(starting);
    this.#workers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    try {
      if (failed) throw failed.reason;
      if (guarded !== undefined) this.#guard = await startThread({ watch: { ...task, life, threads } });
    } catch (cause) {
      this.dispose();
      throw new EnvironmentError(
        `engine: expected ${threads} threads, got ${(cause as Error).message}. Ask for fewer with { threads }.`,
        { cause },
      );
    }
  }

  async reserve(bytes: number): Promise<void> {
    const missing = bytes + PAGE_BYTES - this.#memory.buffer.byteLength;
    if (missing <= 0) return;
    try {
      this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    } catch (cause) {
      throw new MemoryError(
        `engine: expected ${Math.ceil(bytes / 2 ** 20)} MiB of memory from the host, got a refusal. Close other models or use a smaller one.`,
        bytes,
        MEMORY_LIMIT_BYTES,
        { cause },
      );
    }
  }

  write(address: number, data: ArrayBufferView): undefined {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.#memory.buffer, address, bytes.length).set(bytes);
  }

  view(address: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    const { buffer } = this.#memory;
    return buffer instanceof ArrayBuffer ? new Uint8Array(buffer, address, bytes) : undefined;
  }

  async read(address: number, out: Uint8Array<ArrayBuffer>): Promise<void> {
    out.set(new Uint8Array(this.#memory.buffer, address, out.length));
  }

  async run(context: number, first: number, count: number): Promise<void> {
    if (this.#ended)
      throw new DisposedError(`engine: expected a live model, got ${this.#ended}. Load or create it again.`);
    try {
      this.#kernels.dispatch(CONTROL_ADDRESS, context, first, count, this.info.threads);
    } catch (cause) {
      // A trap ended a thread's share. Others have ended too, or wait for a thread that will not come.
      for (const worker of this.#workers) worker.terminate();
      this.#workers = [];
      this.#guard?.terminate();
      this.#ended = 'one that an error ended';
      throw this.#failure(cause);
    }
    // The turn comes after the work, so that runs, reads and writes take effect in the order in which they are called.
    if (performance.now() - this.#lastTurn > TURN_MILLISECONDS) {
      await eventLoopTurn();
      this.#lastTurn = performance.now();
    }
  }

  /** What a worker left in the control block, or its guard, or else what this thread caught. */
  #failure(cause: unknown): EngineError {
    const control = this.#control();
    const thread = control[CONTROL_FAILED]!;
    const message = new Uint8Array(control.slice(CONTROL_MESSAGE).buffer);
    const found = thread === 0 ? String(cause) : new TextDecoder().decode(message).split('\0')[0];
    if (found === '') return workerGone(`the worker of thread ${thread} ended`, thread); // it left no message
    return new EngineError(
      `engine: expected every thread to finish, got ${found} in thread ${thread}. This is an error of lanewise: please report it. The model cannot be used any more: load or create it again.`,
      thread,
      { cause },
    );
  }

  async loadFull(): Promise<void> {
    if (this.#isFull) return;
    // Kernels hold no state: those of another binary go on with the same memory. There is one thread, which is not inside.
    this.#kernels = instantiateKernels(await binaryModule(this.info.binary), this.#memory);
    this.#isFull = true;
  }

  dispose(): void {
    this.#ended ??= 'a disposed one';
    this.#guard?.terminate();
    if (this.#workers.length > 0) {
      const control = this.#control();
      Atomics.store(control, CONTROL_STOP, 1);
      Atomics.add(control, CONTROL_GENERATION, 1);
      Atomics.notify(control, CONTROL_GENERATION);
      this.#workers = [];
    }
  }
}

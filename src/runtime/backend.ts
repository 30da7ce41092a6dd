/**
 * The interface between graphs and WebAssembly. Everything above this folder reaches linear memory through it.
 * Calls take effect in the order they are made; only those that return a promise answer.
 */
export interface Backend {
  /** How this backend came to be what it is. */
  readonly info: BackendInfo;

  /** Makes addresses below `bytes` usable. @throws MemoryError when the host refuses. */
  reserve(bytes: number): Promise<void>;

  /**
   * Copies `data` to `address`. The array may be reused at once.
   * @returns a promise when much has been written that is not there yet: who writes a lot awaits it before the next piece
   */
  write(address: number, data: ArrayBufferView): Promise<void> | undefined;

  /**
   * The memory itself from `address` on, for a host's files to be read into; valid until memory grows. Absent or undefined where
   * the memory is not this thread's alone.
   */
  view?(address: number, bytes: number): Uint8Array<ArrayBuffer> | undefined;

  /** Copies bytes from `address` on to all of `out`, after all earlier writes and runs. */
  read(address: number, out: Uint8Array<ArrayBuffer>): Promise<void>;

  /**
   * Runs operations [first, first + count) of the plan of `context` on all threads, with barriers between them.
   * @throws EngineError when a thread ends in an error, or the worker of a page's engine is gone; nothing runs any more then.
   */
  run(context: number, first: number, count: number): Promise<void>;

  /** Makes all operations usable, where the engine started with fewer (`Kernels`). Plans that were made before stay valid. */
  loadFull(): Promise<void>;

  /** Stops the threads and lets the memory go. Nothing may be called afterwards. */
  dispose(): void;
}

/** What runs the kernels, for reports. */
export interface BackendInfo {
  /** Runtime and version: `node 26.10.0`, `firefox 153`. */
  readonly runtime: string;
  /** Which binary was chosen. */
  readonly binary: 'simd128' | 'simd128-threads' | 'relaxed' | 'relaxed-threads';
  /** `exact`: the same bits everywhere; `fast`: the same bits on this machine. */
  readonly precision: 'exact' | 'fast';
  readonly threads: number;
  /** Why fewer threads run than were asked for, or why the precision is not the default `fast`; empty otherwise. */
  readonly notes: readonly string[];
}

/**
 * What an engine starts with: all kernels, or those that generating text takes, whose binary is a third smaller. There are
 * such binaries for one thread.
 */
export type Kernels = 'full' | 'inference';

/** More threads than this are refused: a typing error, not a machine. */
export const MAX_THREADS = 256;

export interface BackendOptions {
  /** Threads that share each operation, 1…256. Default: the machine's, at most 16. */
  threads?: number | undefined;
  /** `fast` uses relaxed SIMD where it works; `exact` gives the same bits on every machine. Default `fast`. */
  precision?: 'exact' | 'fast' | undefined;
}

/**
 * An engine is one linear memory with the threads that work in it. Each model owns one, so that disposing the model
 * gives everything back at once. The engine hands out memory and checks that it is still alive; a Backend does the work.
 */
import { ConfigError, DisposedError, MemoryError } from '../errors.ts';
import { Allocator, CONTROL_ADDRESS, FIRST_FREE_ADDRESS, MEMORY_LIMIT_BYTES } from './allocator.ts';
import { type Backend, type BackendInfo, type BackendOptions, type Kernels, MAX_THREADS } from './backend.ts';
import { isPage } from './host-kind.ts';
import { nameLife } from './life.js';
import { createRemoteBackend } from './remote-backend.ts';

/** What runs a model: threads and precision. */
export type EngineOptions = BackendOptions;

export class Engine {
  readonly #backend: Backend;
  readonly #allocator = new Allocator(FIRST_FREE_ADDRESS);
  #disposed = false;

  private constructor(backend: Backend) {
    this.#backend = backend;
  }

  /**
   * Starts an engine.
   * @param options threads (1…256, default the machine's, at most 16) and precision (`fast` or `exact`, default `fast`)
   * @param kernels what it starts with; a plan that takes more brings them along
   * @throws ConfigError for options out of range, EnvironmentError where WebAssembly SIMD is missing
   */
  static async create(options: EngineOptions = {}, kernels: Kernels = 'full'): Promise<Engine> {
    const { threads, precision } = options;
    const isCount = Number.isInteger(threads) && threads! >= 1 && threads! <= MAX_THREADS;
    if (threads !== undefined && !isCount)
      throw new ConfigError(`engine: expected threads from 1 to ${MAX_THREADS}, got ${threads}.`);
    if (![undefined, 'exact', 'fast'].includes(precision))
      throw new ConfigError(`engine: expected precision 'exact' or 'fast', got ${JSON.stringify(precision)}.`);
    return new Engine(await createBackend(options, kernels));
  }

  /** Runtime, binary, threads and precision in use, and why they are what they are. */
  get info(): BackendInfo {
    return this.#backend.info;
  }

  /** Threads that share each operation. */
  get threads(): number {
    return this.#backend.info.threads;
  }

  /** Address of the control block, where the threads meet. */
  get control(): number {
    return CONTROL_ADDRESS;
  }

  /** Bytes of linear memory in use. */
  get usedBytes(): number {
    return this.#allocator.usedBytes;
  }

  /** The largest block that could still be allocated, in bytes. */
  get availableBytes(): number {
    return this.#allocator.largestFreeBytes;
  }

  /**
   * Allocates zeroed or recycled memory, aligned to 64 bytes.
   * @param bytes how many
   * @param what named in the error message
   * @throws MemoryError when 4 GiB do not hold it, before anything is allocated
   */
  async allocate(bytes: number, what: string): Promise<number> {
    this.#alive();
    const address = this.#allocator.allocate(bytes);
    if (address === undefined) {
      throw new MemoryError(
        `engine: expected at most ${mebibytes(this.availableBytes)} MiB for ${what}, got ${mebibytes(bytes)} MiB ` +
          `(WebAssembly memory ends at ${mebibytes(MEMORY_LIMIT_BYTES)} MiB, ${mebibytes(this.usedBytes)} MiB are in use). Use a smaller model, batch or context.`,
        bytes,
        MEMORY_LIMIT_BYTES,
      );
    }
    try {
      await this.#backend.reserve(address + bytes);
    } catch (error) {
      this.#allocator.release(address);
      throw error;
    }
    return address;
  }

  /** Returns a block. */
  release(address: number): void {
    if (!this.#disposed) this.#allocator.release(address);
  }

  /** Copies `data` to `address`. Who writes megabytes awaits what is returned before the next piece. */
  write(address: number, data: ArrayBufferView): Promise<void> | undefined {
    this.#alive();
    return this.#backend.write(address, data);
  }

  /** The memory itself from `address` on, valid until something is allocated; undefined where files cannot be read into it. */
  view(address: number, bytes: number): Uint8Array<ArrayBuffer> | undefined {
    this.#alive();
    return this.#backend.view?.(address, bytes);
  }

  /** `count` floats from `address`, in new memory or at the start of `into`. */
  async readF32(
    address: number,
    count: number,
    into: Float32Array<ArrayBuffer> = new Float32Array(count),
  ): Promise<Float32Array<ArrayBuffer>> {
    this.#alive();
    await this.#backend.read(address, new Uint8Array(into.buffer, into.byteOffset, count * 4));
    return into;
  }

  /** Makes all operations usable, also those that generating text does not take. */
  loadFull(): Promise<void> {
    this.#alive();
    return this.#backend.loadFull();
  }

  /** Runs operations [first, first + count) of the plan whose run context stands at `context`. */
  run(context: number, first: number, count: number): Promise<void> {
    this.#alive();
    return this.#backend.run(context, first, count);
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Stops the threads and gives all memory back; calling it again does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#backend.dispose();
  }

  #alive(): void {
    if (this.#disposed)
      throw new DisposedError('engine: expected a live model, got a disposed one. Load or create it again.');
  }
}

/** Starts an engine for `build`, and disposes it again when `build` fails. */
export async function withEngine<T>(
  options: EngineOptions,
  kernels: Kernels,
  build: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await Engine.create(options, kernels);
  try {
    return await build(engine);
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

function mebibytes(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toLocaleString('en-US');
}

/** The backend of this host. A page loads no local one: its engine lives in a worker, which has that. */
async function createBackend(options: EngineOptions, kernels: Kernels): Promise<Backend> {
  if (isPage()) return createRemoteBackend(options, kernels);
  const { createLocalBackend } = await import('./local-backend.ts');
  return createLocalBackend(options, kernels, undefined, nameLife);
}

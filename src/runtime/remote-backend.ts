/**
 * The backend of a page: the engine lives in a worker of its own (engine-worker.ts), so that the page stays free to draw
 * and to answer, and so that threads can wait for each other, which a page's main thread may not.
 *
 * Calls are posted in order, with the writes before them. Nothing hangs when the worker is gone: an error event tells of one that did not start, and
 * `watchLife` of one that was ended; then every call under way, and every later one, fails with an EngineError.
 */
import { DisposedError, EnvironmentError, type LanewiseError } from '../errors.ts';
import type { Backend, BackendInfo, BackendOptions, Kernels } from './backend.ts';
import { nameLife, watchLife } from './life.js';
import { type Answer, type Call, decodeError, type Request, type Write } from './messages.ts';
import { workerGone } from './worker-gone.ts';

/** Bytes of writes that may wait for the worker before the writer is asked to wait too. */
const WAITING_BYTES = 64 << 20;

/**
 * Smaller writes wait for the next call and are posted with it: a token takes a dozen, and an echo takes 0.03 to 0.1 ms.
 * Larger ones are posted at once.
 */
const GATHERED_BYTES = 64 << 10;

/** A worker may have posted why it ends just before it ended: what it said counts more than that it is gone. */
const LAST_WORDS_MILLISECONDS = 300;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: LanewiseError): void;
  /** Bytes of writes that had been posted before this call, and are done when it is answered. */
  readonly posted: number;
}

/** Starts the engine of a page. */
export async function createRemoteBackend(options: BackendOptions, kernels: Kernels): Promise<Backend> {
  let worker: Worker;
  try {
    // Bundlers find the file by this very form.
    worker = new Worker(new URL('./engine-worker.js', import.meta.url), { type: 'module' });
  } catch (cause) {
    throw notStarted((cause as Error).message, cause);
  }
  const backend = new RemoteBackend(worker);
  await backend.start(options, kernels);
  return backend;
}

function notStarted(found: string, cause?: unknown): EnvironmentError {
  return new EnvironmentError(
    `engine: expected a worker of this package to start, got ${found}. Serve the package's files from the page's origin, and allow them in its Content-Security-Policy (worker-src 'self'), with its Cross-Origin-Embedder-Policy where it has one.`,
    { cause },
  );
}

class RemoteBackend implements Backend {
  info!: BackendInfo;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #watching = new AbortController();
  #calls = 0;
  /** Writes that are not posted yet. */
  #gathered: Write[] = [];
  #gatheredBytes = 0;
  #postedBytes = 0;
  #doneBytes = 0;
  #ended: LanewiseError | undefined;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Answer>) => this.#take(data);
    worker.onerror = (event) => {
      event.preventDefault();
      const found = event.message || 'a file that did not load';
      this.#end(this.info ? workerGone(found) : notStarted(found));
    };
    worker.onmessageerror = () => this.#end(workerGone('a message that cannot be read'));
  }

  async start(options: BackendOptions, kernels: Kernels): Promise<void> {
    const life = await nameLife();
    try {
      this.info = (await this.#call({ name: 'create', options, kernels, life })) as BackendInfo;
    } catch (error) {
      this.dispose();
      throw error;
    }
    if (life === undefined) return;
    for (let thread = 0; thread < this.info.threads; thread++)
      watchLife(`${life}-${thread}`, this.#watching.signal, () => {
        const found = `the worker of thread ${thread} ended`;
        setTimeout(() => this.#end(workerGone(found, thread)), LAST_WORDS_MILLISECONDS);
      });
  }

  #call(call: Call): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, posted: this.#postedBytes });
      this.#post({ ...call, id });
    });
  }

  /** Posts the writes that wait, then a call. */
  #post(call?: Request['call']): void {
    const writes = this.#gathered;
    const request: Request = call ? { writes, call } : { writes };
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#worker.postMessage(
      request,
      writes.map(({ data }) => data.buffer),
    );
  }

  #take(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if (!waiting) return;
    this.#waiting.delete(answer.id);
    this.#doneBytes = waiting.posted;
    if ('error' in answer) waiting.reject(decodeError(answer.error));
    else waiting.resolve(answer.value);
  }

  /** Ends the worker and its threads, and rejects all calls that wait for an answer. */
  #end(error: LanewiseError): void {
    if (this.#ended) return;
    this.#ended = error;
    this.#watching.abort();
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  async reserve(bytes: number): Promise<void> {
    await this.#call({ name: 'reserve', bytes });
  }

  write(address: number, data: ArrayBufferView): Promise<void> | undefined {
    if (this.#ended) return undefined; // the next call that answers says so
    const copy = new Uint8Array(data.byteLength);
    copy.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.#gathered.push({ address, data: copy });
    this.#gatheredBytes += copy.length;
    this.#postedBytes += copy.length;
    if (this.#gatheredBytes >= GATHERED_BYTES) this.#post();
    if (this.#postedBytes - this.#doneBytes < WAITING_BYTES) return undefined;
    const settled = this.#call({ name: 'settle' }).then(() => {});
    settled.catch(() => {}); // for writers that do not wait: the next call that answers fails too
    return settled;
  }

  async read(address: number, out: Uint8Array<ArrayBuffer>): Promise<void> {
    out.set((await this.#call({ name: 'read', address, bytes: out.length })) as Uint8Array);
  }

  async run(context: number, first: number, count: number): Promise<void> {
    await this.#call({ name: 'run', context, first, count });
  }

  async loadFull(): Promise<void> {
    await this.#call({ name: 'loadFull' });
  }

  dispose(): void {
    this.#end(new DisposedError('engine: expected a live model, got a disposed one. Load or create it again.'));
  }
}

/**
 * What differs between hosts: reading the package's own files, starting worker threads, counting cores,
 * giving the event loop a turn. Node, Deno and Bun have `process.versions.node`; browsers and edge functions do not.
 */
import { EnvironmentError } from '../errors.ts';

const nodeLike = typeof process === 'object' && typeof process.versions?.node === 'string';

/** The runtime's name and version, for reports: `node 26.10.0`, `deno 2.9.1`, `browser`. */
export function runtimeName(): string {
  const scope = globalThis as { Deno?: { version: { deno: string } }; Bun?: { version: string } };
  if (scope.Deno) return `deno ${scope.Deno.version.deno}`;
  if (scope.Bun) return `bun ${scope.Bun.version}`;
  if (nodeLike) return `node ${process.versions.node}`;
  return typeof navigator === 'object' && navigator.userAgent ? navigator.userAgent : 'unknown';
}

/** How many threads this machine runs side by side; 1 when the host does not say. */
export async function hardwareThreads(): Promise<number> {
  if (nodeLike) {
    const os = await import('node:os');
    return os.availableParallelism?.() ?? os.cpus().length;
  }
  return (typeof navigator === 'object' && navigator.hardwareConcurrency) || 1;
}

/** Why shared memory and workers cannot be used here, or undefined when they can. */
export function threadsMissing(): string | undefined {
  if (typeof SharedArrayBuffer === 'undefined')
    return 'SharedArrayBuffer is missing; in a browser, serve the page with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  if (nodeLike) return undefined;
  if (!(globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated)
    return 'the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';
  if (typeof Worker === 'undefined') return 'this host has no workers';
  // The thread that calls `run` waits for the others, which a page's main thread may not do.
  if (typeof document !== 'undefined')
    return 'a page cannot wait for threads on its main thread; create the model inside a Worker';
  return undefined;
}

/** Compiles one of the package's own binaries. */
export async function compileBinary(name: string): Promise<WebAssembly.Module> {
  const url = new URL(`../../wasm/${name}.wasm`, import.meta.url);
  try {
    if (url.protocol === 'file:') {
      const { readFile } = await import('node:fs/promises');
      return await WebAssembly.compile(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    if (response.headers.get('content-type')?.startsWith('application/wasm'))
      return await WebAssembly.compileStreaming(response);
    return await WebAssembly.compile(await response.arrayBuffer());
  } catch (cause) {
    throw new EnvironmentError(
      `engine: expected to load ${url.href}, got ${(cause as Error).message}. Install the package again, or run "npm run build" in a checkout.`,
      { cause },
    );
  }
}

/** A started worker thread: `stop` frees it once it has left its loop. */
export interface Thread {
  terminate(): void;
}

/** Starts one worker of thread.js and resolves when it has instantiated the binary. */
export async function startThread(task: object): Promise<Thread> {
  const url = new URL('./thread.js', import.meta.url);
  if (nodeLike && !('Bun' in globalThis)) {
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(url, { workerData: task });
    await new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (message) => (message.ready ? resolve() : reject(new Error(message.error))));
    });
    worker.unref();
    return { terminate: () => void worker.terminate() };
  }
  const worker = new Worker(url, { type: 'module' });
  await new Promise<void>((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = (event) => (event.data.ready ? resolve() : reject(new Error(event.data.error)));
    worker.postMessage(task);
  });
  (worker as { unref?: () => void }).unref?.();
  return { terminate: () => worker.terminate() };
}

/** Lets timers, signals and input be handled before the next long computation. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) =>
    typeof setImmediate === 'function' ? setImmediate(resolve) : setTimeout(resolve, 0),
  );
}

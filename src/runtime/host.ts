/**
 * What differs between hosts: naming them, starting worker threads, counting cores, giving the event loop a turn.
 * Modules of Node, Deno and Bun come from `process.getBuiltinModule`, which bundlers for browsers do not follow.
 */
import { isNodeLike, isWorkerd, userAgent } from './host-kind.ts';

/** What user agents call browsers, the more particular first. */
const BROWSERS = [
  ['edge', /Edg\/(\d+)/],
  ['firefox', /Firefox\/(\d+)/],
  ['chrome', /Chrom(?:e|ium)\/(\d+)/],
  ['safari', /Version\/(\d+(?:\.\d+)*).*Safari/],
] as const;

/** The runtime's name and version, for reports: `node 26.10.0`, `deno 2.9.1`, `firefox 153`, `workerd`. */
export function runtimeName(): string {
  if (isNodeLike) {
    const { bun, deno, node } = process.versions;
    return bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`;
  }
  if (isWorkerd) return 'workerd';
  for (const [name, pattern] of BROWSERS) {
    const version = pattern.exec(userAgent)?.[1];
    if (version) return `${name} ${version}`;
  }
  return userAgent || 'unknown';
}

/** How many threads this machine runs side by side; 1 when the host does not say. */
export function hardwareThreads(): number {
  if (isNodeLike) {
    const os = process.getBuiltinModule('node:os');
    return os.availableParallelism?.() ?? os.cpus().length;
  }
  return (typeof navigator === 'object' && navigator.hardwareConcurrency) || 1;
}

/** Threads of an engine by default. */
export function defaultThreads(): number {
  return Math.min(hardwareThreads(), 16);
}

const NOT_ISOLATED =
  'the page is not cross-origin isolated; serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

/** Why shared memory and workers cannot be used here, or undefined when they can. */
export function threadsMissing(): string | undefined {
  if (isNodeLike) return undefined;
  if (typeof Worker === 'undefined') return 'this host has no workers';
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  return typeof SharedArrayBuffer === 'undefined' || !isIsolated ? NOT_ISOLATED : undefined;
}

/** A started worker thread: `terminate` ends it wherever it is. */
export interface Thread {
  terminate(): void;
}

/** Starts one worker of thread.js or web-thread.js and resolves when it is ready: when it has instantiated the binary, or watches. */
export async function startThread(task: object): Promise<Thread> {
  if (isNodeLike && !('Bun' in globalThis)) {
    const { Worker } = process.getBuiltinModule('node:worker_threads');
    const here = import.meta.url; // in a form that bundlers for browsers do not follow
    const worker = new Worker(new URL('./thread.js', here), { workerData: task });
    await new Promise<void>((resolve, reject) => {
      worker.once('error', reject);
      worker.once('message', (message) => (message.ready ? resolve() : reject(new Error(message.error))));
    });
    worker.unref();
    return { terminate: () => void worker.terminate() };
  }
  // Bundlers find the file by this very form.
  const worker = new Worker(new URL('./web-thread.js', import.meta.url), { type: 'module' });
  await new Promise<void>((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message || 'a worker that did not start'));
    worker.onmessage = (event) => (event.data.ready ? resolve() : reject(new Error(event.data.error)));
    worker.postMessage(task);
  });
  (worker as { unref?: () => void }).unref?.();
  return { terminate: () => worker.terminate() };
}

/** Turns that were asked for, in browsers, where a timer would cost 4 ms each. */
const turns: (() => void)[] = [];
let channel: MessageChannel | undefined;

/** Lets timers, signals and input be handled before the next long computation. */
export function eventLoopTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else if (typeof MessageChannel === 'function') {
      if (!channel) {
        channel = new MessageChannel();
        channel.port1.onmessage = () => turns.shift()?.();
      }
      turns.push(resolve);
      channel.port2.postMessage(undefined);
    } else setTimeout(resolve, 0);
  });
}

/**
 * The body of a worker thread: instantiate the shared binary, say so, and stay inside `work` until told to stop.
 * Plain JavaScript, because workers load it as it stands on every supported Node, also straight from `src`.
 */
import { instantiateKernels } from './instantiate.js';

/**
 * @param {{ module: WebAssembly.Module, memory: WebAssembly.Memory, control: number, thread: number, seen: number }} task
 * @param {(message: { ready: boolean, error?: string }) => void} post
 */
function serve({ module, memory, control, thread, seen }, post) {
  let kernels;
  try {
    kernels = instantiateKernels(module, memory);
  } catch (error) {
    post({ ready: false, error: String(error) });
    return;
  }
  post({ ready: true });
  kernels.work(control, thread, seen);
}

const scope = /** @type {any} */ (globalThis);
if (typeof scope.WorkerGlobalScope === 'function' && scope instanceof scope.WorkerGlobalScope) {
  scope.onmessage = (/** @type {MessageEvent} */ event) => {
    serve(event.data, (message) => scope.postMessage(message));
    scope.close();
  };
} else {
  const { parentPort, workerData } = await import('node:worker_threads');
  if (parentPort) serve(workerData, (message) => parentPort.postMessage(message));
}

/**
 * What a worker thread does on every host: instantiate the shared binary, say so, and stay inside `work` until told to
 * stop. An error ends the thread, and is left in the control block for the one that called `run`.
 * Plain JavaScript, because workers load it as it stands on every supported Node, also straight from `src`.
 */
import { instantiateKernels } from './instantiate.js';

/**
 * @typedef {object} Task
 * @property {WebAssembly.Module} module
 * @property {WebAssembly.Memory} memory
 * @property {number} control address of the control block
 * @property {number} message address of the text of an error
 * @property {number} messageBytes room for it
 * @property {number} thread
 * @property {number} seen generation at the thread's birth
 * @property {string} [life] name of a lock that the thread holds while it lives
 */

/**
 * @param {Task} task
 * @param {(message: { ready: boolean, error?: string }) => void} post
 */
export function serveThread({ module, memory, control, message, messageBytes, thread, seen }, post) {
  let kernels;
  try {
    kernels = instantiateKernels(module, memory);
  } catch (error) {
    post({ ready: false, error: String(error) });
    return;
  }
  post({ ready: true });
  try {
    kernels.work(control, thread, seen);
  } catch (error) {
    const text = new TextEncoder().encode(String(error)).subarray(0, messageBytes);
    new Uint8Array(memory.buffer).set(text, message);
    kernels.fail(control, thread);
  }
}

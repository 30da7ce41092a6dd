/** A worker thread of a browser or of Bun: its task comes as a message. */
import { holdLife } from './life.js';
import { serveThread } from './serve-thread.js';

const scope = /** @type {any} */ (globalThis);
scope.onmessage = async (/** @type {MessageEvent<import('./serve-thread.js').Task>} */ { data: task }) => {
  if (task.life !== undefined) await holdLife(task.life);
  serveThread(task, (message) => scope.postMessage(message));
  scope.close();
};

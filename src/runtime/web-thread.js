/** A worker thread of a browser or of Bun, or the guard of others: its task comes as a message. */
import { guard } from './guard.js';
import { holdLife } from './life.js';
import { serveThread } from './serve-thread.js';

const scope = /** @type {any} */ (globalThis);
/** @typedef {import('./serve-thread.js').Task & { watch: undefined }} Task */
/** @typedef {{ watch: import('./guard.js').Watch }} GuardTask */
scope.onmessage = async (/** @type {MessageEvent<Task | GuardTask>} */ { data: task }) => {
  if (task.watch) {
    guard(task.watch);
    scope.postMessage({ ready: true });
    return;
  }
  if (task.life !== undefined) await holdLife(task.life);
  serveThread(task, (message) => scope.postMessage(message));
  scope.close();
};

/** A worker thread of Node and Deno: its task comes with its birth. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveThread } from './serve-thread.js';

if (parentPort) {
  const port = parentPort;
  serveThread(workerData, (message) => port.postMessage(message));
}

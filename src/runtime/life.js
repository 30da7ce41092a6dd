/**
 * How a page learns that a worker is gone, of which no event tells it: the worker holds a lock of the Web Locks API for as
 * long as it lives, and the page waits for that lock.
 * Plain JavaScript, because worker threads load it as it stands.
 */

/**
 * Holds the lock `name` until this worker ends; resolves when it is held.
 * @param {string} name
 * @returns {Promise<void>}
 */
export function holdLife(name) {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, () => {
        resolve();
        return new Promise(() => {});
      })
      .catch(reject);
  });
}

/**
 * Calls `onEnd` once the worker that holds `name` is gone, unless `signal` is aborted first.
 * @param {string} name
 * @param {AbortSignal} signal
 * @param {() => void} onEnd
 */
export function watchLife(name, signal, onEnd) {
  navigator.locks.request(name, { signal }, onEnd).catch((error) => {
    if (!signal.aborted) throw error;
  });
}

/**
 * A name for the lives of one engine, or undefined where they cannot be watched: outside of secure contexts, in browsers
 * before 2022, and where the user forbids sites to store anything.
 * @returns {Promise<string | undefined>}
 */
export async function nameLife() {
  if (navigator.locks === undefined || typeof crypto.randomUUID !== 'function') return undefined;
  const name = `lanewise-${crypto.randomUUID()}`;
  try {
    await navigator.locks.request(name, () => {});
    return name;
  } catch (error) {
    if (/** @type {Error} */ (error).name === 'SecurityError') return undefined;
    throw error;
  }
}

/** SIGINT and SIGTERM as an AbortSignal. */
import { note } from './output.ts';

/** The user or the system asked this process to stop. */
export class Interrupted extends Error {}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const SAME_SIGNAL_MS = 500;

/** The first signal aborts; one that comes later ends the process at once. Call `release` when there is nothing left to save. */
export function catchSignals(): { signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  let first = 0;
  function stop(): void {
    if (!controller.signal.aborted) {
      first = performance.now();
      note('stopping after this step; press Ctrl-C again to stop now');
      controller.abort(new Interrupted('stopped before the first step; nothing was saved.'));
    } else if (performance.now() - first > SAME_SIGNAL_MS) process.exit(130);
  }
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, stop);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, stop);
    },
  };
}

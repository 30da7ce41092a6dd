/** Why an engine does not start, or has no room, in words. */
import { ConfigError, MemoryError } from '../errors.ts';
import { MEMORY_LIMIT_BYTES } from './allocator.ts';
import { type BackendOptions, MAX_THREADS } from './backend.ts';

/** @param isCount whether `threads` is a number of threads */
export function wrongOption({ threads, precision }: BackendOptions, isCount: boolean): ConfigError {
  return new ConfigError(
    threads !== undefined && !isCount
      ? `engine: expected threads from 1 to ${MAX_THREADS}, got ${threads}.`
      : `engine: expected precision 'exact' or 'fast', got ${JSON.stringify(precision)}.`,
  );
}

/** An allocation that 4 GiB do not hold. */
export function noMemory(bytes: number, what: string, availableBytes: number, usedBytes: number): MemoryError {
  return new MemoryError(
    `engine: expected at most ${mebibytes(availableBytes)} MiB for ${what}, got ${mebibytes(bytes)} MiB ` +
      `(WebAssembly memory ends at ${mebibytes(MEMORY_LIMIT_BYTES)} MiB, ${mebibytes(usedBytes)} MiB are in use). Use a smaller model, batch or context.`,
    bytes,
    MEMORY_LIMIT_BYTES,
  );
}

function mebibytes(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toLocaleString('en-US');
}

/** Folders that a verb is about to write: checked before any work, then made. */
import { constants, existsSync, statSync } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { EnvironmentError } from '../errors.ts';

/**
 * Checks that a folder can be written, or made where it is missing.
 * @throws EnvironmentError naming it
 */
export async function checkFolder(path: string): Promise<void> {
  const { nearest } = missingFolders(path);
  if (!statSync(nearest).isDirectory()) throw unwritable(path, 'a file in its place');
  try {
    await access(nearest, constants.W_OK);
  } catch (cause) {
    throw unwritable(path, systemError(cause), cause);
  }
}

/**
 * Makes a folder, and those above it.
 * @throws EnvironmentError naming it
 */
export async function makeFolder(path: string): Promise<void> {
  await checkFolder(path);
  try {
    // One by one: Node's own `recursive` never returns where the system answers ENOENT, as in /proc.
    for (const folder of missingFolders(path).missing) await mkdir(folder);
  } catch (cause) {
    throw unwritable(path, systemError(cause), cause);
  }
}

/** The nearest folder that is there, and those below it that are not, from the top. */
function missingFolders(path: string): { nearest: string; missing: string[] } {
  const missing: string[] = [];
  let nearest = resolve(path);
  for (; !existsSync(nearest); nearest = dirname(nearest)) missing.unshift(nearest);
  return { nearest, missing };
}

/** What the file system said, for messages. */
export function systemError(error: unknown): string {
  return `an error of the file system (${(error as NodeJS.ErrnoException).code ?? String(error)})`;
}

function unwritable(path: string, found: string, cause?: unknown): EnvironmentError {
  return new EnvironmentError(`${path}: expected a folder that can be written, got ${found}. Choose another one.`, {
    cause,
  });
}

/**
 * Which relative paths are safe. Names come from outside (a model's index file names its shards), so a path may only
 * go down: the same rules hold on every host, so that a model that loads on one loads on all.
 */

import { CheckpointError } from '../errors.ts';

/** What is wrong with a path, or nothing. */
function pathFault(path: string): string | undefined {
  if (path === '') return 'an empty path';
  if (path.includes('\0')) return 'a NUL character';
  if (path.includes('\\')) return 'a backslash';
  if (path.startsWith('/')) return 'an absolute path';
  if (/^[A-Za-z]:/.test(path)) return 'a drive letter';
  if (/\p{Surrogate}/u.test(path)) return 'half a surrogate pair';
  for (const name of path.split('/')) {
    if (name === '') return 'an empty name between slashes';
    if (name === '.' || name === '..') return `the step '${name}'`;
  }
  return undefined;
}

/**
 * Refuses a path that is not plainly below its folder.
 * @param path a relative path: names with single `/` between them.
 * @param where what names the path in the message: a folder, an index file.
 * @returns the path, unchanged.
 * @throws CheckpointError for an empty or absolute path, `.`, `..`, empty names, backslash, NUL, drive letter.
 */
export function checkPath(path: string, where: string): string {
  if (typeof path !== 'string') throw new TypeError(`${where}: expected a path as a string, got ${typeof path}.`);
  const fault = pathFault(path);
  if (fault !== undefined) {
    throw new CheckpointError(
      `${where}: expected a relative path inside the folder, got ${fault} in ${JSON.stringify(path)}. ` +
        'Name the file by plain names with / between them.',
      { file: where },
    );
  }
  return path;
}

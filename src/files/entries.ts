/** Names of what lies in folders. */

/** Folder and path as one name for messages. */
export function joinName(folder: string, path: string): string {
  return folder === '' || folder.endsWith('/') ? `${folder}${path}` : `${folder}/${path}`;
}

/**
 * The entries directly below a folder, out of all paths.
 * @param paths full paths of files.
 * @param prefix the folder, '' for the root.
 * @returns file names, and folder names with `/` at the end, sorted.
 */
export function entriesBelow(paths: Iterable<string>, prefix: string): string[] {
  const start = prefix === '' ? '' : `${prefix}/`;
  const entries = new Set<string>();
  for (const path of paths) {
    if (!path.startsWith(start)) continue;
    const slash = path.indexOf('/', start.length);
    entries.add(slash < 0 ? path.slice(start.length) : path.slice(start.length, slash + 1));
  }
  return [...entries].sort();
}

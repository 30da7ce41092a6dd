/** Finds the right kind of folder for what the caller has. */

import type { Directory } from './directory.ts';
import { urlDirectory } from './url.ts';

/** A host that has, or imitates, Node: Node itself, Deno and Bun. */
function hasFileSystem(): boolean {
  const host = globalThis as { process?: { versions?: { node?: string } }; Deno?: unknown };
  return typeof host.process?.versions?.node === 'string' || host.Deno !== undefined;
}

function isDirectory(source: object): source is Directory {
  const candidate = source as Partial<Directory>;
  return typeof candidate.open === 'function' && typeof candidate.readText === 'function';
}

async function openPath(path: string): Promise<Directory> {
  const { nodeDirectory } = await import('./node.ts');
  return nodeDirectory(path);
}

async function openUrl(url: URL): Promise<Directory | undefined> {
  if (url.protocol === 'http:' || url.protocol === 'https:') return urlDirectory(url);
  // On Windows the path of file:///C:/x is /C:/x.
  if (url.protocol === 'file:') return openPath(decodeURIComponent(url.pathname).replace(/^\/([A-Za-z]:)/, '$1'));
  return undefined;
}

async function open(source: string | URL | Directory | Iterable<File>): Promise<Directory | undefined> {
  if (source instanceof URL) return openUrl(source);
  if (typeof source === 'string') {
    if (/^(https?|file):\/\//i.test(source)) return openUrl(new URL(source));
    if (hasFileSystem()) return openPath(source);
    const page = (globalThis as { location?: { href?: string } }).location?.href;
    return page !== undefined && /^https?:/.test(page) ? urlDirectory(new URL(source, page)) : undefined;
  }
  if (typeof source !== 'object' || source === null) return undefined;
  if (isDirectory(source)) return source;
  return Symbol.iterator in source ? (await import('./file-list.ts')).fileListDirectory(source) : undefined;
}

/**
 * Opens a folder: a path, a URL, files picked in a browser, or a folder already made.
 * A path on a host without a file system is a URL relative to the page.
 * @param source `./gpt2`, `https://…/gpt2/`, a URL object, `input.files`, or a Directory, which is returned as it is.
 * @returns the folder; nothing is read yet.
 * @throws EnvironmentError when this host cannot open such a source; TypeError when it is none of them.
 */
export async function openDirectory(source: string | URL | Directory | Iterable<File>): Promise<Directory> {
  const directory = await open(source);
  if (directory) return directory;
  throw (await import('./open-errors.ts')).unopenable(source);
}

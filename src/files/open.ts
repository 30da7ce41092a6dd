/** Finds the right kind of folder for what the caller has. */

import { EnvironmentError } from '../errors.ts';
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

async function openUrl(url: URL): Promise<Directory> {
  if (url.protocol === 'http:' || url.protocol === 'https:') return urlDirectory(url);
  // On Windows the path of file:///C:/x is /C:/x.
  if (url.protocol === 'file:') return openPath(decodeURIComponent(url.pathname).replace(/^\/([A-Za-z]:)/, '$1'));
  throw new EnvironmentError(
    `${url.href}: expected a URL that starts with http:, https: or file:, got ${url.protocol}. Give one of those, or a path.`,
  );
}

/** A URL or a path, as text. */
async function openText(source: string): Promise<Directory> {
  if (/^(https?|file):\/\//i.test(source)) return openUrl(new URL(source));
  if (hasFileSystem()) return openPath(source);
  const page = (globalThis as { location?: { href?: string } }).location?.href;
  if (page !== undefined && /^https?:/.test(page)) return urlDirectory(new URL(source, page));
  throw new EnvironmentError(
    `${source}: expected a host with a file system or a page address, got neither. Give an https: URL or memoryDirectory().`,
  );
}

/**
 * Opens a folder: a path, a URL, files picked in a browser, or a folder already made.
 * A path on a host without a file system is a URL relative to the page.
 * @param source `./gpt2`, `https://…/gpt2/`, a URL object, `input.files`, or a Directory, which is returned as it is.
 * @returns the folder; nothing is read yet.
 * @throws EnvironmentError when this host cannot open such a source; TypeError when it is none of them.
 * @example
 * const names = await (await openDirectory('./gpt2')).list();
 */
export async function openDirectory(source: string | URL | Directory | Iterable<File>): Promise<Directory> {
  if (source instanceof URL) return openUrl(source);
  if (typeof source === 'string') return openText(source);
  if (typeof source === 'object' && source !== null) {
    if (isDirectory(source)) return source;
    if (Symbol.iterator in source) return (await import('./file-list.ts')).fileListDirectory(source);
  }
  throw new TypeError(`openDirectory: expected a path, URL, Directory or files, got ${typeof source}.`);
}

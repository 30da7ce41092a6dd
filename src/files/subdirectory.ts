/** What the folders of all hosts share, and a folder inside a folder: the parent with a prefix in front of each path. */

import { readWhole, readWholeText } from './bytes.ts';
import type { ByteFile, Directory, FileContent } from './directory.ts';
import { checkPath } from './path.ts';

/** What a host offers to its subfolders beside `Directory`: listing any folder below. */
export interface ListableDirectory extends Directory {
  listAt(prefix: string): Promise<string[]>;
}

/** A folder of a host: the methods that follow from those in which hosts differ. */
export abstract class HostDirectory implements ListableDirectory {
  abstract readonly name: string;
  abstract has(path: string): Promise<boolean>;
  abstract open(path: string): Promise<ByteFile>;
  abstract listAt(prefix: string): Promise<string[]>;
  abstract write(path: string, content: FileContent): Promise<void>;
  abstract remove(path: string): Promise<void>;

  async readText(path: string): Promise<string> {
    return readWholeText(this.open(path));
  }

  async readBytes(path: string): Promise<Uint8Array> {
    return readWhole(this.open(path));
  }

  async list(): Promise<string[]> {
    return this.listAt('');
  }

  async subdirectory(path: string): Promise<Directory> {
    return new Subdirectory(this, path);
  }
}

/** The folder `path` of `parent`. */
export class Subdirectory implements Directory {
  readonly name: string;
  readonly #parent: ListableDirectory;
  readonly #path: string;

  constructor(parent: ListableDirectory, path: string) {
    this.#parent = parent;
    this.#path = checkPath(path, parent.name);
    this.name = joinName(parent.name, path);
  }

  #below(path: string): string {
    return `${this.#path}/${checkPath(path, this.name)}`;
  }

  async has(path: string): Promise<boolean> {
    return this.#parent.has(this.#below(path));
  }

  async open(path: string): Promise<ByteFile> {
    return this.#parent.open(this.#below(path));
  }

  async readText(path: string): Promise<string> {
    return this.#parent.readText(this.#below(path));
  }

  async readBytes(path: string): Promise<Uint8Array> {
    return this.#parent.readBytes(this.#below(path));
  }

  async list(): Promise<string[]> {
    return this.#parent.listAt(this.#path);
  }

  async write(path: string, content: FileContent): Promise<void> {
    return this.#parent.write(this.#below(path), content);
  }

  async remove(path: string): Promise<void> {
    return this.#parent.remove(this.#below(path));
  }

  async subdirectory(path: string): Promise<Directory> {
    return new Subdirectory(this.#parent, this.#below(path));
  }

  async freeBytes(): Promise<number | undefined> {
    return this.#parent.freeBytes?.();
  }
}

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

/** A folder inside a folder: the parent with a prefix in front of each path. */

import type { ByteFile, Directory, FileContent } from './directory.ts';
import { joinName } from './entries.ts';
import { checkPath } from './path.ts';

/** What a host offers to its subfolders beside `Directory`: listing any folder below. */
export interface ListableDirectory extends Directory {
  listAt(prefix: string): Promise<string[]>;
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

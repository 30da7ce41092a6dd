/** A folder that lives in memory: tests, browsers, edge functions. */

import { CheckpointError } from '../errors.ts';
import { ByteRope, MemoryFile } from './bytes.ts';
import { checkPiece, contentPieces } from './content.ts';
import type { ByteFile, Directory, FileContent } from './directory.ts';
import { entriesBelow, joinName } from './entries.ts';
import { HostDirectory } from './host-directory.ts';
import { checkPath } from './path.ts';

class MemoryDirectory extends HostDirectory {
  readonly name: string;
  readonly #files = new Map<string, ByteRope>();

  constructor(name: string) {
    super();
    this.name = name;
  }

  /** Copies a file in without a promise. */
  put(path: string, content: string | Uint8Array): void {
    const name = joinName(this.name, checkPath(path, this.name));
    const bytes = new ByteRope();
    for (const piece of contentPieces(content, name) as Iterable<Uint8Array>) bytes.append(checkPiece(piece, name));
    this.#keep(path, bytes);
  }

  #keep(path: string, bytes: ByteRope): void {
    for (let slash = path.indexOf('/'); slash >= 0; slash = path.indexOf('/', slash + 1)) {
      if (this.#files.has(path.slice(0, slash))) {
        throw this.#expected('a folder', path.slice(0, slash), 'a file', 'Choose another path.');
      }
    }
    if (this.#isFolder(path)) throw this.#expected('a file', path, 'a folder', 'Choose another path.');
    this.#files.set(path, bytes);
  }

  #isFolder(path: string): boolean {
    for (const other of this.#files.keys()) if (other.startsWith(`${path}/`)) return true;
    return false;
  }

  #expected(what: string, path: string, found: string, hint: string): CheckpointError {
    const name = joinName(this.name, path);
    return new CheckpointError(`${name}: expected ${what}, got ${found}. ${hint}`, { file: name });
  }

  async has(path: string): Promise<boolean> {
    return this.#files.has(checkPath(path, this.name));
  }

  async open(path: string): Promise<ByteFile> {
    const bytes = this.#files.get(checkPath(path, this.name));
    if (bytes === undefined) {
      const found = this.#isFolder(path) ? 'a folder' : 'none';
      throw this.#expected('a file', path, found, 'Check the path.');
    }
    return new MemoryFile(joinName(this.name, path), bytes);
  }

  async listAt(prefix: string): Promise<string[]> {
    return entriesBelow(this.#files.keys(), prefix);
  }

  async write(path: string, content: FileContent): Promise<void> {
    const name = joinName(this.name, checkPath(path, this.name));
    const bytes = new ByteRope();
    for await (const piece of contentPieces(content, name)) bytes.append(checkPiece(piece, name));
    this.#keep(path, bytes);
  }

  async remove(path: string): Promise<void> {
    checkPath(path, this.name);
    this.#files.delete(path);
    for (const other of [...this.#files.keys()]) if (other.startsWith(`${path}/`)) this.#files.delete(other);
  }
}

/**
 * Makes a folder in memory.
 * @param files its first files, path to text or bytes; the bytes are copied. Default: none.
 * @param name what messages call it. Default 'memory:'.
 * @returns the folder.
 * @throws CheckpointError for an unsafe path.
 * @example
 * const folder = memoryDirectory();
 * await model.save(folder, { tokenizer });
 */
export function memoryDirectory(
  files: Readonly<Record<string, Uint8Array | string>> = {},
  name = 'memory:',
): Directory {
  const directory = new MemoryDirectory(name);
  for (const [path, content] of Object.entries(files)) directory.put(path, content);
  return directory;
}

/** The files a visitor picked or dropped in a browser, as a folder that can only be read. */

import { CheckpointError, EnvironmentError } from '../errors.ts';
import { BlobFile } from './blob-file.ts';
import type { ByteFile, Directory } from './directory.ts';
import { entriesBelow } from './entries.ts';
import { HostDirectory } from './host-directory.ts';
import { checkPath } from './path.ts';

class FileListDirectory extends HostDirectory {
  readonly name: string;
  readonly #files: ReadonlyMap<string, File>;

  constructor(name: string, files: ReadonlyMap<string, File>) {
    super();
    this.name = name;
    this.#files = files;
  }

  async has(path: string): Promise<boolean> {
    return this.#files.has(checkPath(path, this.name));
  }

  async open(path: string): Promise<ByteFile> {
    const file = this.#files.get(checkPath(path, this.name));
    if (file === undefined) {
      throw new CheckpointError(
        `${this.name}: expected the file ${path}, got ${[...this.#files.keys()].slice(0, 8).join(', ') || 'no files'}. Pick it together with the others.`,
        { file: path },
      );
    }
    return new BlobFile(path, file, 'It was changed or removed since it was picked; pick it again.');
  }

  async listAt(prefix: string): Promise<string[]> {
    return entriesBelow(this.#files.keys(), prefix);
  }

  async write(path: string): Promise<void> {
    throw this.#readOnly('write', checkPath(path, this.name));
  }

  async remove(path: string): Promise<void> {
    throw this.#readOnly('remove', checkPath(path, this.name));
  }

  #readOnly(action: string, path: string): EnvironmentError {
    return new EnvironmentError(
      `${path}: expected a folder that can be written, got files picked in a browser (${action}). ` +
        'Save to memoryDirectory() and offer its files for download.',
    );
  }
}

/** The path of a picked file; one of a picked folder starts with the name of that folder. */
function pickedPath(file: File): string {
  return file.webkitRelativePath || file.name;
}

/**
 * Makes a folder of picked files: `<input type="file" multiple>`, `<input webkitdirectory>`, or a drop.
 * When all of them lie in one picked folder, paths start inside it.
 * @param files the files, such as `input.files`.
 * @returns the folder; it can be read and listed, not written.
 * @throws CheckpointError when two files have the same path, or a path is not safe.
 * @example
 * const gpt = await loadModel(fileListDirectory(input.files));
 */
export function fileListDirectory(files: Iterable<File>): Directory {
  const list = [...files];
  const top = new Set(list.map((file) => pickedPath(file).split('/', 1)[0]!));
  const inFolder = list.every((file) => pickedPath(file).includes('/')) && top.size === 1;
  const name = inFolder ? [...top][0]! : 'picked files';
  const byPath = new Map<string, File>();
  for (const file of list) {
    const path = checkPath(inFolder ? pickedPath(file).slice(name.length + 1) : pickedPath(file), name);
    if (byPath.has(path)) {
      throw new CheckpointError(
        `${name}: expected files with different names, got ${path} twice. Pick the files of one folder.`,
        { file: path },
      );
    }
    byPath.set(path, file);
  }
  return new FileListDirectory(name, byPath);
}

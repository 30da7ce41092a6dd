/**
 * A folder in the origin private file system (OPFS), where a browser keeps files of a site: https://fs.spec.whatwg.org.
 * `createWritable` writes to a copy that takes the place of the file when it is closed, so a tab that is closed at any
 * moment leaves the old file or the new one. Works in pages and workers, in secure contexts (https:, localhost).
 */

import { CheckpointError, EnvironmentError, StorageError } from '../errors.ts';
import { BlobFile } from './blob-file.ts';
import { checkPiece, contentPieces } from './content.ts';
import type { ByteFile, Directory, FileContent } from './directory.ts';
import { joinName } from './entries.ts';
import { HostDirectory } from './host-directory.ts';
import { checkPath } from './path.ts';

/** Chromium's unfinished writes. */
const UNFINISHED = '.crswap';

/**
 * Written at once. Chromium sends what is written through a pipe of limited length; where more than it holds meets a full
 * storage, the broken pipe is sometimes reported instead of the storage.
 */
const WRITE_BYTES = 256 * 1024;

const nameOfError = (error: unknown): string => (error as { name?: unknown } | null)?.name as string;

/** A step of the path is missing, or is a file where a folder is meant, or the other way round. */
const isAbsent = (error: unknown) => ['NotFoundError', 'TypeMismatchError'].includes(nameOfError(error));

class OpfsDirectory extends HostDirectory {
  readonly name: string;
  readonly #root: FileSystemDirectoryHandle;

  constructor(name: string, root: FileSystemDirectoryHandle) {
    super();
    this.name = name;
    this.#root = root;
  }

  async #folder(names: readonly string[], create: boolean): Promise<FileSystemDirectoryHandle> {
    let folder = this.#root;
    for (const name of names) folder = await folder.getDirectoryHandle(name, { create });
    return folder;
  }

  async #file(path: string): Promise<File> {
    const names = checkPath(path, this.name).split('/');
    const folder = await this.#folder(names.slice(0, -1), false);
    return (await folder.getFileHandle(names.at(-1)!)).getFile();
  }

  #unreadable(path: string, cause: unknown): CheckpointError {
    const name = joinName(this.name, path);
    const found = {
      NotFoundError: 'none',
      TypeMismatchError: 'a folder, or a file on the way',
    }[nameOfError(cause)];
    return new CheckpointError(
      `${name}: expected a file, got ${found ?? `a refusal by the browser (${String(cause)})`}. Check the path.`,
      { cause, file: name },
    );
  }

  async has(path: string): Promise<boolean> {
    checkPath(path, this.name);
    try {
      await this.#file(path);
      return true;
    } catch (error) {
      if (isAbsent(error)) return false;
      throw this.#unreadable(path, error);
    }
  }

  async open(path: string): Promise<ByteFile> {
    checkPath(path, this.name);
    try {
      const hint = 'It was written or removed since it was opened; open it again.';
      return new BlobFile(joinName(this.name, path), await this.#file(path), hint);
    } catch (error) {
      throw this.#unreadable(path, error);
    }
  }

  async listAt(prefix: string): Promise<string[]> {
    try {
      const folder = await this.#folder(prefix === '' ? [] : prefix.split('/'), false);
      const names: string[] = [];
      for await (const [name, { kind }] of folder.entries()) {
        if (!name.endsWith(UNFINISHED)) names.push(kind === 'directory' ? `${name}/` : name);
      }
      return names.sort();
    } catch (error) {
      if (isAbsent(error)) return [];
      throw this.#unreadable(prefix, error);
    }
  }

  async write(path: string, content: FileContent): Promise<void> {
    const names = checkPath(path, this.name).split('/');
    const name = joinName(this.name, path);
    const pieces = contentPieces(content, name);
    let bytes = 0;
    const host = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        throw await this.#unwritable(name, bytes, error);
      }
    };
    const folder = await host(this.#folder(names.slice(0, -1), true));
    // Only once there is a whole content does the file come into being, or change.
    const existed = await this.has(path);
    const handle = await host(folder.getFileHandle(names.at(-1)!, { create: true }));
    let writable: FileSystemWritableFileStream | undefined;
    try {
      writable = await host(handle.createWritable());
      for await (const piece of pieces) {
        checkPiece(piece, name);
        for (let done = 0; done < piece.length; done += WRITE_BYTES) {
          // A copy: the browser takes no views of shared memory.
          const part = piece.slice(done, done + WRITE_BYTES);
          bytes += part.length;
          await host(writable.write(part));
        }
      }
      await host(writable.close());
    } catch (error) {
      await writable?.abort().catch(() => undefined); // fails where the stream is already in an error
      if (!existed) await folder.removeEntry(names.at(-1)!).catch(() => undefined);
      throw error;
    }
  }

  async #unwritable(name: string, bytes: number, cause: unknown): Promise<Error> {
    if (nameOfError(cause) === 'QuotaExceededError') {
      const free = await this.freeBytes();
      return new StorageError(
        // Chromium reports a round figure whatever the disk has, so that sites cannot tell visitors apart by it.
        `${name}: expected room for at least ${bytes} bytes, got a full storage or disk ` +
          `(the browser reports ${free ?? 'an unknown number of'} free bytes). ` +
          'Remove models that are no longer needed, or free space on the disk.',
        bytes,
        free,
        { cause },
      );
    }
    return new EnvironmentError(
      `${name}: expected a place that can be written, got a refusal by the browser (${String(cause)}). ` +
        'Choose another path, and close other tabs that use this file.',
      { cause },
    );
  }

  async remove(path: string): Promise<void> {
    const names = checkPath(path, this.name).split('/');
    try {
      const folder = await this.#folder(names.slice(0, -1), false);
      await folder.removeEntry(names.at(-1)!, { recursive: true });
    } catch (error) {
      if (!isAbsent(error)) throw await this.#unwritable(joinName(this.name, path), 0, error);
    }
  }

  async freeBytes(): Promise<number | undefined> {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined ? undefined : Math.max(0, quota - usage);
  }
}

/**
 * Opens a folder of the browser's private file system, and makes it where it is missing. It outlives the page; when the
 * disk gets full a browser may empty it, unless `navigator.storage.persist()` was granted.
 * @param name relative path of the folder, such as `models/gpt2`.
 * @returns the folder; `loadModel`, `save` and `Trainer` take it like any other.
 * @throws EnvironmentError where there is no such file system; StorageError, from `write`, where it is full.
 * @example
 * await model.save(await opfsDirectory('models/mine'), { tokenizer });
 */
export async function opfsDirectory(name: string): Promise<Directory> {
  const names = checkPath(name, 'opfsDirectory').split('/');
  const storage = typeof navigator === 'object' ? navigator.storage : undefined;
  const canWrite = typeof FileSystemFileHandle === 'function' && 'createWritable' in FileSystemFileHandle.prototype;
  if (typeof storage?.getDirectory !== 'function' || !canWrite) {
    throw new EnvironmentError(
      `opfs:/${name}: expected a browser with a private file system (OPFS), got a host without one. ` +
        'Serve the page over https: or from localhost, and use Chrome 86, Firefox 111, Safari 26 or later; elsewhere use a path or memoryDirectory().',
    );
  }
  try {
    let folder = await storage.getDirectory();
    for (const step of names) folder = await folder.getDirectoryHandle(step, { create: true });
    return new OpfsDirectory(`opfs:/${name}`, folder);
  } catch (cause) {
    throw new EnvironmentError(
      `opfs:/${name}: expected a folder in the browser's storage, got a refusal (${String(cause)}). ` +
        'Private windows and blocked site data have no storage; allow it, or use memoryDirectory().',
      { cause },
    );
  }
}

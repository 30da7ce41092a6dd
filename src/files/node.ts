/**
 * Folders of a file system through `node:fs/promises`, which Node, Deno and Bun share.
 * The module is imported when first needed, in a form that bundlers for browsers leave alone.
 *
 * A write goes to `.lanewise-<random>.tmp` in the same folder, is flushed to the disk, then renamed over the old file,
 * and the folder is flushed too: POSIX renames are atomic, so a process killed at any moment leaves the old file or the
 * new one. Temporaries that a killed process left are removed by a later write once they are an hour old.
 */

import type * as NodeFileSystem from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { CheckpointError, EnvironmentError } from '../errors.ts';
import { checkRead, closed, truncated } from './bytes.ts';
import { checkPiece, contentPieces } from './content.ts';
import type { ByteFile, Directory, FileContent } from './directory.ts';
import { joinName } from './entries.ts';
import { HostDirectory } from './host-directory.ts';
import { checkPath } from './path.ts';

type FileSystem = typeof NodeFileSystem;

/** Most bytes per system call: some hosts refuse 2 GiB and more. */
const MAX_CALL_BYTES = 64 * 1024 * 1024;
/** Reads at a time: libuv has four threads for them, machines have at least two cores. */
const LANES = 4;
const STALE_MS = 60 * 60 * 1000;
const TEMPORARY = /^\.lanewise-[0-9a-f]{16}\.tmp$/;

/** Error code of a failed system call ('ENOENT'), or ''. */
function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : '';
}

function unreadable(name: string, cause: unknown): CheckpointError {
  const code = codeOf(cause);
  const missing = code === 'ENOENT' || code === 'ENOTDIR';
  const found = missing ? 'none' : `an error of the file system (${code || String(cause)})`;
  const hint = missing ? 'Check the path.' : 'Check that this process may read it.';
  return new CheckpointError(`${name}: expected a file, got ${found}. ${hint}`, { cause, file: name });
}

function unwritable(name: string, cause: unknown): EnvironmentError {
  const code = codeOf(cause);
  const hint =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'Free some space on the disk.'
      : 'Choose a folder that this process may write.';
  return new EnvironmentError(
    `${name}: expected a place that can be written, got an error of the file system (${code || String(cause)}). ${hint}`,
    { cause },
  );
}

class NodeFile implements ByteFile {
  readonly name: string;
  readonly size: number;
  #handle: FileHandle | undefined;

  constructor(name: string, size: number, handle: FileHandle) {
    this.name = name;
    this.size = size;
    this.#handle = handle;
  }

  async read(offset: number, target: Uint8Array): Promise<void> {
    if (this.#handle === undefined) throw closed(this.name);
    if (!checkRead(this, offset, target.length)) return;
    for (let done = 0; done < target.length; ) {
      const count = Math.min(MAX_CALL_BYTES, target.length - done);
      let bytesRead: number;
      try {
        ({ bytesRead } = await this.#handle.read(target, done, count, offset + done));
      } catch (cause) {
        throw unreadable(this.name, cause);
      }
      if (bytesRead === 0) throw truncated(this.name, offset + target.length, offset + done);
      done += bytesRead;
    }
  }

  async readAll(pieces: Iterable<readonly [offset: number, target: Uint8Array]>): Promise<void> {
    const waiting = [...pieces].values();
    const lane = async () => {
      for (const [offset, target] of waiting) await this.read(offset, target);
    };
    // All of them end before an error is thrown: the caller may then release the memory.
    const lanes = await Promise.allSettled(Array.from({ length: LANES }, lane));
    for (const lane of lanes) if (lane.status === 'rejected') throw lane.reason;
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }
}

class NodeDirectory extends HostDirectory {
  readonly name: string;
  readonly #fs: FileSystem;

  constructor(name: string, fs: FileSystem) {
    super();
    this.name = name;
    this.#fs = fs;
  }

  /** The path as the system takes it. `/` separates names on Windows too. */
  #at(path: string): string {
    return joinName(this.name, checkPath(path, this.name));
  }

  async has(path: string): Promise<boolean> {
    const name = this.#at(path);
    try {
      return (await this.#fs.stat(name)).isFile();
    } catch (cause) {
      const code = codeOf(cause);
      if (code === 'ENOENT' || code === 'ENOTDIR') return false;
      throw unreadable(name, cause);
    }
  }

  async open(path: string): Promise<ByteFile> {
    const name = this.#at(path);
    try {
      // Before opening: opening a pipe would wait for its writer.
      const kind = await this.#fs.stat(name);
      if (!kind.isFile()) {
        const found = kind.isDirectory() ? 'a folder' : 'something that is no plain file';
        throw new CheckpointError(`${name}: expected a file, got ${found}. Check the path.`, { file: name });
      }
      const handle = await this.#fs.open(name, 'r');
      try {
        return new NodeFile(name, (await handle.stat()).size, handle);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (cause) {
      throw cause instanceof CheckpointError ? cause : unreadable(name, cause);
    }
  }

  override async list(): Promise<string[]> {
    return this.#listFolder(this.name);
  }

  async listAt(prefix: string): Promise<string[]> {
    return this.#listFolder(this.#at(prefix));
  }

  async #listFolder(folder: string): Promise<string[]> {
    try {
      const names: string[] = [];
      for (const entry of await this.#fs.readdir(folder, { withFileTypes: true })) {
        if (TEMPORARY.test(entry.name)) continue;
        const isFolder = entry.isSymbolicLink()
          ? await this.#fs.stat(`${folder}/${entry.name}`).then(
              (kind) => kind.isDirectory(),
              () => false,
            )
          : entry.isDirectory();
        names.push(isFolder ? `${entry.name}/` : entry.name);
      }
      return names.sort();
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return [];
      throw unreadable(folder, cause);
    }
  }

  async write(path: string, content: FileContent): Promise<void> {
    const name = this.#at(path);
    const pieces = contentPieces(content, name);
    const folder = folderOf(name);
    await this.#makeFolder(folder, name);
    await this.#removeStale(folder);
    const temporary = `${folder}/.lanewise-${randomHex()}.tmp`;
    const handle = await this.#fs.open(temporary, 'wx').catch((cause: unknown) => {
      throw unwritable(name, cause);
    });
    try {
      try {
        for await (const piece of pieces) await writePiece(handle, checkPiece(piece, name), name);
        await handle.sync().catch((cause: unknown) => {
          throw unwritable(name, cause);
        });
      } finally {
        await handle.close();
      }
      await this.#fs.rename(temporary, name).catch((cause: unknown) => {
        throw unwritable(name, cause);
      });
    } catch (error) {
      await this.#fs.rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await this.#flushFolder(folder);
  }

  async #makeFolder(folder: string, name: string): Promise<void> {
    try {
      if ((await this.#fs.mkdir(folder, { recursive: true })) === undefined) return;
    } catch (cause) {
      throw unwritable(name, cause);
    }
    let above = folder;
    for (const _ of folder.split('/')) {
      above += '/..';
      await this.#flushFolder(above);
    }
  }

  /** Makes a rename last through a power cut; hosts that cannot open a folder (Windows) do so by themselves. */
  async #flushFolder(folder: string): Promise<void> {
    try {
      const handle = await this.#fs.open(folder, 'r');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch {
      // The rename itself succeeded.
    }
  }

  /** Removes what killed processes left behind; a write under way touches its file all the time. */
  async #removeStale(folder: string): Promise<void> {
    try {
      for (const entry of await this.#fs.readdir(folder)) {
        if (!TEMPORARY.test(entry)) continue;
        const { mtimeMs } = await this.#fs.stat(`${folder}/${entry}`);
        if (Date.now() - mtimeMs > STALE_MS) await this.#fs.rm(`${folder}/${entry}`, { force: true });
      }
    } catch {
      // Tidying up must not stop a write.
    }
  }

  async remove(path: string): Promise<void> {
    const name = this.#at(path);
    try {
      await this.#fs.rm(name, { recursive: true, force: true });
    } catch (cause) {
      throw unwritable(name, cause);
    }
    await this.#flushFolder(folderOf(name));
  }

  async freeBytes(): Promise<number | undefined> {
    // The folder need not exist yet: the nearest one above it that does is on the same disk.
    for (let path = this.name; ; path = path.includes('/') ? folderOf(path) : '.') {
      try {
        const { bavail, bsize } = await this.#fs.statfs(path);
        return bavail * bsize;
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || path === '/' || path === '.') return undefined;
      }
    }
  }
}

/** The folder of a path that has one. */
function folderOf(name: string): string {
  return name.slice(0, Math.max(name.lastIndexOf('/'), 1));
}

async function writePiece(handle: FileHandle, piece: Uint8Array, name: string): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const count = Math.min(MAX_CALL_BYTES, piece.length - done);
    try {
      done += (await handle.write(piece, done, count)).bytesWritten;
    } catch (cause) {
      throw unwritable(name, cause);
    }
  }
}

function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Opens a folder of the file system; it need not exist before the first write.
 * @param path absolute, or relative to the working directory; with `/` or the host's own separator.
 * @returns the folder.
 * @throws EnvironmentError where the host has no file system.
 */
export async function nodeDirectory(path: string): Promise<Directory> {
  let fs: FileSystem;
  try {
    fs = await import(/* webpackIgnore: true */ /* @vite-ignore */ 'node:fs/promises');
  } catch (cause) {
    throw new EnvironmentError(
      `${path}: expected a host with a file system, got one without node:fs. Give a URL, picked files or memoryDirectory().`,
      { cause },
    );
  }
  return new NodeDirectory(path === '' ? '.' : path, fs);
}

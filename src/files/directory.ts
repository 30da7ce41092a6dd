/**
 * A folder of bytes on any host: the two interfaces behind which file systems, memory, HTTP servers and
 * browser file pickers look alike. Paths are relative, with `/` between names; see `path.ts` for the rules.
 */

/** What `Directory.write` takes: text, bytes, or bytes piece by piece. */
export type FileContent = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** An open file that is read at any offset. */
export interface ByteFile {
  /** The file as messages call it: folder and path. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * Fills the whole of `target` with the bytes that start at `offset`.
   * @param offset first byte, 0 … size − target.length.
   * @param target receives the bytes; it may lie in shared memory.
   * @throws CheckpointError when the file ends before `target` is full, or can no longer be read.
   * @throws RangeError when `offset` is not a non-negative safe integer.
   */
  read(offset: number, target: Uint8Array): Promise<void>;
  /**
   * Does several reads, some at a time. Absent where each is a way to a server, or gains nothing.
   * @throws CheckpointError as `read`, when all that began has ended.
   */
  readAll?(pieces: Iterable<readonly [offset: number, target: Uint8Array]>): Promise<void>;
  /** Gives the handle or connection back; reading afterwards throws DisposedError. Closing twice is harmless. */
  close(): Promise<void>;
}

/** A folder: files by relative path. Every method throws CheckpointError for a path that leaves the folder. */
export interface Directory {
  /** The folder as messages call it. */
  readonly name: string;
  /**
   * Says whether a file is there.
   * @param path relative path of a file.
   * @returns false for a folder and for a missing file.
   */
  has(path: string): Promise<boolean>;
  /**
   * Opens a file for reading.
   * @param path relative path.
   * @throws CheckpointError when it is missing or is not a file.
   */
  open(path: string): Promise<ByteFile>;
  /**
   * Reads a file as UTF-8 text, exactly: a byte order mark stays, bytes that are not UTF-8 are refused.
   * @param path relative path of a file of at most 256 MiB.
   * @throws CheckpointError when it is missing, too large or not UTF-8.
   */
  readText(path: string): Promise<string>;
  /**
   * Reads a whole file.
   * @param path relative path.
   * @throws CheckpointError when it is missing; MemoryError when the host cannot hold it.
   */
  readBytes(path: string): Promise<Uint8Array>;
  /**
   * Lists what is directly inside: file names, and folder names with a `/` at the end, sorted.
   * @returns an empty list when the folder does not exist.
   * @throws EnvironmentError where a host cannot list (HTTP).
   */
  list(): Promise<string[]>;
  /**
   * Writes a file as a whole: whatever happens, even a killed process, afterwards the old file is there
   * unchanged or the new one complete. Folders on the way are made.
   * Each piece is taken before the next one is asked for, so a producer may reuse its buffer.
   * @param path relative path.
   * @param content text, bytes or pieces.
   * @throws EnvironmentError where writing is not possible; whatever `content` throws, unchanged.
   */
  write(path: string, content: FileContent): Promise<void>;
  /**
   * Removes a file, or a folder with everything in it; nothing there is no error.
   * @param path relative path.
   * @throws EnvironmentError where writing is not possible.
   */
  remove(path: string): Promise<void>;
  /**
   * Steps into a folder, which need not exist yet.
   * @param path relative path.
   */
  subdirectory(path: string): Promise<Directory>;
  /** Bytes that may still be written; undefined, or no such method, where the host does not say. */
  freeBytes?(): Promise<number | undefined>;
}

/**
 * A folder behind HTTP that is downloaded once and kept: afterwards it is read from where it was kept, without a network.
 *
 * Which files there are, and their hashes, comes from `files.json` in the folder, or from the caller; where there is
 * neither, the files of a Hugging Face model are looked for, and what arrives first is what counts.
 *
 *   store/cache.json     written last: the address, and a FileRecord of every file
 *   store/<path>.parts/  see parts.ts
 */

import { CheckpointError, ConfigError, EnvironmentError, StorageError } from '../errors.ts';
import type { ByteFile, Directory } from './directory.ts';
import { downloadFile, type ExpectedFile, readJson, storedFile } from './download.ts';
import { entriesBelow } from './entries.ts';
import { HostDirectory } from './host-directory.ts';
import { failed, isEncoded, nameOf, request, urlBelow } from './http.ts';
import { type FileRecord, isFileRecord, PART_BYTES, PartsFile, partsFolder } from './parts.ts';
import { checkPath } from './path.ts';
import { Sha256 } from './sha256.ts';

const MANIFEST = 'files.json';
const CACHE = 'cache.json';

/** Files of a model folder, where no list of them is given; the first is needed, the others may be missing. */
const MODEL_FILES = ['config.json', 'tokenizer.json', 'vocab.json', 'merges.txt', 'model.safetensors'];
const INDEX = 'model.safetensors.index.json';

/** What `files.json` holds: size and SHA-256 (hexadecimal) of each file, by relative path. */
export interface FileManifest {
  readonly files: Readonly<Record<string, { readonly size: number; readonly sha256: string }>>;
}

/** How far a download is. Bytes that were there already count. */
export interface DownloadProgress {
  /** The file that is being downloaded. */
  readonly file: string;
  readonly loadedBytes: number;
  /** Undefined where the server does not say how large a file is. */
  readonly totalBytes: number | undefined;
}

/** Options of `cachedDirectory`. */
export interface CachedDirectoryOptions {
  /** Where the files are kept: `opfsDirectory(…)` in a browser, a path elsewhere; one folder for each address. */
  readonly store: Directory;
  /** SHA-256 of each file, hexadecimal, by relative path: these files are downloaded, and `files.json` is not asked for. */
  readonly sha256?: Readonly<Record<string, string>>;
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download; what has arrived is kept. */
  readonly signal?: AbortSignal;
  /** How often in a row a connection may fail without bringing anything. Default 3. */
  readonly retries?: number;
}

interface Cache {
  readonly url: string;
  readonly files: Readonly<Record<string, FileRecord>>;
}

class CachedDirectory extends HostDirectory {
  readonly name: string;
  readonly #store: Directory;
  readonly #files: ReadonlyMap<string, FileRecord>;

  constructor(store: Directory, cache: Cache) {
    super();
    this.name = store.name;
    this.#store = store;
    this.#files = new Map(Object.entries(cache.files));
  }

  async has(path: string): Promise<boolean> {
    return this.#files.has(checkPath(path, this.name));
  }

  async open(path: string): Promise<ByteFile> {
    const record = this.#files.get(checkPath(path, this.name));
    if (record === undefined) {
      throw new CheckpointError(
        `${this.name}: expected the file ${path}, got ${[...this.#files.keys()].join(', ')}. Check the path, or ${MANIFEST} on the server.`,
        { file: path },
      );
    }
    return new PartsFile(this.#store, path, record);
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
      `${path}: expected a folder that can be written, got a downloaded one (${action}). Save to another folder, such as memoryDirectory().`,
    );
  }
}

/**
 * Downloads a folder once, and opens what was kept: the second call needs no network. A download that breaks off goes
 * on where it was, in the same call or in a later one.
 * @param url the folder: http: or https:.
 * @param options where it is kept, hashes, progress, a signal.
 * @returns the folder; it can be read and listed, not written. Remove the store to download it anew.
 * @throws CheckpointError when a file is missing, changed on the server, or has another hash than announced: nothing of it
 *   is used. StorageError when it does not fit; ConfigError when the store holds another address; the reason of `signal`.
 * @example
 * const folder = await cachedDirectory('https://example.org/gpt2/', { store: await opfsDirectory('gpt2') });
 * const gpt = await loadModel(folder);
 */
export async function cachedDirectory(url: URL | string, options: CachedDirectoryOptions): Promise<Directory> {
  const { store, signal, retries = 3 } = options;
  if (!Number.isInteger(retries) || retries < 0) {
    throw new RangeError(`cachedDirectory: expected retries of 0 or more, got ${retries}.`);
  }
  const base = new URL(url);
  if (!base.pathname.endsWith('/')) base.pathname += '/';
  const given = options.sha256 === undefined ? undefined : checkHashes(options.sha256);
  signal?.throwIfAborted();
  const cache = await storedCache(store, nameOf(base));
  if (cache !== undefined && fits(cache, given)) return new CachedDirectory(store, cache);

  const expected = given ?? (await manifestAt(base)) ?? (await modelFilesAt(base));
  const records = new Map<string, FileRecord>();
  for (const [path, file] of expected) {
    const record = await storedFile(store, path, file);
    if (record !== undefined) records.set(path, record);
  }
  await checkRoom(store, expected, records);
  const loaded = new Map([...records].map(([path, { size }]) => [path, size]));
  const report = (file: string, bytes: number, total: number | undefined): void => {
    loaded.set(file, bytes);
    const loadedBytes = [...loaded.values()].reduce((sum, each) => sum + each, 0);
    options.onProgress?.({ file, loadedBytes, totalBytes: total });
  };
  const sizes = [...expected].map(([path, { size }]) => size ?? records.get(path)?.size);
  const total = sizes.every((size) => size !== undefined) ? sizes.reduce((sum, size) => sum + size, 0) : undefined;
  for (const [path, file] of expected) {
    if (records.has(path)) continue;
    const onBytes = (bytes: number) => report(path, bytes, total);
    records.set(path, await downloadFile(urlBelow(base, path), store, path, file, { retries, signal, onBytes }));
  }
  const complete: Cache = { url: nameOf(base), files: Object.fromEntries(records) };
  await store.write(CACHE, JSON.stringify(complete));
  return new CachedDirectory(store, complete);
}

/**
 * Makes the list that `cachedDirectory` looks for: serve it as `files.json` beside the files.
 * @param directory a model folder; files directly inside are listed, folders in it are not.
 * @returns sizes and hashes.
 * @example
 * await folder.write('files.json', JSON.stringify(await fileManifest(folder)));
 */
export async function fileManifest(directory: Directory): Promise<FileManifest> {
  const files: Record<string, { size: number; sha256: string }> = {};
  for (const path of await directory.list()) {
    if (path.endsWith('/') || path === MANIFEST) continue;
    const file = await directory.open(path);
    try {
      const hash = new Sha256();
      const piece = new Uint8Array(1024 * 1024);
      for (let done = 0; done < file.size; done += piece.length) {
        const part = piece.subarray(0, Math.min(piece.length, file.size - done));
        await file.read(done, part);
        hash.update(part);
      }
      files[path] = { size: file.size, sha256: hash.hex() };
    } finally {
      await file.close();
    }
  }
  return { files };
}

async function storedCache(store: Directory, address: string): Promise<Cache | undefined> {
  const cache = (await readJson(store, CACHE)) as Cache | undefined;
  if (cache === undefined || cache === null || typeof cache !== 'object') return undefined;
  const { url, files } = cache;
  if (typeof url !== 'string' || typeof files !== 'object' || !Object.values(files ?? {}).every(isFileRecord))
    return undefined;
  if (url !== address) {
    throw new ConfigError(
      `${store.name}: expected a store for ${address}, got one that holds ${url}. Give each address a folder of its own.`,
    );
  }
  return cache;
}

/** Whether a cache has all files that the caller named, with their hashes. */
function fits({ files }: Cache, given: ReadonlyMap<string, ExpectedFile> | undefined): boolean {
  return [...(given ?? [])].every(([path, { sha256 }]) => files[path]?.sha256 === sha256);
}

function checkHashes(hashes: Readonly<Record<string, string>>): Map<string, ExpectedFile> {
  const entries = Object.entries(hashes).map(([path, hash]): [string, ExpectedFile] => {
    checkPath(path, 'cachedDirectory');
    if (!/^[0-9a-f]{64}$/i.test(hash)) {
      throw new ConfigError(
        `cachedDirectory: expected sha256 of ${path} in 64 hexadecimal digits, got ${JSON.stringify(hash)}.`,
      );
    }
    return [path, { sha256: hash.toLowerCase() }];
  });
  return new Map(entries);
}

/** What files.json says, or undefined where there is none. */
async function manifestAt(base: URL): Promise<Map<string, ExpectedFile> | undefined> {
  const url = urlBelow(base, MANIFEST);
  const response = await request(url, { cache: 'no-cache' });
  if (!response.ok) {
    await response.body?.cancel().catch(() => undefined);
    if ([403, 404, 410].includes(response.status)) return undefined;
    throw failed(nameOf(url), `HTTP ${response.status}`);
  }
  const text = await response.text();
  const malformed = (found: string, cause?: unknown) =>
    new CheckpointError(
      `${nameOf(url)}: expected {"files": {"<path>": {"size": …, "sha256": …}}}, got ${found}. Write it with fileManifest().`,
      { cause, file: nameOf(url) },
    );
  let files: unknown;
  try {
    files = (JSON.parse(text) as { files?: unknown } | null)?.files;
  } catch (cause) {
    throw malformed('text that is not JSON', cause);
  }
  if (typeof files !== 'object' || files === null || Object.keys(files).length === 0) throw malformed('no files');
  const expected = new Map<string, ExpectedFile>();
  for (const [path, entry] of Object.entries(files as Record<string, unknown>)) {
    checkPath(path, nameOf(url));
    const { size, sha256 } = (entry ?? {}) as { size?: unknown; sha256?: unknown };
    const isValid = Number.isSafeInteger(size) && (size as number) >= 0 && typeof sha256 === 'string';
    if (!isValid || !/^[0-9a-f]{64}$/.test(sha256)) throw malformed(`${JSON.stringify(entry)} for ${path}`);
    expected.set(path, { size: size as number, sha256 });
  }
  return expected;
}

/** The files of a model folder that are there, with their sizes where the server tells. */
async function modelFilesAt(base: URL): Promise<Map<string, ExpectedFile>> {
  const found = new Map<string, ExpectedFile>();
  const look = async (path: string): Promise<boolean> => {
    const response = await request(urlBelow(base, path), { method: 'HEAD' });
    if ([403, 404, 410].includes(response.status)) return false;
    if (!response.ok) throw failed(nameOf(urlBelow(base, path)), `HTTP ${response.status}`);
    const length = isEncoded(response) ? null : response.headers.get('Content-Length');
    found.set(path, length === null ? {} : { size: Number(length) });
    return true;
  };
  for (const path of MODEL_FILES) await look(path);
  if (!found.has('config.json')) throw failed(nameOf(urlBelow(base, 'config.json')), 'none');
  if (!found.has('model.safetensors') && (await look(INDEX))) {
    const response = await request(urlBelow(base, INDEX), {});
    const { weight_map: shards = {} } = (await response.json()) as { weight_map?: Record<string, string> };
    for (const path of new Set(Object.values(shards))) await look(checkPath(path, nameOf(urlBelow(base, INDEX))));
  }
  return found;
}

/** Refuses a download that the store has no room for, before it begins. */
async function checkRoom(
  store: Directory,
  expected: ReadonlyMap<string, ExpectedFile>,
  present: ReadonlyMap<string, FileRecord>,
): Promise<void> {
  let needed = 0;
  for (const [path, { size = 0 }] of expected) {
    if (present.has(path)) continue;
    const parts = (await (await store.subdirectory(partsFolder(path))).list()).filter((name) => /^\d+$/.test(name));
    needed += Math.max(0, size - parts.length * PART_BYTES);
  }
  const free = await store.freeBytes?.();
  if (free !== undefined && needed > free) {
    throw new StorageError(
      `${store.name}: expected room for ${needed} bytes, got ${free} free bytes. ` +
        'Remove models that are no longer needed, choose a smaller one (q8, q4), or free space on the disk.',
      needed,
      free,
    );
  }
}

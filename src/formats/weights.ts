/**
 * The weights of a model folder, in one file (`model.safetensors`) or in several
 * (`model.safetensors.index.json`: {"metadata": {"total_size"}, "weight_map": {tensor: file}}), behind one interface.
 * Writing: `save-weights.ts`.
 */

import { CheckpointError } from '../errors.ts';
import type { ByteFile, Directory } from '../files/directory.ts';
import { convertToF32, isFloatDtype } from './convert.ts';
import { dtypeBits } from './dtype.ts';
import { FileWindow } from './file-window.ts';
import { describeJson, JsonSyntaxError, type JsonValue, numberOf, parseJson } from './json.ts';
import {
  readSafetensorsHeader,
  readTensor,
  streamTensor,
  type TensorArray,
  type TensorInfo,
  tensorElements,
} from './safetensors.ts';

/** The one file of a model that is not sharded. */
export const WEIGHTS_FILE = 'model.safetensors';
/** How many values are converted to f32 together: 2 MiB. */
const CONVERTED_VALUES = 1 << 19;

/** The list of a sharded model's files. */
export const INDEX_FILE = 'model.safetensors.index.json';

/** A tensor of a model, and the file in which it lies. */
export interface WeightInfo extends TensorInfo {
  /** The file, as messages call it. */
  readonly file: string;
  /** Product of the shape. */
  readonly elements: number;
}

/** All tensors of a model by name, wherever they lie. Names are as in the file. */
export interface Weights {
  /** Tensor names in file order: streaming in this order reads each file once, forward. */
  readonly names: readonly string[];
  /** `__metadata__` of the file; of the first one when there are several. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Bytes of all tensors. */
  readonly totalBytes: number;
  /** Whether a tensor of this name is there. */
  has(name: string): boolean;
  /**
   * Looks a tensor up.
   * @throws CheckpointError when there is none of this name.
   */
  info(name: string): WeightInfo;
  /**
   * Reads a tensor as f32, piece by piece, with at most 4 MiB in between.
   * @param name tensor of dtype F32, F16 or BF16.
   * @param onChunk receives values and the index of the first; they are valid until it returns or its promise settles.
   * @throws CheckpointError when it is missing, of another dtype, or the file ends early.
   */
  stream(name: string, onChunk: (values: Float32Array, elementOffset: number) => void | Promise<void>): Promise<void>;
  /**
   * Reads a tensor's bytes as they are, piece by piece, with at most 4 MiB in between.
   * @param name tensor of any dtype.
   * @param onChunk receives bytes and the offset of the first; they are valid until it returns or its promise settles.
   * @throws CheckpointError when it is missing or the file ends early.
   */
  streamBytes(name: string, onChunk: (bytes: Uint8Array, byteOffset: number) => void | Promise<void>): Promise<void>;
  /**
   * Reads a tensor as f32 to where it belongs; one in F32 is read there directly.
   * @param name tensor of dtype F32, F16 or BF16.
   * @param target as many values as the tensor has.
   * @throws CheckpointError as `stream`, and when the lengths differ.
   */
  copyInto(name: string, target: Float32Array): Promise<void>;
  /**
   * Reads a tensor of any dtype as it is; see `readTensor`.
   * @throws CheckpointError when it is missing or the file ends early.
   */
  read(name: string): Promise<TensorArray>;
  /** Closes the files. */
  close(): Promise<void>;
}

interface Located {
  readonly info: WeightInfo;
  readonly file: ByteFile;
}

class FileWeights implements Weights {
  readonly names: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly totalBytes: number;
  readonly #where: string;
  readonly #tensors: ReadonlyMap<string, Located>;
  readonly #files: readonly ByteFile[];
  /** Windows of files through which nobody reads at the moment. */
  readonly #windows = new Map<ByteFile, FileWindow>();
  /** Room for converted values, while nobody uses it. */
  #values: Float32Array<ArrayBuffer> | undefined;

  constructor(
    where: string,
    tensors: ReadonlyMap<string, Located>,
    metadata: ReadonlyMap<string, string>,
    files: readonly ByteFile[],
  ) {
    this.#where = where;
    this.#tensors = tensors;
    this.#files = files;
    this.metadata = metadata;
    this.names = [...tensors.keys()];
    let total = 0;
    for (const { info } of tensors.values()) total += info.end - info.begin;
    this.totalBytes = total;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): WeightInfo {
    return this.#located(name).info;
  }

  #located(name: string): Located {
    const located = this.#tensors.get(name);
    if (located !== undefined) return located;
    throw new CheckpointError(
      `${this.#where}: expected a tensor ${JSON.stringify(name)}, got none of that name among ${this.names.length}. Check that config.json and weights belong together.`,
      { file: this.#where },
    );
  }

  async stream(
    name: string,
    onChunk: (values: Float32Array, elementOffset: number) => void | Promise<void>,
  ): Promise<void> {
    const { info, file } = this.#located(name);
    const { dtype } = info;
    if (!isFloatDtype(dtype)) throw notFloat(info, name);
    if (dtype === 'F32' && info.begin % 4 === 0)
      return this.#stream(file, info, (bytes, offset) =>
        onChunk(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), offset / 4),
      );
    const values = this.#values ?? new Float32Array(CONVERTED_VALUES);
    this.#values = undefined;
    const elementBytes = dtypeBits(dtype) / 8;
    await this.#stream(
      file,
      info,
      (bytes, offset) => onChunk(values.subarray(0, convertToF32(dtype, bytes, values)), offset / elementBytes),
      CONVERTED_VALUES * elementBytes,
    );
    this.#values = values;
  }

  async streamBytes(
    name: string,
    onChunk: (bytes: Uint8Array, byteOffset: number) => void | Promise<void>,
  ): Promise<void> {
    const { info, file } = this.#located(name);
    await this.#stream(file, info, onChunk);
  }

  /** Streams through the file's window; through a new one when somebody reads through that. */
  async #stream(
    file: ByteFile,
    info: WeightInfo,
    onChunk: (bytes: Uint8Array<ArrayBuffer>, byteOffset: number) => void | Promise<void>,
    most?: number,
  ): Promise<void> {
    const window = this.#windows.get(file) ?? new FileWindow(file);
    this.#windows.delete(file);
    await streamTensor(window, info, onChunk, most);
    this.#windows.set(file, window);
  }

  async copyInto(name: string, target: Float32Array): Promise<void> {
    const { info, file } = this.#located(name);
    if (target.length !== info.elements) {
      throw new CheckpointError(
        `${info.file}: expected ${target.length} elements in tensor ${JSON.stringify(name)}, got ${info.elements} [${info.shape.join(', ')}]. Check that config.json and weights belong together.`,
        { file: info.file },
      );
    }
    if (info.dtype === 'F32') {
      return file.read(info.begin, new Uint8Array(target.buffer, target.byteOffset, target.byteLength));
    }
    return this.stream(name, (values, offset) => target.set(values, offset));
  }

  async read(name: string): Promise<TensorArray> {
    const { info, file } = this.#located(name);
    return readTensor(file, info);
  }

  async close(): Promise<void> {
    await closeAll(this.#files);
  }
}

function notFloat(info: WeightInfo, name: string): CheckpointError {
  return new CheckpointError(
    `${info.file}: expected tensor ${JSON.stringify(name)} as F32, F16 or BF16, got ${info.dtype}. Save the model in one of these.`,
    { file: info.file },
  );
}

async function closeAll(files: readonly ByteFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

/**
 * Opens the tensors of one safetensors file.
 * @param directory the folder.
 * @param path relative path. Default 'model.safetensors'.
 * @returns its tensors; close them when done.
 * @throws CheckpointError when the file is missing or breaks a rule of the format.
 */
export async function openSafetensors(directory: Directory, path: string = WEIGHTS_FILE): Promise<Weights> {
  const file = await directory.open(path);
  try {
    const { tensors, metadata } = await readSafetensorsHeader(file);
    return new FileWeights(file.name, locate(file, tensors), metadata, [file]);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function locate(file: ByteFile, tensors: ReadonlyMap<string, TensorInfo>): Map<string, Located> {
  const located = new Map<string, Located>();
  for (const [name, info] of tensors) {
    located.set(name, { file, info: { ...info, file: file.name, elements: tensorElements(info) } });
  }
  return located;
}

/**
 * Opens the weights of a model folder: `model.safetensors`, else the shards of `model.safetensors.index.json`.
 * @param directory the folder.
 * @returns its tensors; close them when done.
 * @throws CheckpointError when there are none, a file breaks a rule of the format, or the index and the shards disagree.
 */
export async function openWeights(directory: Directory): Promise<Weights> {
  if (await directory.has(WEIGHTS_FILE)) return openSafetensors(directory, WEIGHTS_FILE);
  if (await directory.has(INDEX_FILE)) return openShards(directory);
  throw new CheckpointError(
    `${directory.name}: expected ${WEIGHTS_FILE} or ${INDEX_FILE}, got neither. Check the folder; PyTorch .bin weights must first be saved as safetensors.`,
    { file: directory.name },
  );
}

async function openShards(directory: Directory): Promise<Weights> {
  const index = await readIndex(directory);
  const indexName = `${directory.name}/${INDEX_FILE}`;
  const files: ByteFile[] = [];
  const all = new Map<string, Located>();
  let metadata: ReadonlyMap<string, string> | undefined;
  try {
    for (const path of new Set(index.values())) {
      const file = await directory.open(path);
      files.push(file);
      const header = await readSafetensorsHeader(file);
      metadata ??= header.metadata;
      for (const [name, located] of locate(file, header.tensors)) {
        const listed = index.get(name);
        if (listed !== path) {
          throw indexFault(
            indexName,
            `tensor ${JSON.stringify(name)} of ${path} to be listed there`,
            listed ?? 'no entry',
          );
        }
        all.set(name, located);
      }
    }
    for (const [name, path] of index) {
      if (!all.has(name)) throw indexFault(indexName, `tensor ${JSON.stringify(name)} in ${path}`, 'none of that name');
    }
    return new FileWeights(indexName, all, metadata ?? new Map(), files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

function indexFault(file: string, expected: string, found: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    `${file}: expected ${expected}, got ${found}. Fetch or save the model again, all files of it.`,
    { cause, file },
  );
}

/**
 * Reads the weight map of a sharded model.
 * @param directory the folder.
 * @returns tensor name → file.
 * @throws CheckpointError when the index is not what it should be. Whether paths are safe is the folder's check.
 */
export async function readIndex(directory: Directory): Promise<ReadonlyMap<string, string>> {
  const file = `${directory.name}/${INDEX_FILE}`;
  const text = await directory.readText(INDEX_FILE);
  let index: JsonValue;
  try {
    index = parseJson(text);
  } catch (cause) {
    if (!(cause instanceof JsonSyntaxError)) throw cause;
    throw indexFault(file, 'JSON', cause.reason, cause);
  }
  if (!(index instanceof Map)) throw indexFault(file, 'an object', describeJson(index));
  const map = index.get('weight_map');
  if (!(map instanceof Map)) throw indexFault(file, 'weight_map to be an object of file names', describeJson(map));
  const metadata = index.get('metadata') ?? null;
  if (metadata !== null && !(metadata instanceof Map)) {
    throw indexFault(file, 'metadata to be an object', describeJson(metadata));
  }
  const total = metadata?.get('total_size');
  if (total !== undefined && !((numberOf(total) ?? -1) >= 0)) {
    throw indexFault(file, 'metadata.total_size in bytes', describeJson(total));
  }
  for (const [name, path] of map) {
    if (typeof path !== 'string') {
      throw indexFault(file, `weight_map ${JSON.stringify(name)} to name a file`, describeJson(path));
    }
  }
  return map as Map<string, string>;
}

/** The tensors of files, by name, wherever they lie. */

import { CheckpointError } from '../../errors.ts';
import type { ByteFile } from '../../files/directory.ts';
import { convertToF32 } from './convert.ts';
import type { TensorInfo } from './header.ts';
import { FileWindow, streamTensor } from './window.ts';

/** How many values are converted to f32 together: 2 MiB. */
const CONVERTED_VALUES = 1 << 19;

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
   * Reads tensors as they are, side by side.
   * @param targets with names, each as long as its tensor's bytes
   * @returns false where that gains nothing, and nothing was read
   * @throws CheckpointError when a file ends early.
   */
  readAll(targets: readonly (readonly [name: string, target: Uint8Array])[]): Promise<boolean>;
  /** Closes the files. */
  close(): Promise<void>;
}

export interface Located {
  readonly info: WeightInfo;
  readonly file: ByteFile;
}

export class FileWeights implements Weights {
  readonly names: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  readonly #where: string;
  readonly #tensors: ReadonlyMap<string, Located>;
  readonly #files: readonly ByteFile[];
  /** Windows of files that are not in use. */
  readonly #windows = new Map<ByteFile, FileWindow>();
  /** A buffer for converted values, while it is not in use. */
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
    if (dtype !== 'F32' && dtype !== 'F16' && dtype !== 'BF16')
      throw new CheckpointError(
        `${info.file}: expected tensor ${JSON.stringify(name)} as F32, F16 or BF16, got ${dtype}. Save the model in one of these.`,
        { file: info.file },
      );
    if (dtype === 'F32' && info.begin % 4 === 0)
      return this.#stream(file, info, (bytes, offset) =>
        onChunk(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), offset / 4),
      );
    const values = this.#values ?? new Float32Array(CONVERTED_VALUES);
    this.#values = undefined;
    const elementBytes = dtype === 'F32' ? 4 : 2;
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

  async readAll(targets: readonly (readonly [name: string, target: Uint8Array])[]): Promise<boolean> {
    if (!this.#files.every((file) => file.readAll)) return false;
    for (const file of this.#files)
      await file.readAll!(
        targets.flatMap(([name, target]) => {
          const { info, file: its } = this.#located(name);
          return its === file ? [[info.begin, target] as const] : [];
        }),
      );
    return true;
  }

  /** Streams through the file's window; through a new one while that is in use. */
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

  async close(): Promise<void> {
    await closeAll(this.#files);
  }
}

export async function closeAll(files: readonly ByteFile[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()));
}

/** The tensors of a file's header, each with its file. */
export function locate(file: ByteFile, tensors: ReadonlyMap<string, TensorInfo>): Map<string, Located> {
  const located = new Map<string, Located>();
  for (const [name, info] of tensors) {
    located.set(name, { file, info: { ...info, file: file.name, elements: info.shape.reduce((a, b) => a * b, 1) } });
  }
  return located;
}

/**
 * Writing safetensors, byte for byte as the Rust writer does (huggingface/safetensors `tensor.rs`, `prepare`):
 * tensors ordered by element type (64-bit first), then name; header without spaces, padded with spaces to 8 bytes.
 */

import { CheckpointError } from '../../errors.ts';
import type { Directory } from '../../files/directory.ts';
import { BITS, isTensorDtype, type TensorDtype, tensorBytes } from './dtype.ts';
import { MAX_HEADER_BYTES } from './header.ts';

/** Name, type and shape of a tensor to be written. */
export interface TensorDescription {
  /** Any text but `__metadata__`; each name once. */
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
}

/** A tensor to be written, its bytes made when they are asked for. */
export interface TensorEntry extends TensorDescription {
  /** Starts over: the little-endian bytes in file order, in pieces of any size; a piece may be reused for the next. */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A header ready to be written, and the tensors in the order in which their bytes must follow. */
export interface EncodedHeader<T extends TensorDescription> {
  /** Length word, JSON and padding. */
  readonly bytes: Uint8Array;
  readonly entries: readonly T[];
  /** Bytes of all tensors together. */
  readonly dataBytes: number;
}

/** What files of PyTorch weights carry; transformers refuses files without it. */
export const PYTORCH_METADATA: Readonly<Record<string, string>> = { format: 'pt' };

/** Order of Rust strings: by UTF-8 bytes, which is by code point. */
function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left === right) continue;
    // Surrogates stand for code points above every other UTF-16 unit.
    const leftHigh = left >= 0xd800 && left < 0xe000;
    const rightHigh = right >= 0xd800 && right < 0xe000;
    return leftHigh === rightHigh ? left - right : leftHigh ? 1 : -1;
  }
  return a.length - b.length;
}

/** Checks one tensor to be written and counts its bytes. */
export function describedBytes(file: string, entry: TensorDescription): number {
  const tensor = `tensor ${JSON.stringify(entry.name)}`;
  if (entry.name === '__metadata__' || /\p{Surrogate}/u.test(entry.name)) {
    throw new CheckpointError(
      `${file}: expected a name that the format allows, got ${JSON.stringify(entry.name)}. Rename the tensor.`,
      { file },
    );
  }
  if (!isTensorDtype(entry.dtype)) {
    throw new CheckpointError(
      `${file}: expected ${tensor} to have a known dtype, got ${JSON.stringify(entry.dtype)}. Use F32, F16, BF16 or an integer type.`,
      { file },
    );
  }
  const bytes = entry.shape.every((size) => Number.isSafeInteger(size) && size >= 0)
    ? tensorBytes(entry.dtype, entry.shape)
    : undefined;
  if (bytes === undefined) {
    throw new CheckpointError(
      `${file}: expected ${tensor} to fill a whole number of bytes below 2^53, got ${entry.dtype} [${entry.shape.join(', ')}]. Check its shape.`,
      { file },
    );
  }
  return bytes;
}

/** Sorts element types as the Rust writer does: 64 bits first, 8 bits last. */
function compareDtypes(a: TensorDtype, b: TensorDtype): number {
  const order = Object.keys(BITS);
  return order.indexOf(b) - order.indexOf(a);
}

/**
 * Lays tensors out and encodes the header of a safetensors file.
 * @param entries the tensors, in any order.
 * @param metadata strings for `__metadata__`. Default `{format: 'pt'}`, as PyTorch writes; `{}` leaves it out.
 * @param file what messages call the file. Default 'safetensors'.
 * @returns the header's bytes and the tensors in file order.
 * @throws CheckpointError for a name twice, a reserved name, an unknown dtype, an impossible shape, too long a header.
 */
export function encodeSafetensorsHeader<T extends TensorDescription>(
  entries: readonly T[],
  metadata: Readonly<Record<string, string>> = PYTORCH_METADATA,
  file = 'safetensors',
): EncodedHeader<T> {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string' || /\p{Surrogate}/u.test(key + value)) {
      throw new CheckpointError(
        `${file}: expected metadata ${JSON.stringify(key)} to be a string that UTF-8 can hold, got ${typeof value}. Store numbers as text.`,
        { file },
      );
    }
  }
  const sorted = [...entries].sort((a, b) => compareDtypes(a.dtype, b.dtype) || compareNames(a.name, b.name));
  const parts = Object.keys(metadata).length === 0 ? [] : [`"__metadata__":${JSON.stringify(metadata)}`];
  const names = new Set<string>();
  let offset = 0;
  for (const entry of sorted) {
    const end = offset + describedBytes(file, entry);
    if (names.has(entry.name) || !Number.isSafeInteger(end)) {
      const found = names.has(entry.name) ? `${JSON.stringify(entry.name)} twice` : 'more than 2^53 bytes';
      throw new CheckpointError(`${file}: expected tensors with different names, got ${found}. Rename one.`, { file });
    }
    names.add(entry.name);
    const { dtype, shape } = entry;
    parts.push(`${JSON.stringify(entry.name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER_BYTES) {
    throw new CheckpointError(
      `${file}: expected a header of at most ${MAX_HEADER_BYTES} bytes, got ${length}. Split the tensors over several files.`,
      { file },
    );
  }
  const bytes = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(json, 8);
  return { bytes, entries: sorted, dataBytes: offset };
}

async function* fileBytes(header: EncodedHeader<TensorEntry>, file: string): AsyncGenerator<Uint8Array> {
  yield header.bytes;
  for (const entry of header.entries) {
    const expected = describedBytes(file, entry);
    let count = 0;
    for await (const chunk of entry.chunks()) {
      count += chunk.length;
      if (count > expected) break;
      yield chunk;
    }
    if (count !== expected) {
      const found = count > expected ? 'more' : `${count}`;
      throw new CheckpointError(
        `${file}: expected ${expected} bytes for tensor ${JSON.stringify(entry.name)} ${entry.dtype} [${entry.shape.join(', ')}], got ${found}. Check what writes it.`,
        { file },
      );
    }
  }
}

/**
 * Writes a safetensors file, tensor by tensor, as one atomic write.
 * @param directory where to.
 * @param path relative path of the file.
 * @param entries the tensors; each is asked for its bytes once, in file order.
 * @param metadata strings for `__metadata__`. Default `{format: 'pt'}`.
 * @throws CheckpointError as `encodeSafetensorsHeader`, and when a tensor yields too few or too many bytes: the old
 *   file then stays. EnvironmentError where writing is not possible.
 */
export async function writeSafetensors(
  directory: Directory,
  path: string,
  entries: readonly TensorEntry[],
  metadata: Readonly<Record<string, string>> = PYTORCH_METADATA,
): Promise<void> {
  const header = encodeSafetensorsHeader(entries, metadata, path);
  await directory.write(path, fileBytes(header, path));
}

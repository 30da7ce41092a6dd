/**
 * Reading safetensors by the rules of its Rust reader (huggingface/safetensors `safetensors/src/tensor.rs`).
 *
 *   0        8              8 + n                    file end
 *   | n: u64 | header: JSON | tensor data ...        |
 *
 * n ≤ 100,000,000; the header starts with `{` and may end in spaces; it holds `__metadata__` (strings) and, per tensor,
 * {"dtype", "shape", "data_offsets": [begin, end]} counted from 8 + n. Tensors lie one after another from 0,
 * with no hole and no overlap, each as long as its shape says, and the last one ends where the file ends.
 * Stricter than the Rust reader: no key may stand twice, anywhere.
 */

import { CheckpointError } from '../../errors.ts';
import type { ByteFile } from '../../files/directory.ts';
import { describeJsonValue, type JsonMap, JsonSyntaxError, type JsonValue, parseJsonValue } from '../json.ts';
import { isTensorDtype, type TensorDtype, tensorBytes } from './dtype.ts';

/** Where a tensor lies and what it is. */
export interface TensorInfo {
  readonly dtype: TensorDtype;
  /** Sizes, outermost first; [] is a single number. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}

/** What the header of a safetensors file holds. */
export interface SafetensorsHeader {
  /** Tensors by name, in the order in which they lie in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The strings of `__metadata__`; empty when there are none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Longest header, bytes, as in the Rust reader. */
export const MAX_HEADER_BYTES = 100_000_000;

const DAMAGED = 'The file is damaged or not safetensors; fetch or save it again.';

function fault(file: string, expected: string, found: string, hint = DAMAGED): CheckpointError {
  return new CheckpointError(`${file}: expected ${expected}, got ${found}. ${hint}`, { file });
}

/**
 * Reads and checks the header of a safetensors file; no tensor is read.
 * @param file an open file.
 * @returns tensors and metadata.
 * @throws CheckpointError naming the file, the tensor, what was expected and what was found.
 */
export async function readSafetensorsHeader(file: ByteFile): Promise<SafetensorsHeader> {
  const { name, size } = file;
  if (size < 8) throw fault(name, 'at least the 8 bytes of a header length', `${size} bytes`);
  const start = new Uint8Array(8);
  await file.read(0, start);
  const length = new DataView(start.buffer).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw fault(name, `a header of at most ${MAX_HEADER_BYTES} bytes`, `a length of ${length}`);
  }
  const dataBegin = 8 + Number(length);
  if (dataBegin > size) throw fault(name, `a header of ${length} bytes`, `a file of ${size} bytes`);
  const bytes = new Uint8Array(Number(length));
  await file.read(8, bytes);
  return parseHeader(name, size, dataBegin, decodeHeader(name, bytes));
}

function decodeHeader(file: string, bytes: Uint8Array): string {
  if (bytes[0] !== 0x7b) {
    throw fault(file, "a header that starts with '{'", bytes.length === 0 ? 'an empty one' : `byte ${bytes[0]}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw notJson(file, 'bytes that are not UTF-8', cause);
  }
}

function notJson(file: string, found: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${file}: expected a header of UTF-8 JSON, got ${found}. ${DAMAGED}`, { cause, file });
}

function parseHeader(file: string, size: number, dataBegin: number, text: string): SafetensorsHeader {
  let root: JsonValue;
  try {
    root = parseJsonValue(text);
  } catch (error) {
    throw error instanceof JsonSyntaxError ? notJson(file, error.reason, error) : error;
  }
  const entries = root as JsonMap; // it starts with '{'
  const metadata = parseMetadata(file, entries.get('__metadata__') ?? null);
  entries.delete('__metadata__');
  const tensors = Array.from(entries, ([name, value]) => [name, parseTensor(file, name, value, dataBegin)] as const);
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let begin = dataBegin;
  for (const [name, info] of tensors) {
    if (info.begin !== begin) {
      const found = `${info.begin - dataBegin} (${info.begin < begin ? 'an overlap' : 'a hole'})`;
      throw fault(file, `tensor ${JSON.stringify(name)} to begin at offset ${begin - dataBegin}`, found);
    }
    begin = info.end;
  }
  if (begin !== size) throw fault(file, `${begin} bytes by its header`, `a file of ${size} bytes`);
  return { tensors: new Map(tensors), metadata };
}

function parseMetadata(file: string, value: JsonValue): ReadonlyMap<string, string> {
  const metadata = new Map<string, string>();
  if (value === null) return metadata;
  if (!(value instanceof Map)) throw fault(file, '__metadata__ to be an object of strings', describeJsonValue(value));
  for (const [key, text] of value) {
    if (typeof text !== 'string') {
      throw fault(file, `__metadata__ ${JSON.stringify(key)} to be a string`, describeJsonValue(text));
    }
    metadata.set(key, text);
  }
  return metadata;
}

function parseTensor(file: string, name: string, value: JsonValue, dataBegin: number): TensorInfo {
  const tensor = `tensor ${JSON.stringify(name)}`;
  if (!(value instanceof Map)) throw fault(file, `${tensor} to be an object`, describeJsonValue(value));
  const dtype = value.get('dtype');
  if (typeof dtype !== 'string' || !isTensorDtype(dtype)) {
    throw fault(file, `${tensor} to have a known dtype`, describeJsonValue(dtype));
  }
  const shape = parseSizes(file, `${tensor} to have a shape of whole numbers`, value.get('shape'));
  const offsets = parseSizes(file, `${tensor} to have data_offsets of whole numbers`, value.get('data_offsets'));
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin! > end!) {
    throw fault(file, `${tensor} to have data_offsets [begin, end] with begin ≤ end`, `[${offsets.join(', ')}]`);
  }
  const bytes = tensorBytes(dtype, shape);
  if (bytes === undefined) {
    throw fault(file, `${tensor} to fill a whole number of bytes below 2^53`, `${dtype} [${shape.join(', ')}]`);
  }
  if (end! - begin! !== bytes) {
    throw fault(file, `${tensor} ${dtype} [${shape.join(', ')}] to take ${bytes} bytes`, `${end! - begin!}`);
  }
  return { dtype, shape, begin: dataBegin + begin!, end: dataBegin + end! };
}

/** An array of non-negative integers below 2^53, spelled as integers. */
function parseSizes(file: string, expected: string, value: JsonValue | undefined): number[] {
  if (!Array.isArray(value)) throw fault(file, expected, describeJsonValue(value));
  return value.map((size) => {
    if (typeof size === 'number' && size >= 0) return size;
    throw fault(file, expected, describeJsonValue(size));
  });
}

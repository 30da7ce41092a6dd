/** Whole tensors of files, as the tests compare them. */
import type { ByteFile } from '../../src/files/index.ts';
import type { TensorDtype, TensorInfo, Weights } from '../../src/formats/index.ts';

/** What `readTensor` returns; types without an array of their own (F16, BF16, BOOL, F8 …) come as raw words or bytes. */
export type TensorArray =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

function asArray(dtype: TensorDtype, buffer: ArrayBuffer): TensorArray {
  switch (dtype) {
    case 'F64':
      return new Float64Array(buffer);
    case 'F32':
    case 'C64': // real, imaginary, real, ...
      return new Float32Array(buffer);
    case 'I64':
      return new BigInt64Array(buffer);
    case 'U64':
      return new BigUint64Array(buffer);
    case 'I32':
      return new Int32Array(buffer);
    case 'U32':
      return new Uint32Array(buffer);
    case 'I16':
      return new Int16Array(buffer);
    case 'U16':
    case 'F16':
    case 'BF16':
      return new Uint16Array(buffer);
    case 'I8':
      return new Int8Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/**
 * A tensor's elements in file order: 64-bit integers as BigInt arrays, F16 and BF16 as their bits, 8-bit and smaller kinds as bytes.
 */
export async function readTensor(file: ByteFile, info: TensorInfo): Promise<TensorArray> {
  const length = info.end - info.begin;
  const bytes = new Uint8Array(length);
  await file.read(info.begin, bytes);
  return asArray(info.dtype, bytes.buffer);
}

/** The bytes of a tensor as they lie in its file. */
export async function readBytes(weights: Weights, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const { begin, end } = weights.info(name);
  const bytes = new Uint8Array(end - begin);
  await weights.streamBytes(name, (piece, offset) => bytes.set(piece, offset));
  return bytes;
}

/** The values of a tensor in F32, F16 or BF16. */
export async function readFloats(weights: Weights, name: string): Promise<Float32Array<ArrayBuffer>> {
  const values = new Float32Array(weights.info(name).elements);
  await weights.stream(name, (piece, offset) => values.set(piece, offset));
  return values;
}

/** The elements of a tensor of any dtype, as `readTensor` gives them. */
export async function readArray(weights: Weights, name: string): Promise<TensorArray> {
  return asArray(weights.info(name).dtype, (await readBytes(weights, name)).buffer);
}

/** Arrays in memory as tensors to be written. */
import type { TensorEntry } from '../../src/formats/index.ts';

/** An F32 entry; the elements are read when the file is written. */
export function f32Entry(name: string, shape: readonly number[], values: Float32Array): TensorEntry {
  return {
    name,
    dtype: 'F32',
    shape,
    chunks: () => [new Uint8Array(values.buffer, values.byteOffset, values.byteLength)],
  };
}

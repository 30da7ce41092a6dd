/** What a safetensors file says of its tensors, and reading one of them in pieces. */
import type { Dtype } from './dtype.ts';
import type { FileWindow } from './file-window.ts';

/** Where a tensor lies and what it is. */
export interface TensorInfo {
  readonly dtype: Dtype;
  /** Sizes, outermost first; [] is a single number. */
  readonly shape: readonly number[];
  /** First byte, counted from the start of the file. */
  readonly begin: number;
  /** The byte after the last. */
  readonly end: number;
}

/** All that a safetensors file says about itself. */
export interface SafetensorsHeader {
  /** Tensors by name, in the order in which they lie in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The strings of `__metadata__`; empty when there are none. */
  readonly metadata: ReadonlyMap<string, string>;
}

/**
 * Reads a tensor in pieces of whole elements.
 * @param window the open file; nothing else may read through it meanwhile.
 * @param info the tensor, from its header.
 * @param onChunk receives each piece and its offset in the tensor, bytes; the bytes are valid until it returns
 *   (or its promise settles). Not called for an empty tensor.
 * @param most bytes of a piece at most, a multiple of 8. Default: as many as the window holds.
 * @throws CheckpointError when the file ends early.
 */
export async function streamTensor(
  window: FileWindow,
  { begin, end }: TensorInfo,
  onChunk: (bytes: Uint8Array<ArrayBuffer>, byteOffset: number) => void | Promise<void>,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let at = begin; at < end; ) {
    const bytes = await window.read(at, Math.min(end, at + most));
    await onChunk(bytes, at - begin);
    at += bytes.length;
  }
}

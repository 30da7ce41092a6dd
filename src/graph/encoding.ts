/**
 * How weights of matrix products lie in linear memory. `f32` is the order of the file, which training changes in place; all
 * others are panels of 16 outputs, which inference reads from front to back (assembly/weights/).
 */
import * as op from '../abi/index.ts';

const ENCODINGS = {
  /** Floats in the order of the file. */
  f32: { code: op.ENCODING_F32 },
  /** f32 in panels. */
  packed: { code: op.ENCODING_PACKED, panelBytes: (k: number): number => k * 64 },
  f16: { code: op.ENCODING_F16, panelBytes: (k: number): number => k * 32 },
  bf16: { code: op.ENCODING_BF16, panelBytes: (k: number): number => k * 32 },
  /** 8-bit integers, blocks of 64 with a scale: 8.5 bits for each weight. */
  q8: {
    code: op.ENCODING_Q8,
    panelBytes: (k: number): number => blockBytes(k, op.Q8_BLOCK, op.Q8_HEAD_BYTES, op.Q8_CHUNK_BYTES),
  },
  /** 4-bit integers, blocks of 32 with a scale: 4.5 bits for each weight. */
  q4: {
    code: op.ENCODING_Q4,
    panelBytes: (k: number): number => blockBytes(k, op.Q4_BLOCK, op.Q4_HEAD_BYTES, op.Q4_CHUNK_BYTES),
  },
} as const;

export type Encoding = keyof typeof ENCODINGS;

/** Bytes of a panel of blocks of `block` inputs, a head in front of each one's chunks. */
function blockBytes(k: number, block: number, headBytes: number, chunkBytes: number): number {
  return Math.ceil(k / block) * headBytes + chunksOf(k) * chunkBytes;
}

/** Chunks of `k` inputs, in q8 and q4. */
export function chunksOf(k: number): number {
  return Math.ceil(k / op.ENCODING_CHUNK);
}

/** Panels of a weight with `outputs` outputs. */
function panelsOf(outputs: number): number {
  return Math.ceil(outputs / op.ENCODING_COLUMNS);
}

/** The number of an encoding in descriptors. */
export function encodingCode(encoding: Encoding): number {
  return ENCODINGS[encoding].code;
}

/** Bytes of a weight of `inputs` × `outputs` values. */
export function encodedBytes(encoding: Encoding, inputs: number, outputs: number): number {
  if (encoding === 'f32') return inputs * outputs * 4;
  return panelsOf(outputs) * ENCODINGS[encoding].panelBytes(inputs);
}

/** Shape in files of a weight that is stored as it lies in memory: [panels, bytes of a panel]. */
export function encodedShape(encoding: 'q8' | 'q4', inputs: number, outputs: number): readonly [number, number] {
  return [panelsOf(outputs), ENCODINGS[encoding].panelBytes(inputs)];
}

/**
 * The header of a safetensors file as its Rust library writes it, read without a word. Any other header, for better or worse, is for
 * `safetensors.ts`, which a program then loads, and which reads it or says what is wrong.
 */
import type { ByteFile } from '../files/directory.ts';
import type { SafetensorsHeader, TensorInfo } from './tensor-info.ts';

/** Longest header that is read here, bytes: it is in memory three times for a moment. */
const MAX_CANONICAL_BYTES = 1 << 24;

/** Bytes of an element of the usual types. */
const BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, U8: 1, BOOL: 1, I64: 8 };

interface Entry extends Pick<TensorInfo, 'dtype' | 'shape'> {
  readonly data_offsets: readonly [begin: number, end: number];
}

/**
 * Reads the header of a safetensors file.
 * @returns undefined when it has anything unusual.
 */
export async function readCanonicalHeader(file: ByteFile): Promise<SafetensorsHeader | undefined> {
  const { size } = file;
  if (size < 8) return undefined;
  const start = new Uint8Array(8);
  await file.read(0, start);
  const length = Number(new DataView(start.buffer).getBigUint64(0, true));
  if (length > Math.min(MAX_CANONICAL_BYTES, size - 8)) return undefined;
  const bytes = new Uint8Array(length);
  await file.read(8, bytes);
  try {
    return parseCanonical(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), 8 + length, size);
  } catch {
    return undefined;
  }
}

function parseCanonical(text: string, dataBegin: number, size: number): SafetensorsHeader | undefined {
  const root = JSON.parse(text) as Record<string, Entry>;
  // Written again it is the same: no key stands twice, every number is spelled as an integer.
  if (JSON.stringify(root) !== text.trimEnd()) return undefined;
  const { __metadata__: metadata = {}, ...entries } = root;
  const tensors = Object.entries(entries).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [begin, end],
      },
    ]) => {
      return [name, { dtype, shape, begin: dataBegin + begin, end: dataBegin + end }] as const;
    },
  );
  tensors.sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let at = dataBegin;
  const inOrder = tensors.every(([, { dtype, shape, begin, end }]) => {
    const bytes = shape.reduce((product, length) => product * length, BYTES[dtype]!);
    const fits = begin === at && shape.every(isCount) && end - begin === bytes;
    at = end;
    return fits;
  });
  const strings = Object.entries(metadata) as unknown as [string, string][];
  const usual = inOrder && at === size && strings.every(([, value]) => typeof value === 'string');
  return usual ? { tensors: new Map(tensors), metadata: new Map(strings) } : undefined;
}

/** Whether a dimension is usual: that of an empty tensor is not. */
function isCount(size: unknown): boolean {
  return Number.isSafeInteger(size) && (size as number) > 0;
}

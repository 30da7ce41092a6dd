/**
 * The encodings of weights as assembly/weights/q8.ts and panel.ts describe them, value by value: the specification that
 * the kernels must meet byte for byte. Every step of f32 arithmetic is one Math.fround.
 */
import * as op from '../../src/abi/index.ts';

export const ENCODINGS = ['packed', 'f16', 'bf16', 'q8', 'q4'] as const;
export type EncodingName = (typeof ENCODINGS)[number];

export const CODES: Readonly<Record<EncodingName, number>> = {
  packed: op.ENCODING_PACKED,
  f16: op.ENCODING_F16,
  bf16: op.ENCODING_BF16,
  q8: op.ENCODING_Q8,
  q4: op.ENCODING_Q4,
};

const COLUMNS = 16;
const CHUNK = 32;
/** Steps that share a scale, bytes of a block in front of its chunks, bytes of a chunk. */
export const BLOCKS = {
  q8: { steps: 64, head: 64, chunk: 512 },
  q4: { steps: 32, head: 32, chunk: 256 },
} as const;
const f32 = Math.fround;

const word = new DataView(new ArrayBuffer(4));
export function bitsOf(value: number): number {
  word.setFloat32(0, value);
  return word.getUint32(0);
}
export function fromBits(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}

/** The nearest integer; ties to even. */
export function nearest(x: number): number {
  const low = Math.floor(x);
  const rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** An f16 by the definition. */
export function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

const halves = Float64Array.from({ length: 0x7c00 }, (_, bits) => f16Value(bits));

/** The f16 nearest to x, |x| ≤ 65,504, by search; ties to even. */
export function f16Bits(x: number): number {
  const sign = bitsOf(x) >>> 31 ? 0x8000 : 0;
  const magnitude = Math.abs(x);
  let [low, high] = [0, halves.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (halves[middle]! <= magnitude) low = middle;
    else high = middle - 1;
  }
  if (low + 1 === halves.length) return sign | low;
  const [below, above] = [magnitude - halves[low]!, halves[low + 1]! - magnitude];
  return sign | (below < above || (below === above && low % 2 === 0) ? low : low + 1);
}

/** The bf16 nearest to x; ties to even, beyond the largest one infinity. NaN keeps its upper bits and becomes quiet. */
export function bf16Bits(x: number): number {
  const upper = bitsOf(x) >>> 16;
  if (Number.isNaN(x)) return upper | 0x40;
  if (!Number.isFinite(x)) return upper;
  const low = Math.abs(bf16Value(upper));
  const next = Math.abs(bf16Value(upper + 1));
  const high = next === Number.POSITIVE_INFINITY ? 2 ** 128 : next;
  const [below, above] = [Math.abs(x) - low, high - Math.abs(x)];
  return below < above || (below === above && upper % 2 === 0) ? upper : upper + 1;
}

export function bf16Value(bits: number): number {
  return fromBits((bits << 16) >>> 0);
}

/** The smallest bf16 of magnitude ≥ |x|, as f32. */
function upToBf16(x: number): number {
  return fromBits(((bitsOf(x) + 0xffff) & 0xffff0000) >>> 0);
}

const clamp = (x: number, low: number, high: number) => Math.min(Math.max(x, low), high);

/** Scale and integers of finite values. */
export function quantizeQ8(values: ArrayLike<number>): { scale: number; integers: number[] } {
  let max = 0;
  for (let k = 0; k < values.length; k++) max = Math.max(max, Math.abs(values[k]!));
  const scale = upToBf16(f32(max / 127));
  const integers = Array.from(values, (x) => (scale > 0 ? clamp(nearest(f32(x / scale)), -127, 127) : 0));
  return { scale, integers };
}

function integersQ4(values: ArrayLike<number>, scale: number): number[] {
  return Array.from(values, (x) => (scale === 0 ? 0 : clamp(nearest(f32(x / scale)), -8, 7)));
}

export function quantizeQ4(values: ArrayLike<number>): { scale: number; integers: number[] } {
  let extreme = 0;
  for (let k = values.length - 1; k >= 0; k--) if (Math.abs(values[k]!) >= Math.abs(extreme)) extreme = values[k]!;
  // Errors are squared in a range where squares of floats are floats: scaled by a power of two.
  const exponent = Math.min(bitsOf(Math.abs(extreme)) >>> 23, 252);
  const power = 2 ** (126 - exponent);
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let divisor = -8.5; divisor <= -6.5; divisor += 0.25) {
    const scale = upToBf16(f32(extreme / divisor));
    const integers = integersQ4(values, scale);
    let error = 0;
    for (let k = 0; k < values.length; k++) {
      const difference = f32(f32(values[k]! - f32(integers[k]! * scale)) * power);
      error = f32(error + f32(difference * difference));
    }
    if (error < least) [best, least] = [scale, error];
  }
  return { scale: best, integers: integersQ4(values, best) };
}

/** Bytes of a panel of k steps. */
export function panelBytes(encoding: EncodingName, k: number): number {
  if (encoding === 'packed') return k * COLUMNS * 4;
  if (encoding === 'f16' || encoding === 'bf16') return k * COLUMNS * 2;
  const { steps, head, chunk } = BLOCKS[encoding];
  return Math.ceil(k / steps) * head + Math.ceil(k / CHUNK) * chunk;
}

/** weight[k][columns] → panels. Not-finite values have no place in q8 and q4, nor do those beyond 65,504 in f16. */
export function encodeTwin(encoding: EncodingName, weight: ArrayLike<number>, k: number, columns: number): Uint8Array {
  const panels = Math.ceil(columns / COLUMNS);
  const size = panelBytes(encoding, k);
  const bytes = new Uint8Array(panels * size);
  const view = new DataView(bytes.buffer);
  const at = (step: number, column: number) => (step < k && column < columns ? weight[step * columns + column]! : 0);
  for (let column = 0; column < panels * COLUMNS; column++) {
    const panel = Math.floor(column / COLUMNS) * size;
    const lane = column % COLUMNS;
    if (encoding === 'packed' || encoding === 'f16' || encoding === 'bf16') {
      for (let step = 0; step < k; step++) {
        const index = step * COLUMNS + lane;
        const x = at(step, column);
        if (encoding === 'packed') view.setUint32(panel + index * 4, bitsOf(x), true);
        else view.setUint16(panel + index * 2, encoding === 'f16' ? f16Bits(x) : bf16Bits(x), true);
      }
    } else {
      const { steps, head } = BLOCKS[encoding];
      for (let step = 0; step < k; step += steps) {
        const length = Math.min(steps, Math.ceil((k - step) / CHUNK) * CHUNK);
        const values = Array.from({ length }, (_, i) => at(step + i, column));
        const start = panel + panelBytes(encoding, step);
        if (encoding === 'q8') {
          const { scale, integers } = quantizeQ8(values);
          view.setUint16(start + lane * 2, bitsOf(scale) >>> 16, true);
          view.setInt16(start + 32 + lane * 2, 0 - integers.reduce((sum, q) => sum + q, 0), true);
          integers.forEach((q, i) => {
            view.setInt8(start + head + (i >> 2) * 64 + lane * 4 + (i & 3), q);
          });
        } else {
          const { scale, integers } = quantizeQ4(values);
          view.setUint16(start + lane * 2, bitsOf(scale) >>> 16, true);
          integers.forEach((q, i) => {
            const to = start + head + (i >> 3) * 64 + lane * 4 + (i & 3);
            bytes[to]! |= (q + 8) << (i & 4); // k = 4 … 7 of eight in the high halves
          });
        }
      }
    }
  }
  return bytes;
}

/** One value of panels. */
function valueAt(encoding: EncodingName, view: DataView, k: number, step: number, column: number): number {
  const panel = Math.floor(column / COLUMNS) * panelBytes(encoding, k);
  const lane = column % COLUMNS;
  const index = step * COLUMNS + lane;
  if (encoding === 'packed') return view.getFloat32(panel + index * 4, true);
  if (encoding === 'f16') return f16Value(view.getUint16(panel + index * 2, true));
  if (encoding === 'bf16') return bf16Value(view.getUint16(panel + index * 2, true));
  const { steps, head } = BLOCKS[encoding];
  const i = step % steps;
  const start = panel + panelBytes(encoding, step - i);
  const scale = bf16Value(view.getUint16(start + lane * 2, true));
  if (encoding === 'q8') return f32(view.getInt8(start + head + (i >> 2) * 64 + lane * 4 + (i & 3)) * scale);
  const byte = view.getUint8(start + head + (i >> 3) * 64 + lane * 4 + (i & 3));
  return f32((((byte >> (i & 4)) & 15) - 8) * scale);
}

/** Panels → weight[k][columns]. */
export function decodeTwin(encoding: EncodingName, bytes: Uint8Array, k: number, columns: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const out = new Float32Array(k * columns);
  for (let step = 0; step < k; step++)
    for (let column = 0; column < columns; column++)
      out[step * columns + column] = valueAt(encoding, view, k, step, column);
  return out;
}

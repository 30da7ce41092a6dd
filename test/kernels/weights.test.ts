/**
 * OP_ENCODE and OP_DECODE against weights-twin.ts: byte for byte and value for value, in both layouts of files, in parts, on
 * any number of threads; nothing is written outside of what was asked for.
 */
import { describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { type Binary, binaries, KernelMachine, randomF32 } from '../support/kernels.ts';
import {
  bf16Bits,
  bf16Value,
  bitsOf,
  CODES,
  decodeTwin,
  ENCODINGS,
  type EncodingName,
  encodeTwin,
  f16Bits,
  f16Value,
  fromBits,
  panelBytes,
} from './weights-twin.ts';

const COLUMNS = [1, 15, 16, 17, 50];
const STEPS = [1, 31, 32, 33, 64, 100];
const THREADS = [1, 2, 3, 7];

/** Written around every array, and where outputs go. */
const GUARD = 0xa5;
const MARGIN = 256;

interface Shape {
  readonly k: number;
  readonly columns: number;
  /** [columns, k] in memory, as tables are stored; else [k, columns]. */
  readonly transposed?: boolean;
  /** Elements by which rows in memory are longer than they must be. */
  readonly pad?: number;
}

/** What of a weight is encoded or decoded at once. */
interface Part {
  readonly firstStep: number;
  readonly steps: number;
  readonly firstColumn: number;
  readonly columns: number;
}

interface Run {
  readonly threads?: number;
  /** Default all of it. */
  readonly part?: Part;
  /** Panels to write to; default guards. */
  readonly panels?: Uint8Array;
}

const whole = ({ k, columns }: Shape): Part => ({ firstStep: 0, steps: k, firstColumn: 0, columns });
const title = ({ k, columns, transposed }: Shape) => (transposed ? `[${columns}, ${k}]ᵀ` : `[${k}, ${columns}]`);
const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
const sizeOf = (encoding: EncodingName, { k, columns }: Shape) => Math.ceil(columns / 16) * panelBytes(encoding, k);

function expectBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (actual.length !== expected.length) expect.fail(`${what}: ${actual.length} bytes, expected ${expected.length}`);
  for (let i = 0; i < expected.length; i++)
    if (actual[i] !== expected[i]) expect.fail(`${what}: byte ${i} is ${actual[i]}, expected ${expected[i]}`);
}

/** Runs an operation on arrays between guards. */
function run(
  binary: Binary,
  opcode: number,
  { out, inp, fields, threads }: { out: Uint8Array; inp: Uint8Array; fields: Record<number, number>; threads: number },
): { out: Uint8Array; fault: number } {
  // No more scratch memory than the operations ask for: behind it stands a guard.
  const bytes = out.length + inp.length + 8 * MARGIN + threads * op.ENCODE_SCRATCH_BYTES + 8192;
  const machine = new KernelMachine(binary, { bytes, scratchBytes: op.ENCODE_SCRATCH_BYTES, maxThreads: threads });
  const memory = new Uint8Array(machine.memory.buffer);
  const place = (content: Uint8Array) => {
    const start = machine.alloc(content.length + 2 * MARGIN);
    memory.fill(GUARD, start, start + content.length + 2 * MARGIN);
    memory.set(content, start + MARGIN);
    return start + MARGIN;
  };
  const [outAt, inpAt, faultAt] = [place(out), place(inp), place(new Uint8Array(4))];
  const pointers = { [op.ENCODE_OUT]: outAt, [op.ENCODE_INP]: inpAt, [op.ENCODE_FAULT]: faultAt };
  machine.run(opcode, { ...fields, ...pointers }, threads);
  const guard = new Uint8Array(MARGIN).fill(GUARD);
  for (const [at, length] of [
    [outAt, out.length],
    [inpAt, inp.length],
    [faultAt, 4],
  ] as const) {
    expectBytes(memory.subarray(at - MARGIN, at), guard, 'guard before');
    expectBytes(memory.subarray(at + length, at + length + MARGIN), guard, 'guard behind');
  }
  expectBytes(memory.subarray(inpAt, inpAt + inp.length), inp, 'input');
  return { out: memory.slice(outAt, outAt + out.length), fault: memory[faultAt]! };
}

function fieldsOf(encoding: EncodingName, shape: Shape, part: Part): Record<number, number> {
  const { k, columns, transposed = false, pad = 0 } = shape;
  return {
    [op.ENCODE_STEP_STRIDE]: transposed ? 1 : columns + pad,
    [op.ENCODE_COLUMN_STRIDE]: transposed ? k + pad : 1,
    [op.ENCODE_FIRST_STEP]: part.firstStep,
    [op.ENCODE_STEPS]: part.steps,
    [op.ENCODE_FIRST_COLUMN]: part.firstColumn,
    [op.ENCODE_COLUMNS]: part.columns,
    [op.ENCODE_K]: k,
    [op.ENCODE_ENCODING]: CODES[encoding],
  };
}

/** Memory for a part, all guards, and where its elements stand there; both counted from the first ones of the part. */
function layOut({ k, columns, transposed = false, pad = 0 }: Shape, part: Part) {
  const [stepStride, columnStride] = transposed ? [1, k + pad] : [columns + pad, 1];
  const memory = new Float32Array((part.steps - 1) * stepStride + (part.columns - 1) * columnStride + 1);
  bytesOf(memory).fill(GUARD);
  return { memory, index: (step: number, column: number) => step * stepStride + column * columnStride };
}

/** Calls `each` with the place of an element in the part, and in weight[k][columns]. */
function eachElement({ columns }: Shape, part: Part, each: (step: number, column: number, at: number) => void): void {
  for (let step = 0; step < part.steps; step++)
    for (let column = 0; column < part.columns; column++)
      each(step, column, (part.firstStep + step) * columns + part.firstColumn + column);
}

/** A part of weight[k][columns] → panels. */
function encode(binary: Binary, encoding: EncodingName, weight: Float32Array, shape: Shape, options: Run = {}) {
  const { threads = 1, part = whole(shape), panels } = options;
  const { memory, index } = layOut(shape, part);
  eachElement(shape, part, (step, column, at) => {
    memory[index(step, column)] = weight[at]!;
  });
  const out = panels ?? new Uint8Array(sizeOf(encoding, shape)).fill(GUARD);
  const fields = fieldsOf(encoding, shape, part);
  return run(binary, op.OP_ENCODE, { out, inp: bytesOf(memory), fields, threads });
}

/** A part of panels → values[steps][columns]; nothing else is written in its memory. */
function decode(binary: Binary, encoding: EncodingName, panels: Uint8Array, shape: Shape, options: Run = {}) {
  const { threads = 1, part = whole(shape) } = options;
  const { memory, index } = layOut(shape, part);
  const fields = fieldsOf(encoding, shape, part);
  const { out } = run(binary, op.OP_DECODE, { out: bytesOf(memory), inp: panels, fields, threads });
  // As words: a float that is copied may lose bits of a NaN.
  const [before, after] = [new Uint32Array(memory.buffer), new Uint32Array(out.buffer)];
  const words = new Uint32Array(part.steps * part.columns);
  eachElement(shape, part, (step, column) => {
    const at = index(step, column);
    words[step * part.columns + column] = after[at]!;
    before[at] = after[at]!;
  });
  expectBytes(bytesOf(memory), out, 'between the elements');
  return new Float32Array(words.buffer);
}

/** Values of several magnitudes, with zeros of both signs, equal ones, and columns that are all zero. */
function weightOf({ k, columns }: Shape, seed: number): Float32Array {
  return randomF32(k * columns, seed).map((x, i) => {
    const column = i % columns;
    if (column % 7 === 3) return 0;
    if (column % 7 === 5) return x < -0.5 ? -0 : x < 0 ? 0.25 : -0.25;
    return x * 2 ** ((column % 5) * 3 - 6);
  });
}

/** A column of 32 steps for each list of values, filled up with zeros. */
function columnsOf(lists: readonly (readonly number[])[]): { weight: Float32Array; shape: Shape } {
  const shape = { k: 32, columns: lists.length };
  const weight = new Float32Array(32 * lists.length);
  lists.forEach((list, column) => {
    list.forEach((value, step) => {
      weight[step * lists.length + column] = value;
    });
  });
  return { weight, shape };
}

/** Magnitudes from the smallest float to the largest. */
const SIZES = [2 ** -149, 2 ** -140, 1e-40, 2 ** -126, 1e-38, 1e-35, 1e-30, 1e-20, 1e-10, 1, 65504, 1e10, 1e19];
const HUGE = [1e20, 1e30, 1e38, 3.4e38, fromBits(0x7f7fffff)];

describe.each(binaries)('weights, %s', (binary) => {
  describe.each(ENCODINGS)('%s', (encoding) => {
    it('has the bytes and the values of the twin, in both layouts, on any number of threads', () => {
      for (const columns of COLUMNS)
        for (const k of STEPS) {
          const weight = weightOf({ k, columns }, k * 100 + columns);
          const expected = encodeTwin(encoding, weight, k, columns);
          const decoded = bytesOf(decodeTwin(encoding, expected, k, columns));
          for (const shape of [
            { k, columns },
            { k, columns, transposed: true },
            { k, columns, pad: 3 },
            { k, columns, pad: 3, transposed: true },
          ])
            for (const threads of shape.pad ? [2] : THREADS) {
              const { out, fault } = encode(binary, encoding, weight, shape, { threads });
              expectBytes(out, expected, `${title(shape)}, ${threads} threads`);
              expect(fault).toBe(0);
              const values = decode(binary, encoding, expected, shape, { threads });
              expectBytes(bytesOf(values), decoded, `values of ${title(shape)}, ${threads} threads`);
            }
        }
    });

    it('takes and gives some steps or some columns at a time', () => {
      for (const [k, columns] of [
        [100, 50],
        [64, 48],
        [33, 17],
      ] as const)
        for (const transposed of [false, true])
          for (const threads of [1, 3]) {
            const shape = { k, columns, transposed };
            const weight = weightOf(shape, 5);
            const expected = encodeTwin(encoding, weight, k, columns);
            const decoded = decodeTwin(encoding, expected, k, columns);
            const parts: Part[] = [];
            for (let firstStep = 0; firstStep < k; firstStep += 64)
              for (let firstColumn = 0; firstColumn < columns; firstColumn += 32) {
                const [steps, some] = [Math.min(64, k - firstStep), Math.min(32, columns - firstColumn)];
                parts.push({ firstStep, steps, firstColumn, columns: some });
              }
            // Whatever the order; what is not yet written stays as it was.
            let panels: Uint8Array = new Uint8Array(sizeOf(encoding, shape)).fill(GUARD);
            for (const part of parts.toReversed()) {
              const untouched = panels;
              panels = encode(binary, encoding, weight, shape, { part, panels, threads }).out;
              let changed = 0;
              panels.forEach((byte, i) => {
                if (byte === untouched[i]) return;
                changed++;
                if (byte !== expected[i] || untouched[i] !== GUARD) expect.fail(`byte ${i} of ${title(shape)}`);
              });
              const ofPart = Math.ceil(part.columns / 16) * panelBytes(encoding, part.steps);
              expect(changed).toBeLessThanOrEqual(ofPart);
            }
            expectBytes(panels, expected, title(shape));
            for (const part of parts) {
              const values = decode(binary, encoding, panels, shape, { part, threads });
              eachElement(shape, part, (step, column, at) => {
                if (!Object.is(values[step * part.columns + column], decoded[at])) expect.fail(`element ${at}`);
              });
            }
          }
    });

    it('finds places for all magnitudes', () => {
      const sizes = encoding === 'f16' ? SIZES.filter((size) => size <= 65504) : [...SIZES, ...HUGE];
      const lists = sizes.flatMap((size) => [
        [size],
        [-size],
        [size, -size, 0, -0, size / 3, size / 100, -size / 7],
        [...randomF32(32, 1)].map((x) => Math.fround(x * size)),
      ]);
      lists.push([0], [-0], [1, 1e-20, 1e-38, 2 ** -149], [1e-3, 1]);
      const { weight, shape } = columnsOf(lists);
      const expected = encodeTwin(encoding, weight, 32, shape.columns);
      const { out, fault } = encode(binary, encoding, weight, shape);
      expectBytes(out, expected, encoding);
      expect(fault).toBe(0);
      const values = decode(binary, encoding, out, shape);
      expectBytes(bytesOf(values), bytesOf(decodeTwin(encoding, expected, 32, shape.columns)), encoding);
    });

    const places = [
      [0, 0],
      [31, 15],
      [32, 16],
      [99, 49],
    ] as const;
    const wrong = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    if (encoding === 'packed' || encoding === 'bf16')
      it('keeps NaN and infinity', () => {
        for (const [step, column] of places)
          for (const value of wrong) {
            const shape = { k: 100, columns: 50 };
            const weight = weightOf(shape, 1);
            weight[step * 50 + column] = value;
            const { out, fault } = encode(binary, encoding, weight, shape, { threads: 3 });
            expect(fault).toBe(0);
            expectBytes(out, encodeTwin(encoding, weight, 100, 50), String(value));
            expect(decode(binary, encoding, out, shape)[step * 50 + column]).toBe(value);
          }
      });
    else
      it('says that a value has no place, wherever it stands', () => {
        const beyond = encoding === 'f16' ? [65505, -65505, 65520, -1e6, 1e30] : [];
        for (const [step, column] of places)
          for (const value of [...wrong, ...beyond])
            for (const threads of [1, 3]) {
              const shape = { k: 100, columns: 50 };
              const weight = weightOf(shape, 1);
              weight[step * 50 + column] = value;
              const { fault } = encode(binary, encoding, weight, shape, { threads });
              expect(fault, `${value} at ${step}, ${column}`).toBe(1);
            }
      });
  });

  it('packed keeps every bit of a NaN', () => {
    const inp = new Uint8Array(Uint32Array.of(0x7f800001, 0xffc12345, 0x7fffffff, 0xff80abcd).buffer);
    const shape = { k: 1, columns: 4 };
    const fields = fieldsOf('packed', shape, whole(shape));
    const { out } = run(binary, op.OP_ENCODE, { out: new Uint8Array(64), inp, fields, threads: 1 });
    expectBytes(out.subarray(0, 16), inp, 'panels');
    const back = run(binary, op.OP_DECODE, { out: new Uint8Array(16), inp: out, fields, threads: 1 });
    expectBytes(back.out, inp, 'values');
  });

  it('f16 gives each of its values back, and rounds ties to even', () => {
    const values: number[] = [];
    for (let bits = 0; bits < 0x7c00; bits++) {
      const value = f16Value(bits);
      const middle = (value + f16Value(bits + 1)) / 2; // exact
      const beside = bits === 0x7bff ? [] : [middle, fromBits(bitsOf(middle) - 1), fromBits(bitsOf(middle) + 1)];
      values.push(value, ...beside);
    }
    while (values.length % 8) values.push(0);
    const all = Float32Array.from([...values, ...values.map((value) => -value)]);
    const shape = { k: all.length / 16, columns: 16 };
    const { out, fault } = encode(binary, 'f16', all, shape);
    expect(fault).toBe(0);
    const halves = new Uint16Array(out.buffer);
    all.forEach((value, i) => {
      if (halves[i] !== f16Bits(value)) expect.fail(`${value}: ${halves[i]}, expected ${f16Bits(value)}`);
    });
    // Each of the 65,536, decoded; infinities are not for this encoding (docs of ENCODE_FAULT).
    const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
    const finite = { k: every.length / 16, columns: 16 };
    const decoded = decode(binary, 'f16', new Uint8Array(every.buffer), finite);
    decoded.forEach((value, i) => {
      if (!Object.is(value, f16Value(every[i]!))) expect.fail(`${every[i]}: ${value}`);
    });
    expectBytes(encode(binary, 'f16', decoded, finite).out, new Uint8Array(every.buffer), 'round trip');
  });

  it('bf16 gives each of its values back, and rounds ties to even', () => {
    const every = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const shape = { k: 4096, columns: 16 };
    const decoded = decode(binary, 'bf16', new Uint8Array(every.buffer), shape);
    decoded.forEach((value, i) => {
      if (!Object.is(value, bf16Value(i))) expect.fail(`${i}: ${value}`);
    });
    const numbers = every.filter((bits) => !Number.isNaN(bf16Value(bits)));
    expect(numbers.length).toBe(65536 - 2 * 127);
    const values = [...numbers].flatMap((bits) => {
      const at = bits * 65536;
      if ((bits & 0x7fff) === 0x7f80) return [fromBits(at)];
      return [at, at + 1, at + 0x7fff, at + 0x8000, at + 0x8001, at + 0xffff].map(fromBits);
    });
    while (values.length % 16) values.push(0);
    const all = { k: values.length / 16, columns: 16 };
    const halves = new Uint16Array(encode(binary, 'bf16', Float32Array.from(values), all).out.buffer);
    values.forEach((value, i) => {
      if (halves[i] !== bf16Bits(value)) expect.fail(`${value}: ${halves[i]}, expected ${bf16Bits(value)}`);
    });
  });

  it('q8: errors are at most half a scale, and the sums are those of the integers', () => {
    const shape = { k: 320, columns: 48 };
    const weight = weightOf(shape, 8);
    const { out } = encode(binary, 'q8', weight, shape);
    const values = decode(binary, 'q8', out, shape);
    const view = new DataView(out.buffer);
    for (let column = 0; column < 48; column++)
      for (let block = 0; block < 5; block++) {
        const at = (column >> 4) * panelBytes('q8', 320) + panelBytes('q8', block * 64);
        const lane = column & 15;
        const scale = bf16Value(view.getUint16(at + lane * 2, true));
        const [steps, integers] = [Array.from({ length: 64 }, (_, i) => block * 64 + i), [] as number[]];
        let largest = 0;
        for (const step of steps) {
          const exact = weight[step * 48 + column]!;
          largest = Math.max(largest, Math.abs(exact));
          integers.push(view.getInt8(at + 64 + ((step & 63) >> 2) * 64 + lane * 4 + (step & 3)));
          expect(Math.abs(values[step * 48 + column]! - exact)).toBeLessThanOrEqual((scale / 2) * (1 + 2 ** -16));
        }
        // The smallest bf16 that reaches max / 127: 8 bits of precision.
        expect(scale).toBeGreaterThanOrEqual((largest / 127) * (1 - 2 ** -23));
        expect(scale).toBeLessThanOrEqual((largest / 127) * (1 + 2 ** -7));
        expect(view.getInt16(at + 32 + lane * 2, true)).toBe(0 - integers.reduce((sum, q) => sum + q, 0));
      }
  });

  it('q4: squared errors are at most those of the scale max / −8, at any magnitude', () => {
    const columns = 16;
    for (const size of [1, ...SIZES.filter((x) => x >= 1e-30), ...HUGE.map((x) => x * 0.9)]) {
      const shape = { k: 64, columns };
      const weight = weightOf(shape, 8).map((x) => (x / 64) * size);
      const values = decode(binary, 'q4', encode(binary, 'q4', weight, shape).out, shape);
      for (let column = 0; column < columns; column++)
        for (const first of [0, 32]) {
          const exact = Array.from({ length: 32 }, (_, i) => weight[(first + i) * columns + column]! / size);
          const extreme = exact.reduce((m, x) => (Math.abs(x) > Math.abs(m) ? x : m), 0);
          const upTo = fromBits(((bitsOf((extreme * size) / -8) + 0xffff) & 0xffff0000) >>> 0) / size;
          let [found, plain] = [0, 0];
          exact.forEach((x, i) => {
            found += (x - values[(first + i) * columns + column]! / size) ** 2;
            if (extreme) plain += (x - Math.min(Math.max(Math.round(x / upTo), -8), 7) * upTo) ** 2;
          });
          // The kernel adds squares as f32.
          const rounding = 1e-4 * plain + 1e-12 * extreme ** 2;
          expect(found, `${size}, column ${column}`).toBeLessThanOrEqual(plain + rounding);
        }
    }
  });

  it.each(['q8', 'q4'] as const)('%s: decodes whatever bytes a file holds', (encoding) => {
    const shape = { k: 70, columns: 40 };
    const panels = Uint8Array.from(randomF32(sizeOf(encoding, shape), 4), (x) => Math.floor((x + 1) * 128));
    const values = decode(binary, encoding, panels, shape);
    decodeTwin(encoding, panels, 70, 40).forEach((value, i) => {
      if (!Object.is(value, values[i])) expect.fail(`element ${i}: ${values[i]}, expected ${value}`);
    });
  });
});

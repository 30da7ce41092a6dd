/** The writer: exact bytes, order, and what it refuses. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import {
  dtypeBits,
  encodeSafetensorsHeader,
  readSafetensorsHeader,
  type TensorDtype,
  writeSafetensors,
} from '../../src/formats/index.ts';
import { f32Entry } from './f32-entry.ts';
import { readTensor } from './read-tensor.ts';

const described = (name: string, dtype: TensorDtype, shape: number[]) => ({ name, dtype, shape });

describe('writeSafetensors', () => {
  it('writes these bytes, as safetensors 0.8 (Python, Rust) does', async () => {
    const directory = memoryDirectory();
    await writeSafetensors(directory, 'x', [
      f32Entry('b', [2], Float32Array.of(1, -2)),
      { name: 'a', dtype: 'U8', shape: [3], chunks: () => [new Uint8Array([7]), new Uint8Array([8, 9])] },
      f32Entry('a.b', [1, 1], Float32Array.of(0.5)),
    ]);
    const header =
      '{"__metadata__":{"format":"pt"},"a.b":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},' +
      '"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]},"a":{"dtype":"U8","shape":[3],"data_offsets":[12,15]}}';
    const padded = header.padEnd(200, ' ');
    expect(header.length).toBe(197);
    expect(Buffer.from(await directory.readBytes('x')).toString('latin1')).toBe(
      `\xc8\0\0\0\0\0\0\0${padded}\0\0\0\x3f\0\0\x80\x3f\0\0\0\xc0\x07\x08\x09`,
    );
  });

  it('orders by element type, wide ones first, then by name as Rust orders strings', () => {
    const names = ['b', 'a', '\uffff', '\u{10000}', 'B', 'ab', ''];
    const { entries } = encodeSafetensorsHeader([
      ...(['BOOL', 'U8', 'F16', 'BF16', 'I32', 'F32', 'F64', 'I64', 'U64'] as const).map((dtype) =>
        described(dtype, dtype, []),
      ),
      ...names.map((name) => described(name, 'F32', [])),
    ]);
    expect(entries.map((entry) => entry.name)).toEqual([
      'U64',
      'I64',
      'F64',
      '',
      'B',
      'F32',
      'a',
      'ab',
      'b',
      '\uffff',
      '\u{10000}',
      'I32',
      'BF16',
      'F16',
      'U8',
      'BOOL',
    ]);
  });

  it('pads the header to 8 bytes, and leaves out empty metadata', () => {
    for (let length = 0; length < 17; length++) {
      const { bytes } = encodeSafetensorsHeader([described('x'.repeat(length), 'U8', [])], {});
      expect(bytes.length % 8).toBe(0);
      expect(new DataView(bytes.buffer).getBigUint64(0, true)).toBe(BigInt(bytes.length - 8));
      const text = new TextDecoder().decode(bytes.subarray(8));
      expect(text).toMatch(/^\{"x*":\{.*\}\} {0,7}$/);
    }
    expect(new TextDecoder().decode(encodeSafetensorsHeader([], {}).bytes.subarray(8))).toBe('{}      ');
  });

  it('writes what the reader reads back, whatever the names, types and shapes', async () => {
    const dtype = fc.constantFrom<TensorDtype>(
      'F64',
      'F32',
      'F16',
      'BF16',
      'I64',
      'I32',
      'I16',
      'I8',
      'U8',
      'BOOL',
      'F8_E4M3',
    );
    const one = fc.record({
      name: fc.string({ unit: 'binary' }).filter((name) => name !== '__metadata__'),
      dtype,
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    });
    const many = fc.uniqueArray(one, { selector: (entry) => entry.name, maxLength: 6 });
    const strings = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), {
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(many, strings, fc.infiniteStream(fc.nat(255)), async (described, metadata, noise) => {
        const entries = described.map((entry) => {
          const count = entry.shape.reduce((a, b) => a * b, 1) * (dtypeBits(entry.dtype) / 8);
          const bytes = Uint8Array.from({ length: count }, () => noise.next().value);
          return { ...entry, bytes, chunks: () => [bytes.subarray(0, count >> 1), bytes.subarray(count >> 1)] };
        });
        const directory = memoryDirectory();
        await writeSafetensors(directory, 'x', entries, metadata);
        const file = await directory.open('x');
        const header = await readSafetensorsHeader(file);
        expect(Object.fromEntries(header.metadata)).toEqual(metadata);
        expect(header.tensors.size).toBe(entries.length);
        for (const { name, dtype, shape, bytes } of entries) {
          const info = header.tensors.get(name)!;
          expect({ dtype: info.dtype, shape: info.shape }).toEqual({ dtype, shape });
          expect(new Uint8Array((await readTensor(file, info)).buffer)).toEqual(bytes);
        }
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    [
      [described('a', 'F32', []), described('a', 'U8', [])],
      'x: expected tensors with different names, got "a" twice. Rename one.',
    ],
    [
      [described('__metadata__', 'F32', [])],
      'x: expected a name that the format allows, got "__metadata__". Rename the tensor.',
    ],
    [[described('\ud800', 'F32', [])], 'x: expected a name that the format allows, got "\\ud800". Rename the tensor.'],
    [
      [described('a', 'F33' as TensorDtype, [])],
      'x: expected tensor "a" to have a known dtype, got "F33". Use F32, F16, BF16 or an integer type.',
    ],
    [
      [described('a', 'F32', [-1])],
      'x: expected tensor "a" to fill a whole number of bytes below 2^53, got F32 [-1]. Check its shape.',
    ],
    [
      [described('a', 'F32', [1.5])],
      'x: expected tensor "a" to fill a whole number of bytes below 2^53, got F32 [1.5]. Check its shape.',
    ],
    [
      [described('a', 'F32', [2 ** 30, 2 ** 30])],
      'x: expected tensor "a" to fill a whole number of bytes below 2^53, got F32 [1073741824, 1073741824]. Check its shape.',
    ],
    [
      [described('a', 'F4', [1])],
      'x: expected tensor "a" to fill a whole number of bytes below 2^53, got F4 [1]. Check its shape.',
    ],
  ])('refuses to describe %#', (entries, message) => {
    expect(() => encodeSafetensorsHeader(entries, undefined, 'x')).toThrow(CheckpointError);
    expect(() => encodeSafetensorsHeader(entries, undefined, 'x')).toThrow(message);
  });

  it('refuses a header that readers would refuse', () => {
    expect(() => encodeSafetensorsHeader([described('a'.repeat(100_000_000), 'F32', [])], {}, 'x')).toThrow(
      'x: expected a header of at most 100000000 bytes, got 100000056. Split the tensors over several files.',
    );
  });

  it('refuses metadata that is no text', () => {
    expect(() => encodeSafetensorsHeader([], { step: 5 as never }, 'x')).toThrow(
      'x: expected metadata "step" to be a string that UTF-8 can hold, got number. Store numbers as text.',
    );
    expect(() => encodeSafetensorsHeader([], { a: '\udc00' }, 'x')).toThrow(CheckpointError);
  });

  it('refuses too few or too many bytes, and keeps the old file', async () => {
    const directory = memoryDirectory({ x: 'old' });
    const entry = (count: number) => [
      { name: 'a', dtype: 'F32' as const, shape: [2], chunks: () => [new Uint8Array(count), new Uint8Array(1)] },
    ];
    await expect(writeSafetensors(directory, 'x', entry(6))).rejects.toThrow(
      'x: expected 8 bytes for tensor "a" F32 [2], got 7. Check what writes it.',
    );
    await expect(writeSafetensors(directory, 'x', entry(8))).rejects.toThrow(
      'x: expected 8 bytes for tensor "a" F32 [2], got more. Check what writes it.',
    );
    await expect(writeSafetensors(directory, 'x', entry(8))).rejects.toThrow(CheckpointError);
    expect(await directory.readText('x')).toBe('old');
  });
});

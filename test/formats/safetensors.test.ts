/** Each rule of the safetensors format, kept and broken. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { FileWindow, readSafetensorsHeader, streamTensor } from '../../src/formats/index.ts';
import { readTensor } from './read-tensor.ts';
import { fileBytes, openBytes, syntaxError, tensor, WatchedFile } from './support.ts';

const HINT = 'The file is damaged or not safetensors; fetch or save it again.';
const read = async (bytes: Uint8Array): ReturnType<typeof readSafetensorsHeader> =>
  readSafetensorsHeader(await openBytes(bytes));

describe('readSafetensorsHeader', () => {
  it('gives tensors in file order with absolute offsets, and metadata', async () => {
    const header = `{${tensor('b', 'I64', [2], 8, 24)},"__metadata__":{"format":"pt","x":""},${tensor('a', 'F32', [2, 1], 0, 8)}}`;
    const { tensors, metadata } = await read(fileBytes(header, 24));
    const begin = 8 + header.length;
    expect([...tensors]).toEqual([
      ['a', { dtype: 'F32', shape: [2, 1], begin, end: begin + 8 }],
      ['b', { dtype: 'I64', shape: [2], begin: begin + 8, end: begin + 24 }],
    ]);
    expect([...metadata]).toEqual([
      ['format', 'pt'],
      ['x', ''],
    ]);
  });

  it.each([
    ['no tensors', '{}', 0],
    ['spaces at the end', '{}      ', 0],
    ['other space inside', '{ "a" :\n{"dtype":"U8",\t"shape":[ 1 ],"data_offsets":[0 , 1]}}\r\n', 1],
    ['a null for metadata', '{"__metadata__":null}', 0],
    ['a scalar', `{${tensor('a', 'F32', [], 0, 4)}}`, 4],
    [
      'empty tensors between others',
      `{${tensor('a', 'F32', [0, 9], 0, 0)},${tensor('b', 'U8', [1], 0, 1)},${tensor('c', 'F64', [3, 0], 1, 1)}}`,
      1,
    ],
    ['a size that only a zero keeps small', `{${tensor('a', 'F32', [0, 9007199254740991, 9], 0, 0)}}`, 0],
    ['unknown fields of a tensor', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"later":{"x":[1.5]}}}', 1],
    [
      'names that JavaScript finds special',
      `{${tensor('__proto__', 'U8', [1], 0, 1)},${tensor('', 'U8', [1], 1, 2)},${tensor('constructor', 'U8', [1], 2, 3)}}`,
      3,
    ],
    [
      '4- and 6-bit elements that fill bytes',
      `{${tensor('a', 'F4', [2], 0, 1)},${tensor('b', 'F6_E2M3', [2, 2], 1, 4)}}`,
      4,
    ],
  ])('accepts %s', async (_, header, data) => {
    await expect(read(fileBytes(header, data))).resolves.toBeDefined();
  });

  it('knows every dtype of the Rust reader', async () => {
    const sizes = {
      BOOL: 1,
      U8: 1,
      I8: 1,
      F8_E5M2: 1,
      F8_E4M3: 1,
      F8_E8M0: 1,
      F8_E4M3FNUZ: 1,
      F8_E5M2FNUZ: 1,
      I16: 2,
      U16: 2,
      F16: 2,
      BF16: 2,
      I32: 4,
      U32: 4,
      F32: 4,
      C64: 8,
      F64: 8,
      I64: 8,
      U64: 8,
    };
    for (const [dtype, size] of Object.entries(sizes)) {
      const { tensors } = await read(fileBytes(`{${tensor('a', dtype, [3], 0, 3 * size)}}`, 3 * size));
      expect(tensors.get('a')?.dtype).toBe(dtype);
    }
  });

  const u8 = (name: string, begin: number, end: number): string => tensor(name, 'U8', [end - begin], begin, end);
  it.each([
    ['an empty file', new Uint8Array(0), 'expected at least the 8 bytes of a header length, got 0 bytes'],
    ['seven bytes', new Uint8Array(7), 'expected at least the 8 bytes of a header length, got 7 bytes'],
    ['an empty header', fileBytes('', 0), "expected a header that starts with '{', got an empty one"],
    ['a header longer than the file', fileBytes('{}', 0, 3n), 'expected a header of 3 bytes, got a file of 10 bytes'],
    [
      'a huge length',
      fileBytes('{}', 0, 100_000_001n),
      'expected a header of at most 100000000 bytes, got a length of 100000001',
    ],
    [
      'the largest length',
      fileBytes('{}', 0, 2n ** 64n - 1n),
      'expected a header of at most 100000000 bytes, got a length of 18446744073709551615',
    ],
    ['a header that starts with a space', fileBytes(' {}'), "expected a header that starts with '{', got byte 32"],
    ['a byte order mark', fileBytes('\ufeff{}'), "expected a header that starts with '{', got byte 239"],
    ['an array', fileBytes('[]'), "expected a header that starts with '{', got byte 91"],
    [
      'bytes that are not UTF-8',
      fileBytes(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])),
      'expected a header of UTF-8 JSON, got bytes that are not UTF-8',
    ],
    ['text that is not JSON', fileBytes('{"a"}'), `expected a header of UTF-8 JSON, got ${syntaxError('{"a"}')}`],
    ['zeros after the header', fileBytes('{}\0'), `expected a header of UTF-8 JSON, got ${syntaxError('{}\0')}`],
    [
      'a tensor twice',
      fileBytes(`{${u8('a', 0, 1)},${u8('a', 0, 1)}}`, 1),
      'expected a header of UTF-8 JSON, got the key "a" twice in one object',
    ],
    [
      'a dtype twice',
      fileBytes('{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
      'got the key "dtype" twice in one object',
    ],
    [
      'metadata twice',
      fileBytes('{"__metadata__":{},"__metadata__":{}}'),
      'got the key "__metadata__" twice in one object',
    ],
    ['a key of metadata twice', fileBytes('{"__metadata__":{"a":"","a":""}}'), 'got the key "a" twice in one object'],
    [
      'metadata that is a list',
      fileBytes('{"__metadata__":[]}'),
      'expected __metadata__ to be an object of strings, got an array',
    ],
    ['a number in metadata', fileBytes('{"__metadata__":{"a":1}}'), 'expected __metadata__ "a" to be a string, got 1'],
    ['a tensor that is a string', fileBytes('{"a":"b"}'), 'expected tensor "a" to be an object, got "b"'],
    [
      'an unknown dtype',
      fileBytes(`{${tensor('a', 'F31', [1], 0, 4)}}`, 4),
      'expected tensor "a" to have a known dtype, got "F31"',
    ],
    [
      'a dtype in small letters',
      fileBytes(`{${tensor('a', 'f32', [1], 0, 4)}}`, 4),
      'expected tensor "a" to have a known dtype, got "f32"',
    ],
    [
      'no dtype',
      fileBytes('{"a":{"shape":[],"data_offsets":[0,1]}}', 1),
      'expected tensor "a" to have a known dtype, got nothing',
    ],
    [
      'a dtype from the prototype',
      fileBytes(`{${tensor('a', 'toString', [1], 0, 4)}}`, 4),
      'expected tensor "a" to have a known dtype, got "toString"',
    ],
    [
      'no shape',
      fileBytes('{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1),
      'expected tensor "a" to have a shape of whole numbers, got nothing',
    ],
    [
      'a negative size',
      fileBytes(`{${tensor('a', 'U8', [-1], 0, 1)}}`, 1),
      'expected tensor "a" to have a shape of whole numbers, got -1',
    ],
    [
      'a negative zero',
      fileBytes(`{${tensor('a', 'U8', ['-0'], 0, 0)}}`),
      'expected tensor "a" to have a shape of whole numbers, got -0',
    ],
    [
      'a fraction',
      fileBytes(`{${tensor('a', 'U8', ['1.0'], 0, 1)}}`, 1),
      'expected tensor "a" to have a shape of whole numbers, got 1.0',
    ],
    [
      'an exponent',
      fileBytes(`{${tensor('a', 'U8', ['1e0'], 0, 1)}}`, 1),
      'expected tensor "a" to have a shape of whole numbers, got 1e0',
    ],
    [
      'a size as text',
      fileBytes(`{${tensor('a', 'U8', ['"1"'], 0, 1)}}`, 1),
      'expected tensor "a" to have a shape of whole numbers, got "1"',
    ],
    [
      'a size of 2^53',
      fileBytes(`{${tensor('a', 'U8', ['9007199254740992'], 0, 0)}}`),
      'expected tensor "a" to have a shape of whole numbers, got 9007199254740992',
    ],
    [
      'a product beyond 2^53',
      fileBytes(`{${tensor('a', 'U8', [2 ** 40, 2 ** 40], 0, 0)}}`),
      'expected tensor "a" to fill a whole number of bytes below 2^53, got U8 [1099511627776, 1099511627776]',
    ],
    [
      'a product that overflows before a zero',
      fileBytes(`{${tensor('a', 'U8', [2 ** 40, 2 ** 40, 0], 0, 0)}}`),
      'expected tensor "a" to fill a whole number of bytes below 2^53',
    ],
    [
      'a product that wraps to 0 in 64 bits',
      fileBytes(`{${tensor('a', 'U8', ['4294967296', '4294967296'], 0, 0)}}`),
      'expected tensor "a" to fill a whole number of bytes below 2^53',
    ],
    [
      'half a byte',
      fileBytes(`{${tensor('a', 'F4', [3], 0, 1)}}`, 1),
      'expected tensor "a" to fill a whole number of bytes below 2^53, got F4 [3]',
    ],
    [
      'one offset',
      fileBytes('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}}'),
      'expected tensor "a" to have data_offsets [begin, end] with begin ≤ end, got [0]',
    ],
    [
      'three offsets',
      fileBytes('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}}'),
      'expected tensor "a" to have data_offsets [begin, end] with begin ≤ end, got [0, 0, 0]',
    ],
    [
      'offsets in reverse',
      fileBytes(`{${tensor('a', 'U8', [1], 1, 0)}}`, 1),
      'expected tensor "a" to have data_offsets [begin, end] with begin ≤ end, got [1, 0]',
    ],
    [
      'a shape that does not fill its bytes',
      fileBytes(`{${tensor('a', 'F32', [2], 0, 7)}}`, 7),
      'expected tensor "a" F32 [2] to take 8 bytes, got 7',
    ],
    [
      'a hole at the start',
      fileBytes(`{${u8('a', 1, 2)}}`, 2),
      'expected tensor "a" to begin at offset 0, got 1 (a hole)',
    ],
    [
      'a hole',
      fileBytes(`{${u8('a', 0, 1)},${u8('b', 2, 3)}}`, 3),
      'expected tensor "b" to begin at offset 1, got 2 (a hole)',
    ],
    [
      'an overlap',
      fileBytes(`{${u8('a', 0, 2)},${u8('b', 1, 3)}}`, 3),
      'expected tensor "b" to begin at offset 2, got 1 (an overlap)',
    ],
    [
      'the same bytes twice',
      fileBytes(`{${u8('a', 0, 2)},${u8('b', 0, 2)}}`, 2),
      'expected tensor "b" to begin at offset 2, got 0 (an overlap)',
    ],
    [
      'a file that is cut',
      fileBytes(`{${u8('a', 0, 2)}}`, 1),
      'expected 63 bytes by its header, got a file of 62 bytes',
    ],
    [
      'bytes after the last tensor',
      fileBytes(`{${u8('a', 0, 2)}}`, 3),
      'expected 63 bytes by its header, got a file of 64 bytes',
    ],
    ['bytes after no tensor', fileBytes('{}', 1), 'expected 10 bytes by its header, got a file of 11 bytes'],
  ])('refuses %s', async (_, bytes, message) => {
    const error = await read(bytes).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as CheckpointError).message).toMatch(/^folder\/x\.safetensors: expected /);
    expect((error as CheckpointError).message).toContain(message);
    expect((error as CheckpointError).message.endsWith(HINT)).toBe(true);
    expect((error as CheckpointError).file).toBe('folder/x.safetensors');
  });

  it('gives what the header says, in whatever way it is spelled and ordered', async () => {
    const names = fc.uniqueArray(
      fc
        .oneof(fc.string({ maxLength: 8 }), fc.constantFrom('__proto__', 'é"', '\\', '\u2028', '😀'))
        .filter((name) => name !== '__metadata__'),
      { maxLength: 6 },
    );
    const shape = fc.array(fc.nat(4), { maxLength: 3 });
    const space = fc.constantFrom(undefined, 1, '\t');
    const metadata = fc.dictionary(fc.constantFrom('format', 'a', '"'), fc.constantFrom('pt', '', '{}'));
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.infiniteStream(shape),
        fc.infiniteStream(fc.nat()),
        space,
        metadata,
        async (...drawn) => {
          const [names, shapes, order, space, metadata] = drawn;
          let end = 0;
          const infos = names.map((name) => {
            const shape = shapes.next().value as number[];
            const begin = end;
            end += 4 * shape.reduce((a, b) => a * b, 1);
            return { name, value: { dtype: 'F32', shape, data_offsets: [begin, end] }, begin, end };
          });
          const shuffled = infos.map((info) => [order.next().value, info] as const).sort(([a], [b]) => a - b);
          const entries = shuffled.map(([, { name, value }]) => [name, value] as const);
          const json = JSON.stringify(Object.fromEntries([...entries, ['__metadata__', metadata]]), null, space);
          const found = await read(fileBytes(json, end));
          const dataBegin = 8 + new TextEncoder().encode(json).length;
          expect([...found.metadata]).toEqual(Object.entries(metadata));
          expect(found.tensors.size).toBe(names.length);
          for (const { name, value, begin, end } of infos)
            expect(found.tensors.get(name)).toEqual({
              dtype: 'F32',
              shape: value.shape,
              begin: dataBegin + begin,
              end: dataBegin + end,
            });
          let last = dataBegin;
          for (const info of found.tensors.values()) {
            expect(info.begin).toBe(last);
            last = info.end;
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses a huge length before it reads or allocates that much', async () => {
    for (const length of [100_000_001n, 2n ** 40n, 2n ** 63n, 2n ** 64n - 1n]) {
      const file = new WatchedFile(fileBytes('{}', 0, length), 2 ** 50);
      await expect(readSafetensorsHeader(file)).rejects.toThrow(/at most 100000000 bytes/);
      expect(file.largestRead).toBe(8);
    }
    const claimed = new WatchedFile(fileBytes('{}', 0, 99_999_999n));
    await expect(readSafetensorsHeader(claimed)).rejects.toThrow(/a header of 99999999 bytes, got a file of 10 bytes/);
    expect(claimed.largestRead).toBe(8);
  });

  it('reads 200,000 tensors in reasonable time', async () => {
    const count = 200_000;
    const parts = Array.from({ length: count }, (_, i) => u8(`model.layers.${i}.weight`, i, i + 1));
    const { tensors } = await read(fileBytes(`{${parts.join(',')}}`, count));
    expect(tensors.size).toBe(count);
  });
});

describe('streamTensor and readTensor', () => {
  const values = Float32Array.from({ length: 100 }, (_, i) => i / 7);
  const header = `{${tensor('a', 'F32', [100], 0, 400)},${tensor('n', 'I64', [2], 400, 416)},${tensor('z', 'F32', [0], 416, 416)}}`;
  const data = new Uint8Array(416);
  data.set(new Uint8Array(values.buffer));
  data.set(new Uint8Array(BigInt64Array.of(-5n, 2n ** 62n).buffer), 400);
  const bytes = fileBytes(header, data);

  it('streams pieces of whole elements, each once, in order', async () => {
    for (const windowBytes of [8, 15, 16, 100, 399, 400, 4000, undefined]) {
      const file = new WatchedFile(bytes);
      const { tensors } = await readSafetensorsHeader(file);
      file.largestRead = 0;
      const all: number[] = [];
      await streamTensor(new FileWindow(file, windowBytes), tensors.get('a')!, async (chunk, offset) => {
        expect(offset).toBe(all.length);
        expect(chunk.length % 8).toBe(0);
        await Promise.resolve();
        all.push(...chunk);
      });
      expect(new Uint8Array(all)).toEqual(data.subarray(0, 400));
      expect(file.largestRead).toBeLessThanOrEqual(windowBytes ?? bytes.length);
    }
  });

  it('does not call back for an empty tensor', async () => {
    const file = await openBytes(bytes);
    const { tensors } = await readSafetensorsHeader(file);
    await streamTensor(new FileWindow(file), tensors.get('z')!, () => expect.unreachable());
    expect((await readTensor(file, tensors.get('z')!)).length).toBe(0);
  });

  it('keeps pieces as small as it is told', async () => {
    const file = new WatchedFile(bytes);
    const info = (await readSafetensorsHeader(file)).tensors.get('a')!;
    const pieces: number[] = [];
    await streamTensor(new FileWindow(file), info, (chunk) => void pieces.push(chunk.length), 144);
    expect(pieces).toEqual([144, 144, 112]);
  });

  it('reads tensors that lie together at once, and each where its bytes lie modulo 8', async () => {
    const file = new WatchedFile(bytes);
    const { tensors } = await readSafetensorsHeader(file);
    file.reads = 0;
    const window = new FileWindow(file);
    for (const name of ['a', 'n'])
      await streamTensor(window, tensors.get(name)!, (chunk) => {
        expect(chunk.byteOffset % 8).toBe(tensors.get(name)!.begin % 8);
      });
    expect(file.reads).toBe(1);
  });

  it('reads back to what lies before the window', async () => {
    const file = await openBytes(bytes);
    const window = new FileWindow(file, 16);
    for (const at of [0, 8, 100, 3, 99, 0, bytes.length - 3]) {
      const end = Math.min(at + 11, bytes.length);
      const found = await window.read(at, end);
      expect(found.length).toBeGreaterThanOrEqual(Math.min(8, end - at));
      expect(found).toEqual(bytes.slice(at, at + found.length));
    }
  });

  it('passes on what the callback throws', async () => {
    const file = await openBytes(bytes);
    const info = (await readSafetensorsHeader(file)).tensors.get('a')!;
    const stop = new Error('stop');
    await expect(streamTensor(new FileWindow(file), info, () => Promise.reject(stop))).rejects.toBe(stop);
  });

  it('returns arrays of the right kind', async () => {
    const file = await openBytes(bytes);
    const { tensors } = await readSafetensorsHeader(file);
    expect(await readTensor(file, tensors.get('a')!)).toEqual(values);
    expect(await readTensor(file, tensors.get('n')!)).toEqual(BigInt64Array.of(-5n, 2n ** 62n));
    const kinds = {
      F64: Float64Array,
      C64: Float32Array,
      U64: BigUint64Array,
      I32: Int32Array,
      U32: Uint32Array,
      I16: Int16Array,
      U16: Uint16Array,
      F16: Uint16Array,
      BF16: Uint16Array,
      I8: Int8Array,
      U8: Uint8Array,
      BOOL: Uint8Array,
      F8_E4M3: Uint8Array,
    } as const;
    for (const [dtype, kind] of Object.entries(kinds)) {
      const size = dtype === 'C64' ? 8 : kind.BYTES_PER_ELEMENT;
      const other = await openBytes(fileBytes(`{${tensor('a', dtype, [2], 0, 2 * size)}}`, 2 * size));
      const { tensors: only } = await readSafetensorsHeader(other);
      expect(await readTensor(other, only.get('a')!)).toBeInstanceOf(kind);
    }
  });
});

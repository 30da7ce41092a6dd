/**
 * Valid files, damaged at random: the reader either gives what the damaged file says, by the rules, or throws
 * CheckpointError. Never anything else, never a read outside of the file.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import {
  dtypeBits,
  FileWindow,
  INDEX_FILE,
  openWeights,
  readSafetensorsHeader,
  saveWeights,
  streamTensor,
} from '../../src/formats/index.ts';
import { f32Entry } from './f32-entry.ts';
import { fileBytes, tensor, WatchedFile } from './support.ts';

const HEADER = `{"__metadata__":{"format":"pt"},${tensor('w', 'F32', [2, 3], 0, 24)},${tensor('i', 'I64', [1], 24, 32)},${tensor('h', 'F16', [0], 32, 32)}}   `;
const VALID = fileBytes(
  HEADER,
  Uint8Array.from({ length: 32 }, (_, i) => i * 7),
);

/** Checks the outcome for any bytes against an independent reading of them. */
async function check(bytes: Uint8Array): Promise<void> {
  const file = new WatchedFile(bytes);
  let header: Awaited<ReturnType<typeof readSafetensorsHeader>>;
  try {
    header = await readSafetensorsHeader(file);
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    expect(error.message).toMatch(/^folder\/x\.safetensors: expected .*, got .*\. /s);
    return;
  }
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const said = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, 8 + length)));
  expect(Object.fromEntries(header.metadata)).toEqual(said.__metadata__ ?? {});
  expect(
    Object.keys(said)
      .filter((name) => name !== '__metadata__')
      .sort(),
  ).toEqual([...header.tensors.keys()].sort());
  let end = 8 + length;
  for (const [name, info] of header.tensors) {
    const { dtype, shape, data_offsets } = said[name];
    expect({ dtype: info.dtype, shape: info.shape }).toEqual({ dtype, shape });
    expect([info.begin - 8 - length, info.end - 8 - length]).toEqual(data_offsets);
    expect(info.begin).toBe(end);
    expect((info.end - info.begin) * 8).toBe(info.shape.reduce((a, b) => a * b, 1) * dtypeBits(info.dtype));
    end = info.end;
    await streamTensor(new FileWindow(file), info, (piece, offset) => {
      expect(Buffer.compare(piece, bytes.subarray(info.begin + offset, info.begin + offset + piece.length))).toBe(0);
    });
  }
  expect(end).toBe(bytes.length);
}

/** A change of some bytes. */
const damage = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(VALID.length - 1), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat(VALID.length) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(VALID.length), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('delete' as const), at: fc.nat(VALID.length - 1) }),
);
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function apply(bytes: Uint8Array, change: Damage): Uint8Array {
  const list = [...bytes];
  if (change.kind === 'set') list[Math.min(change.at, list.length)] = change.byte;
  else if (change.kind === 'cut') list.length = Math.min(change.at, list.length);
  else if (change.kind === 'insert') list.splice(change.at, 0, change.byte);
  else list.splice(change.at, 1);
  return Uint8Array.from(list);
}

describe('a damaged safetensors file', () => {
  it('is intact before the damage', async () => {
    expect((await readSafetensorsHeader(new WatchedFile(VALID))).tensors.size).toBe(3);
    await check(VALID);
  });

  it('survives every single bit flip of header and length', async () => {
    for (let at = 0; at < 8 + HEADER.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = VALID.slice();
        bytes[at]! ^= 1 << bit;
        await check(bytes);
      }
    }
  });

  it('survives truncation at every byte', async () => {
    for (let length = 0; length < VALID.length; length++) {
      await expect(readSafetensorsHeader(new WatchedFile(VALID.subarray(0, length)))).rejects.toThrow(CheckpointError);
    }
  });

  it('survives random sets, cuts, insertions and deletions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 4 }), (changes) =>
        check(changes.reduce(apply, VALID)),
      ),
      { numRuns: 3000 },
    );
  });

  it('survives any bytes at all', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), check), { numRuns: 1000 });
  });

  it('survives edits of the header that keep it JSON', async () => {
    const size = fc.oneof(
      fc.nat(4),
      fc.integer(),
      fc.constantFrom('1e3', '1.5', '-0', '18446744073709551616', 'null', '"2"'),
    );
    const dtype = fc.constantFrom(
      'F32',
      'U8',
      'I64',
      'F16',
      'BF16',
      'F4',
      'F6_E2M3',
      'BOOL',
      'F64',
      'f32',
      '',
      'valueOf',
    );
    const one = fc.record({
      name: fc.oneof(fc.constantFrom('a', 'b', '__metadata__', '__proto__', 'constructor'), fc.string()),
      dtype,
      shape: fc.array(size, { maxLength: 3 }),
      offsets: fc.array(size, { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 4 }), fc.nat(40), async (tensors, data) => {
        const parts = tensors.map(({ name, dtype, shape, offsets }) => {
          return `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape}],"data_offsets":[${offsets}]}`;
        });
        await check(fileBytes(`{${parts.join(',')}}`, data));
      }),
      { numRuns: 3000 },
    );
  });

  it('reads valid layouts in any order of the header', async () => {
    const one = fc.tuple(fc.constantFrom('F32', 'U8', 'I16'), fc.array(fc.nat(3), { maxLength: 3 }));
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 6 }), fc.infiniteStream(fc.nat()), async (tensors, order) => {
        let offset = 0;
        const parts = tensors.map(([dtype, shape], i) => {
          const begin = offset;
          offset += shape.reduce((a, b) => a * b, 1) * { F32: 4, U8: 1, I16: 2 }[dtype]!;
          return tensor(`t${i}`, dtype, shape, begin, offset);
        });
        const shuffled = parts.map((part) => [order.next().value, part] as const).sort(([a], [b]) => a - b);
        const bytes = fileBytes(`{${shuffled.map(([, part]) => part).join(',')}}`, offset);
        const { tensors: found } = await readSafetensorsHeader(new WatchedFile(bytes));
        expect(found.size).toBe(tensors.length);
        await check(bytes);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a damaged sharded model', () => {
  it('survives random damage of index and shards', async () => {
    const source = memoryDirectory({}, 'model');
    const entries = ['a', 'b', 'c'].map((name, i) => f32Entry(name, [2], Float32Array.of(i, Number.NaN)));
    await saveWeights(source, entries, { maxShardBytes: 8 });
    const files = new Map<string, Uint8Array>();
    for (const name of await source.list()) files.set(name, await source.readBytes(name));
    const change = fc.record({ file: fc.constantFrom(...files.keys(), INDEX_FILE, INDEX_FILE), damage });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const damaged = new Map(files);
        for (const { file, damage } of changes) {
          const bytes = damaged.get(file)!;
          damaged.set(file, apply(bytes, { ...damage, at: damage.at % (bytes.length || 1) }));
        }
        try {
          const weights = await openWeights(memoryDirectory(Object.fromEntries(damaged), 'model'));
          for (const name of weights.names) {
            if (weights.info(name).dtype !== 'F32') continue;
            let count = 0;
            await weights.stream(name, (values) => {
              count += values.length;
            });
            expect(count).toBe(weights.info(name).elements);
          }
          await weights.close();
        } catch (error) {
          if (!(error instanceof CheckpointError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

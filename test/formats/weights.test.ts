/** Weights of a folder, in one file or sharded: reading, writing, and dying in between. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import {
  INDEX_FILE,
  openSafetensors,
  openWeights,
  saveWeights,
  type TensorEntry,
  type Weights,
  writeSafetensors,
} from '../../src/formats/index.ts';
import { f32Entry } from './f32-entry.ts';
import { readBytes, readFloats } from './read-tensor.ts';
import { syntaxError } from './support.ts';

const f32 = (name: string, ...values: number[]): TensorEntry =>
  f32Entry(name, [values.length], Float32Array.from(values));
const words = (name: string, dtype: 'F16' | 'BF16' | 'I16', ...bits: number[]): TensorEntry => ({
  name,
  dtype,
  shape: [bits.length],
  chunks: () => [new Uint8Array(Uint16Array.from(bits).buffer)],
});

async function values(weights: Weights, name: string): Promise<number[]> {
  return [...(await readFloats(weights, name))];
}

async function contents(directory: Directory): Promise<Record<string, number[]>> {
  const weights = await openWeights(directory);
  const all: Record<string, number[]> = {};
  for (const name of weights.names) all[name] = await values(weights, name);
  await weights.close();
  return all;
}

describe('one file', () => {
  it('gives names, infos and values of each float type', async () => {
    const directory = memoryDirectory({}, 'model');
    await saveWeights(directory, [
      f32('a', 1, -0, Number.NaN, 2 ** -149),
      words('h', 'F16', 0x3c00, 0x0001),
      words('b', 'BF16', 0x3f80, 0xff80),
      f32Entry('none', [0, 3], new Float32Array(0)),
      f32Entry('scalar', [], Float32Array.of(5)),
    ]);
    expect(await directory.list()).toEqual(['model.safetensors']);
    const weights = await openWeights(directory);
    expect(weights.names).toEqual(['a', 'none', 'scalar', 'b', 'h']);
    expect([...weights.metadata]).toEqual([['format', 'pt']]);
    expect(weights.has('a')).toBe(true);
    expect(weights.has('x')).toBe(false);
    expect(weights.info('b')).toMatchObject({
      dtype: 'BF16',
      shape: [2],
      elements: 2,
      file: 'model/model.safetensors',
    });
    expect(await values(weights, 'a')).toEqual([1, -0, Number.NaN, 2 ** -149]);
    expect(await values(weights, 'h')).toEqual([1, 2 ** -24]);
    expect(await values(weights, 'b')).toEqual([1, Number.NEGATIVE_INFINITY]);
    expect(await values(weights, 'none')).toEqual([]);
    expect(await values(weights, 'scalar')).toEqual([5]);
    expect(await readBytes(weights, 'h')).toEqual(new Uint8Array(Uint16Array.of(0x3c00, 1).buffer));
    await weights.close();
  });

  it.each(['F32', 'F16', 'BF16'] as const)('streams large %s tensors in pieces of at most 4 MiB', async (dtype) => {
    const count = 3_000_001;
    const array =
      dtype === 'F32'
        ? Float32Array.from({ length: count }, (_, i) => i)
        : Uint16Array.from({ length: count }, (_, i) => i & 0x3fff);
    const bytes = new Uint8Array(array.buffer);
    const directory = memoryDirectory();
    await writeSafetensors(directory, 'model.safetensors', [
      { name: 'a', dtype, shape: [count], chunks: () => [bytes] },
    ]);
    const weights = await openWeights(directory);
    const whole = new Float32Array(count);
    let next = 0;
    await weights.stream('a', async (piece, offset) => {
      expect(offset).toBe(next);
      expect(piece.byteLength).toBeLessThanOrEqual(4 * 1024 * 1024);
      await Promise.resolve();
      whole.set(piece, offset);
      next += piece.length;
    });
    expect(next).toBe(count);
    if (dtype === 'F32') expect(whole[count - 1]).toBe(count - 1);
    else expect(whole[0x3c00]).toBe(dtype === 'F16' ? 1 : new Float32Array(Uint32Array.of(0x3c000000).buffer)[0]);
    await weights.close();
  });

  it('refuses missing names and other dtypes', async () => {
    const directory = memoryDirectory({}, 'model');
    await saveWeights(directory, [f32('a', 1, 2), words('i', 'I16', 7)]);
    const weights = await openWeights(directory);
    const missing =
      'model/model.safetensors: expected a tensor "x", got none of that name among 2. Check that config.json and weights belong together.';
    expect(() => weights.info('x')).toThrow(missing);
    await expect(weights.stream('x', () => {})).rejects.toThrow(missing);
    await expect(weights.streamBytes('x', () => {})).rejects.toThrow(CheckpointError);
    const dtype =
      'model/model.safetensors: expected tensor "i" as F32, F16 or BF16, got I16. Save the model in one of these.';
    await expect(weights.stream('i', () => {})).rejects.toThrow(dtype);
    expect(await readBytes(weights, 'i')).toEqual(Uint8Array.of(7, 0));
    await weights.close();
  });

  it('says what a folder without weights lacks', async () => {
    const directory = memoryDirectory({ 'pytorch_model.bin': 'x' }, 'model');
    await expect(openWeights(directory)).rejects.toThrow(
      'model: expected model.safetensors or model.safetensors.index.json, got neither. Check the folder; PyTorch .bin weights must first be saved as safetensors.',
    );
    await expect(openSafetensors(directory, 'other')).rejects.toThrow(CheckpointError);
  });
});

describe('shards', () => {
  const entries = [f32('a', 1, 2), f32('b', 3), f32('c', 4, 5, 6), f32('d', 7)];
  const expected = { a: [1, 2], b: [3], c: [4, 5, 6], d: [7] };

  it('fills files in order up to the limit, and writes the index as transformers does', async () => {
    const directory = memoryDirectory();
    await saveWeights(directory, entries, { maxShardBytes: 12 });
    expect(await directory.list()).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(await directory.readText(INDEX_FILE)).toBe(`{
  "metadata": {
    "total_size": 28
  },
  "weight_map": {
    "a": "model-00001-of-00003.safetensors",
    "b": "model-00001-of-00003.safetensors",
    "c": "model-00002-of-00003.safetensors",
    "d": "model-00003-of-00003.safetensors"
  }
}
`);
    expect(await contents(directory)).toEqual(expected);
    const weights = await openWeights(directory);
    expect(weights.names).toEqual(['a', 'b', 'c', 'd']);
    expect(weights.info('c').file).toBe('memory:/model-00002-of-00003.safetensors');
    expect([...weights.metadata]).toEqual([['format', 'pt']]);
    await weights.close();
  });

  it('gives a tensor above the limit a file of its own', async () => {
    for (const maxShardBytes of [1, 4, 8, 11, 12, 13, 27, 28]) {
      const directory = memoryDirectory();
      await saveWeights(directory, entries, { maxShardBytes });
      expect(await contents(directory)).toEqual(expected);
      expect(await directory.has('model.safetensors')).toBe(maxShardBytes === 28);
    }
    for (const maxShardBytes of [0, -1, Number.NaN]) {
      await expect(saveWeights(memoryDirectory(), entries, { maxShardBytes })).rejects.toThrow(
        `saveWeights: expected maxShardBytes of 1 or more, got ${maxShardBytes}.`,
      );
    }
  });

  it('refuses a name twice before it writes anything', async () => {
    const directory = memoryDirectory();
    await expect(saveWeights(directory, [f32('a', 1), f32('a', 2)], { maxShardBytes: 4 })).rejects.toThrow(
      'model.safetensors: expected tensors with different names, got "a" twice. Rename one.',
    );
    expect(await directory.list()).toEqual([]);
  });

  const SHARD = 'model-00001-of-00001.safetensors';
  const HINT = 'Fetch or save the model again, all files of it.';
  async function sharded(index: string): Promise<Directory> {
    const directory = memoryDirectory({ [INDEX_FILE]: index }, 'model');
    await writeSafetensors(directory, SHARD, [f32('a', 1), f32('b', 2)]);
    return directory;
  }

  it('takes an index without metadata, or with more than is needed', async () => {
    const map = `"weight_map":{"b":"${SHARD}","a":"${SHARD}"}`;
    for (const index of [
      `{${map}}`,
      `{"metadata":null,${map}}`,
      `{"metadata":{"total_size":8,"total_parameters":2},${map},"x":[]}`,
      `{"metadata":{"total_size":8.0},${map}}`,
    ]) {
      expect(await contents(await sharded(index))).toEqual({ a: [1], b: [2] });
    }
  });

  const at = 'model/model.safetensors.index.json: expected';
  it.each([
    ['{', `${at} JSON, got ${syntaxError('{')}. ${HINT}`],
    ['[]', `${at} an object, got an array. ${HINT}`],
    ['{}', `${at} weight_map to be an object of file names, got nothing. ${HINT}`],
    ['{"weight_map":["a"]}', `${at} weight_map to be an object of file names, got an array. ${HINT}`],
    ['{"weight_map":{"a":5}}', `${at} weight_map "a" to name a file, got 5. ${HINT}`],
    ['{"metadata":[],"weight_map":{}}', `${at} metadata to be an object, got an array. ${HINT}`],
    ['{"metadata":{"total_size":"8"},"weight_map":{}}', `${at} metadata.total_size in bytes, got "8". ${HINT}`],
    ['{"metadata":{"total_size":-8},"weight_map":{}}', `${at} metadata.total_size in bytes, got -8. ${HINT}`],
    [`{"weight_map":{"a":"${SHARD}","a":"x"}}`, `${at} JSON, got the key "a" twice in one object. ${HINT}`],
    [`{"weight_map":{"a":"${SHARD}"}}`, `${at} tensor "b" of ${SHARD} to be listed there, got no entry. ${HINT}`],
    [
      `{"weight_map":{"a":"${SHARD}","b":"${SHARD}","c":"${SHARD}"}}`,
      `${at} tensor "c" in ${SHARD}, got none of that name. ${HINT}`,
    ],
    [`{"weight_map":{"a":"x.safetensors"}}`, 'model/x.safetensors: expected a file, got none. Check the path.'],
    ['{"weight_map":{"a":"../x"}}', `model: expected a relative path inside the folder, got the step '..' in "../x". `],
    [
      '{"weight_map":{"a":"/etc/passwd"}}',
      'model: expected a relative path inside the folder, got an absolute path in "/etc/passwd". ',
    ],
    [
      '{"weight_map":{"a":"a\\\\b"}}',
      'model: expected a relative path inside the folder, got a backslash in "a\\\\b". ',
    ],
    ['{"weight_map":{"a":"C:x"}}', 'model: expected a relative path inside the folder, got a drive letter in "C:x". '],
    [
      '{"weight_map":{"a":"x\\u0000"}}',
      'model: expected a relative path inside the folder, got a NUL character in "x\\u0000". ',
    ],
    ['{"weight_map":{"a":""}}', 'model: expected a relative path inside the folder, got an empty path in "". '],
  ])('refuses the index %s', async (index, message) => {
    const error = await openWeights(await sharded(index)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toContain(message);
  });

  it('refuses a tensor that lies in another shard than the index says', async () => {
    const directory = await sharded(`{"weight_map":{"a":"${SHARD}","b":"other"}}`);
    await writeSafetensors(directory, 'other', [f32('b', 2)]);
    await expect(openWeights(directory)).rejects.toThrow(
      `${at} tensor "b" of ${SHARD} to be listed there, got other. ${HINT}`,
    );
  });

  it('refuses a damaged shard by its name', async () => {
    const directory = await sharded(`{"weight_map":{"a":"${SHARD}","b":"${SHARD}"}}`);
    await directory.write(SHARD, (await directory.readBytes(SHARD)).slice(0, -1));
    await expect(openWeights(directory)).rejects.toThrow(/^model\/model-00001-of-00001\.safetensors: expected /);
  });
});

/** A folder that loses its power after so many changes: the next one fails, as does everything later. */
function dyingDirectory(directory: Directory, changes: number): Directory {
  let left = changes;
  const step = (): void => {
    left -= 1;
    if (left < 0) throw new Error('power cut');
  };
  return {
    name: directory.name,
    has: (path) => directory.has(path),
    open: (path) => directory.open(path),
    readText: (path) => directory.readText(path),
    readBytes: (path) => directory.readBytes(path),
    list: () => directory.list(),
    subdirectory: (path) => directory.subdirectory(path),
    async write(path, content) {
      step();
      await directory.write(path, content);
    },
    async remove(path) {
      step();
      await directory.remove(path);
    },
  };
}

describe('saveWeights over an older model', () => {
  it('leaves the old model or the new one, wherever it is cut off, and no old files when it is not', async () => {
    const limits = [4, 8, 1000];
    const model = (base: number): TensorEntry[] => ['a', 'b', 'c', 'd'].map((name, i) => f32(name, base + i));
    for (const [before, after] of limits.flatMap((a) => limits.map((b) => [a, b] as const))) {
      for (let changes = 0; ; changes++) {
        const directory = memoryDirectory({ 'config.json': '{}', 'model-card.safetensors': 'mine' });
        await saveWeights(directory, model(0), { maxShardBytes: before });
        const old = await contents(directory);
        const isDone = await saveWeights(dyingDirectory(directory, changes), model(100), { maxShardBytes: after }).then(
          () => true,
          (error: Error) => {
            expect(error.message).toBe('power cut');
            return false;
          },
        );
        const found = await contents(directory);
        expect([old.a, [100]]).toContainEqual(found.a);
        expect(found).toEqual(found.a![0] === 100 ? { a: [100], b: [101], c: [102], d: [103] } : old);
        // The next save works in whatever was left, and tidies up.
        await saveWeights(directory, model(200), { maxShardBytes: after });
        expect(await contents(directory)).toEqual({ a: [200], b: [201], c: [202], d: [203] });
        const files = await directory.list();
        expect(files).toContain('config.json');
        expect(files).toContain('model-card.safetensors');
        const count = after === 4 ? 5 : after === 8 ? 3 : 1;
        expect(files.length).toBe(2 + count);
        if (isDone) break;
      }
    }
  });

  it('round-trips any tensors at any shard size', async () => {
    const one = fc.tuple(fc.string({ minLength: 1, unit: 'grapheme' }), fc.array(fc.float(), { maxLength: 9 }));
    const many = fc.uniqueArray(one, { selector: ([name]) => name, maxLength: 9 });
    await fc.assert(
      fc.asyncProperty(many, fc.integer({ min: 1, max: 100 }), async (tensors, maxShardBytes) => {
        fc.pre(tensors.every(([name]) => name !== '__metadata__' && name !== '__proto__'));
        const directory = memoryDirectory();
        const entries = tensors.map(([name, numbers]) => f32(name, ...numbers));
        await saveWeights(directory, entries, { maxShardBytes });
        expect(await contents(directory)).toEqual(Object.fromEntries(tensors));
      }),
      { numRuns: 200 },
    );
  });
});

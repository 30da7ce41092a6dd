/** Weights that files hold as memory does are read to where they belong, several at a time, where the host's files can. */

import { mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { type Directory, openDirectory } from '../../src/files/index.ts';
import { openWeights, type Weights } from '../../src/formats/index.ts';
import { createModel } from '../../src/models/create.ts';
import { loadCausalLM, ParameterBlock } from '../../src/models/index.ts';
import { blueprint } from '../../src/models/model.ts';
import { readConfig } from '../../src/models/read-config.ts';
import { checksumOf } from '../../src/models/weights/parameter-values.ts';
import { streamWeights } from '../../src/models/weights/stream.ts';
import { Engine } from '../../src/runtime/engine.ts';

const OPTIONS = { nLayer: 2, nHead: 2, nEmbd: 48, blockSize: 16, vocabSize: 70, threads: 1, seed: 4 };
const kinds = [
  ['f32', { trainable: true }],
  ['q8', { dtype: 'q8' }],
  ['q4', { dtype: 'q4' }],
] as const;
let root = '';
/** Folders by dtype, whose weights are as they are in memory, and their checksums. */
const folders = new Map<string, Directory>();
const checksums = new Map<string, number>();

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'lanewise-'));
  const original = await createModel('gpt2', OPTIONS);
  await original.save(join(root, 'f32'));
  original.dispose();
  for (const [dtype, options] of kinds) {
    const model = await loadCausalLM(join(root, 'f32'), { ...options, threads: 1 });
    if (dtype !== 'f32') await model.save(join(root, dtype));
    checksums.set(dtype, await model.checksum());
    folders.set(dtype, await openDirectory(join(root, dtype)));
    model.dispose();
  }
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A block for the weights of a folder, what `load` does with it, and its checksum. */
async function loaded(dtype: string, change: (weights: Weights, engine: Engine) => Weights): Promise<number> {
  const weights = await openWeights(folders.get(dtype)!);
  const engine = await Engine.create({ threads: 1 });
  try {
    const { family, config } = await readConfig(folders.get(dtype)!);
    const encoding = dtype as 'f32' | 'q8' | 'q4';
    const block = await ParameterBlock.allocate(engine, blueprint(family, config).parameters.list, encoding);
    await streamWeights(block, change(weights, engine), family.names, encoding === 'f32' ? undefined : encoding);
    return await checksumOf(block);
  } finally {
    engine.dispose();
    await weights.close();
  }
}

/** These weights, with one method that does something else. */
function changed(weights: Weights, change: Partial<Weights>): Weights {
  return new Proxy(weights, {
    get(target, name) {
      const value = Reflect.get({ ...change }, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe.each(kinds)('%s', (dtype, options) => {
  it('has the same weights from a file system and through a window', async () => {
    const streamed: string[] = [];
    expect(
      await loaded(dtype, (weights) =>
        changed(weights, {
          stream: async (name) => void streamed.push(name),
          streamBytes: async (name) => void streamed.push(name),
        }),
      ),
    ).toBe(checksums.get(dtype));
    expect(streamed).toEqual([]);
    expect(await loaded(dtype, (weights) => changed(weights, { readAll: async () => false }))).toBe(
      checksums.get(dtype),
    );
  });

  it('reads them anew when the memory has grown meanwhile', async () => {
    let length = -1;
    const grow = (weights: Weights, engine: Engine) =>
      changed(weights, {
        readAll: async (targets) => {
          await engine.allocate(8 << 20, 'something else');
          await weights.readAll(targets);
          length = targets[0]![1].length;
          return true;
        },
      });
    expect(await loaded(dtype, grow)).toBe(checksums.get(dtype));
    expect(length).toBe(0);
  });

  it('fits with threads, whose shared memory no file is read into', async () => {
    const model = await loadCausalLM(folders.get(dtype)!, { ...options, threads: 2 });
    expect(model.engine.view(model.weights.address!, 64)).toBeUndefined();
    expect(await model.checksum()).toBe(checksums.get(dtype));
    model.dispose();
  });

  it('says which file ends early', async () => {
    const weights = await openWeights(folders.get(dtype)!);
    const path = join(root, dtype, 'model.safetensors');
    const last = weights.names.map((name) => weights.info(name)).sort((a, b) => b.end - a.end)[0]!;
    const whole = await folders.get(dtype)!.readBytes('model.safetensors');
    await truncate(path, last.end - 1); // behind the back of the open file
    const targets = weights.names.map((name) => {
      const { begin, end } = weights.info(name);
      return [name, new Uint8Array(end - begin)] as const;
    });
    const reading = weights.readAll(targets);
    await expect(reading).rejects.toThrow(CheckpointError);
    await expect(reading).rejects.toThrow('model.safetensors: expected');
    const { begin, end } = weights.info(targets[0]![0]);
    expect(targets[0]![1]).toEqual(whole.subarray(begin, end)); // the others were read to their end
    await weights.close();
    await folders.get(dtype)!.write('model.safetensors', whole);
  });
});

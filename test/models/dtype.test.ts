/**
 * Models whose weights lie packed, rounded or quantized: the bits of training's layout where nothing is rounded, stated
 * distances where something is, the same bits on any number of threads, saved and loaded again, and every refusal.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CheckpointError, ConfigError } from '../../src/errors.ts';
import { scoreTokens } from '../../src/evaluation/index.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import { INDEX_FILE, openWeights, saveWeights, type TensorEntry } from '../../src/formats/index.ts';
import { encodeSafetensorsHeader } from '../../src/formats/safetensors/write.ts';
import { generateTokens } from '../../src/generation/index.ts';
import { createModel } from '../../src/models/create.ts';
import { DTYPES, type Dtype } from '../../src/models/dtype.ts';
import { forward } from '../../src/models/forward.ts';
import { Session } from '../../src/models/inference/session.ts';
import { type LoadOptions, loadCausalLM } from '../../src/models/load.ts';
import { blueprint, type CausalLM } from '../../src/models/model.ts';
import { formatConfig, parseConfig } from '../../src/models/read-config.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { align } from '../../src/runtime/allocator.ts';
import { Trainer } from '../../src/training/index.ts';
import { decodeTwin, type EncodingName, encodeTwin } from '../kernels/weights-twin.ts';
import { concat, ORACLES, type Oracle, readOracle, sequenceOf } from './oracles.ts';

const PRECISIONS = ['exact', 'fast'] as const;
const ENCODED = ['f16', 'bf16', 'q8', 'q4'] as const;

function bits(values: Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return `${values.length} values, ${createHash('sha256').update(bytes).digest('hex').slice(0, 24)}`;
}

/** Loads a folder, runs `use`, and gives the memory back. */
async function withModel<T>(
  directory: Directory,
  options: LoadOptions,
  use: (model: CausalLM) => Promise<T>,
): Promise<T> {
  const model = await loadCausalLM(directory, { threads: 1, precision: 'exact', ...options });
  try {
    return await use(model);
  } finally {
    model.dispose();
  }
}

/** Logits of whole sequences. */
async function logitsOf(model: CausalLM, oracle: Oracle): Promise<Float32Array> {
  const results: Float32Array[] = [];
  for (const tokens of oracle.ids) results.push((await forward(model, tokens)).logits);
  return concat(results);
}

/** Everything that inference gives: logits, sessions fed in pieces, scores, greedy tokens. */
async function traceOf(model: CausalLM, oracle: Oracle) {
  const logits = await logitsOf(model, oracle);
  const texts = oracle.ids.slice(0, 3);
  const session = await Session.create(model, { sequences: texts.length, maxRows: 7 });
  const cached: string[] = [];
  for (let at = 0; at < texts[0]!.length; at += 5) {
    const groups = texts.map((tokens, slot) => ({ tokens: tokens.slice(at, at + 5), position: at, slot }));
    cached.push(...(await session.append(groups)).map(bits));
  }
  session.dispose();
  const { logProbabilities, correct } = await scoreTokens(model, oracle.ids);
  const greedy: number[] = [];
  const prompts = oracle.ids.slice(0, 2).map((ids) => ids.slice(0, 3));
  for await (const { tokenId } of generateTokens(model, prompts, { maxNewTokens: 8, temperature: 0 }))
    greedy.push(tokenId);
  return { logits: bits(logits), cached, scores: logProbabilities.map(bits), correct, greedy };
}

/** The folder's config.json with other fields. */
async function configWith(directory: Directory, fields: Record<string, unknown>): Promise<string> {
  return JSON.stringify({ ...JSON.parse(await directory.readText('config.json')), ...fields });
}

/** A copy of a model's folder in memory. */
async function copyOf(directory: Directory, options: LoadOptions, save = {}): Promise<Directory> {
  const copy = memoryDirectory({}, 'folder');
  await withModel(directory, options, (model) => model.save(copy, save));
  return copy;
}

async function bytesOf(directory: Directory, path: string): Promise<Uint8Array> {
  const file = await directory.open(path);
  const bytes = new Uint8Array(file.size);
  await file.read(0, bytes);
  await file.close();
  return bytes;
}

/** All tensors of a folder, as they are; `change` may replace some. */
async function rewrite(
  directory: Directory,
  change: (entry: TensorEntry, bytes: Uint8Array) => TensorEntry | undefined,
) {
  const weights = await openWeights(directory);
  const entries: TensorEntry[] = [];
  for (const name of weights.names) {
    const parts: Uint8Array[] = [];
    await weights.streamBytes(name, (bytes) => void parts.push(bytes.slice()));
    const bytes = new Uint8Array(Buffer.concat(parts));
    const { dtype, shape } = weights.info(name);
    const entry = change({ name, dtype, shape, chunks: () => [bytes] }, bytes);
    if (entry) entries.push(entry);
  }
  await weights.close();
  await saveWeights(directory, entries);
}

/** Element types of a folder's tensors, by name. */
async function dtypesIn(directory: Directory): Promise<Map<string, string>> {
  const weights = await openWeights(directory);
  const dtypes = new Map(weights.names.map((name) => [name, weights.info(name).dtype as string]));
  await weights.close();
  return dtypes;
}

const isProduct = (name: string) => /(\.c_(attn|proj|fc)|wte|tokens_embed)\.weight$/.test(name);

describe.each(PRECISIONS)('%s', (precision) => {
  it.each(ORACLES)('%s: f32 in panels gives the bits of the layout that is trained', async (name) => {
    const oracle = await readOracle(name);
    const [packed, trainable] = await Promise.all(
      [false, true].map((trainable) =>
        withModel(oracle.directory, { precision, trainable }, async (model) => {
          expect([model.dtype, model.trainable]).toEqual(['f32', trainable]);
          expect(model.parameters.encoding).toBe(trainable ? 'f32' : 'packed');
          return traceOf(model, oracle);
        }),
      ),
    );
    expect(packed).toEqual(trainable);
  });

  it.each(['gpt2-odd', 'openai-gpt-lm'] as const)('%s: any number of threads gives the same bits', async (name) => {
    const oracle = await readOracle(name);
    for (const dtype of ['f32', 'f16', 'q8', 'q4'] as const) {
      const load = { precision, dtype };
      const expected = await withModel(oracle.directory, load, (model) => traceOf(model, oracle));
      for (const threads of dtype === 'q4' ? [2, 3, 7] : [2, 3])
        await withModel(oracle.directory, { ...load, threads }, async (model) => {
          expect(model.engine.info.threads).toBe(threads);
          expect(await traceOf(model, oracle), `${dtype}, ${threads} threads`).toEqual(expected);
        });
    }
  });

  /**
   * Root mean square of the error over that of the logits. The models are of normally distributed weights without any
   * structure, and narrow: rounding a weight costs half a unit in the last place, which 2 layers multiply by about 3.
   *   f16   2⁻¹² of a weight          bf16   2⁻⁹
   *   q8    1/254 of the largest of 32, and rows of A in steps of 1/63 (relaxed) or 1/2,047 (simd)
   *   q4    about 1/15 of the largest of 32
   */
  const TOLERANCES = { f16: 1e-3, bf16: 8e-3, q8: precision === 'exact' ? 0.025 : 0.05, q4: 0.3 };

  it.each(ORACLES)('%s: logits are near those of f32', async (name) => {
    const oracle = await readOracle(name);
    const exact = await withModel(oracle.directory, { precision }, (model) => logitsOf(model, oracle));
    const size = Math.hypot(...exact);
    const errors: number[] = [];
    for (const dtype of ENCODED) {
      const logits = await withModel(oracle.directory, { precision, dtype }, (model) => {
        expect(model.dtype).toBe(dtype);
        return logitsOf(model, oracle);
      });
      const error = Math.hypot(...logits.map((value, i) => value - exact[i]!)) / size;
      expect(error, dtype).toBeLessThan(TOLERANCES[dtype]);
      errors.push(error);
    }
    const [f16, bf16, q8, q4] = errors as [number, number, number, number];
    expect(f16).toBeGreaterThan(0);
    expect(f16).toBeLessThan(bf16);
    expect(bf16).toBeLessThan(q8);
    expect(q8).toBeLessThan(q4);
  });
});

// Attention with a cache rounds otherwise where multiply-add is fused, and quantized rows make steps of that.
it.each(['gpt2-odd', 'openai-gpt-lm'] as const)(
  '%s: a cache gives the logits of the whole, in every dtype',
  async (name) => {
    const oracle = await readOracle(name);
    const tokens = oracle.ids[0]!;
    for (const dtype of DTYPES)
      await withModel(oracle.directory, { dtype }, async (model) => {
        const { vocabSize } = model.config;
        const { logits } = await forward(model, tokens);
        const session = await Session.create(model, { maxRows: 4 });
        for (const [at, id] of tokens.entries()) {
          const [row] = await session.append([{ tokens: [id], position: at }]);
          const whole = logits.slice(at * vocabSize, (at + 1) * vocabSize);
          expect(bits(row!), `${dtype}, position ${at}`).toBe(bits(whole));
        }
        session.dispose();
      });
  },
);

describe('saved and loaded again', () => {
  it.each(['gpt2-odd', 'openai-gpt-lm'] as const)('%s: every dtype, in one file and in shards', async (name) => {
    const oracle = await readOracle(name);
    for (const dtype of DTYPES) {
      const expected = await withModel(oracle.directory, { dtype }, (model) => traceOf(model, oracle));
      for (const save of [{}, { maxShardBytes: 4_000 }]) {
        const folder = await copyOf(oracle.directory, { dtype }, save);
        expect(await folder.has(INDEX_FILE)).toBe('maxShardBytes' in save);
        const stored = { f32: 'F32', f16: 'F16', bf16: 'BF16', q8: 'U8', q4: 'U8' }[dtype];
        for (const [tensor, type] of await dtypesIn(folder))
          expect(type, tensor).toBe(isProduct(tensor) ? stored : 'F32');
        const { quantization } = await parseConfig(await folder.readText('config.json'));
        const isQuantized = dtype === 'q8' || dtype === 'q4';
        expect(quantization).toBe(isQuantized ? dtype : undefined);
        // A quantized folder says what it is; of floats the dtype is what the caller wants.
        for (const options of isQuantized ? [{}, { dtype }] : [{ dtype }])
          await withModel(folder, options, async (model) => {
            expect(model.dtype).toBe(dtype);
            expect(await traceOf(model, oracle)).toEqual(expected);
          });
        if (!isQuantized)
          // The rounded weights as f32 are the same numbers, so that nothing but f32 products are rounded.
          await withModel(folder, {}, async (model) => {
            expect(model.dtype).toBe('f32');
            expect(await traceOf(model, oracle)).toEqual(expected);
          });
      }
    }
  });

  it('again gives the same bytes', async () => {
    const { directory } = await readOracle('gpt2-odd');
    for (const dtype of DTYPES) {
      const once = await copyOf(directory, { dtype });
      const twice = await copyOf(once, { dtype });
      expect(await twice.readText('config.json')).toBe(await once.readText('config.json'));
      const [a, b] = await Promise.all([once, twice].map((folder) => bytesOf(folder, 'model.safetensors')));
      expect(Buffer.compare(a!, b!), dtype).toBe(0);
    }
  });

  it('restore takes the weights of a folder into every dtype', async () => {
    const oracle = await readOracle('gpt2-one-layer');
    for (const dtype of DTYPES) {
      const expected = await withModel(oracle.directory, { dtype }, (model) => traceOf(model, oracle));
      const folder = await copyOf(oracle.directory, { dtype });
      await withModel(folder, { dtype }, async (model) => {
        for (const { name, size } of model.parameters.list) await model.writeParameter(name, new Float32Array(size));
        await model.restore(folder);
        expect(await traceOf(model, oracle), dtype).toEqual(expected);
      });
    }
  });
});

describe('parameters', () => {
  it.each(['gpt2-odd', 'gpt2-wide-vocabulary', 'openai-gpt-lm'] as const)(
    '%s: read as they are in the encoding, and written',
    async (name) => {
      const { directory } = await readOracle(name);
      const plain = await withModel(directory, { trainable: true }, async (model) => {
        const values = new Map<string, Float32Array>();
        for (const { name } of model.parameters.list) values.set(name, await model.readParameter(name));
        return values;
      });
      for (const dtype of DTYPES)
        await withModel(directory, { dtype, threads: 2 }, async (model) => {
          const encoding: EncodingName = dtype === 'f32' ? 'packed' : dtype;
          for (const { name, shape, product } of model.parameters.list) {
            const exact = plain.get(name)!;
            const isEncoded = isProduct(name);
            expect(product !== undefined).toBe(isEncoded);
            const [rows, cols] = shape as [number, number];
            const transpose = (values: Float32Array, rows: number, cols: number) =>
              new Float32Array(values.length).map((_, i) => values[(i % rows) * cols + Math.floor(i / rows)]!);
            const through = (values: Float32Array) => {
              if (!isEncoded) return values;
              // Tables are stored [outputs, inputs].
              const [k, n] = product === 'out-in' ? [cols, rows] : [rows, cols];
              const weight = product === 'out-in' ? transpose(values, rows, cols) : values;
              const decoded = decodeTwin(encoding, encodeTwin(encoding, weight, k, n), k, n);
              return product === 'out-in' ? transpose(decoded, k, n) : decoded;
            };
            expect(bits(await model.readParameter(name)), `${dtype} ${name}`).toBe(bits(through(exact)));
            const other = exact.map((value, i) => value * ((i % 7) - 3) + 0.25);
            await model.writeParameter(name, other);
            expect(bits(await model.readParameter(name)), `${dtype} ${name} written`).toBe(bits(through(other)));
          }
        });
    },
  );

  it('larger ones than what is staged at once', async () => {
    const config = { nLayer: 1, nHead: 1, nEmbd: 8, nInner: 8, blockSize: 4, vocabSize: 150_001, ...{ threads: 2 } };
    const model = await createModel('gpt2', { ...config, precision: 'exact' });
    const table = model.head.table;
    const values = (await model.readParameter(table)).map((value, i) => (i % 5 === 0 ? value * 16 : value));
    await model.writeParameter(table, values);
    const folder = memoryDirectory();
    await model.save(folder);
    model.dispose();
    for (const dtype of DTYPES)
      await withModel(folder, { dtype, threads: 3 }, async (loaded) => {
        const read = await loaded.readParameter(table);
        const encoding: EncodingName = dtype === 'f32' ? 'packed' : dtype;
        // The first, the last and some panels in between.
        for (const row of [0, 65_520, 65_536, 131_072, 149_984, 150_000]) {
          const first = row - (row % 16);
          const count = Math.min(16, 150_001 - first);
          const weight = new Float32Array(8 * count).map(
            (_, i) => values[(first + (i % count)) * 8 + Math.floor(i / count)]!,
          );
          const decoded = decodeTwin(encoding, encodeTwin(encoding, weight, 8, count), 8, count);
          for (let k = 0; k < 8; k++) expect(read[row * 8 + k]).toBe(decoded[k * count + row - first]);
        }
      });
  });

  it('wrong counts, wrong names, and values without a place', async () => {
    const { directory } = await readOracle('gpt2-narrow');
    const name = 'transformer.h.0.mlp.c_fc.weight';
    for (const dtype of DTYPES)
      await withModel(directory, { dtype }, async (model) => {
        const { size, shape } = model.parameters.get(name);
        await expect(model.writeParameter(name, new Float32Array(size - 1))).rejects.toThrow(
          new ConfigError(`${name}: expected ${size} values of shape [${shape.join(', ')}], got ${size - 1}.`),
        );
        await expect(model.readParameter('x')).rejects.toThrow(ConfigError);
        const values = new Float32Array(size);
        values[size - 1] = Number.POSITIVE_INFINITY;
        const written = model.writeParameter(name, values);
        if (dtype === 'f32' || dtype === 'bf16') await written;
        else
          await expect(written).rejects.toThrow(
            new CheckpointError(
              `${name}: expected finite values${dtype === 'f16' ? ' of at most 65,504' : ''} for dtype ${dtype}, got others. Load the model as f32, or repair its weights.`,
            ),
          );
      });
  });
});

describe('refusals', () => {
  const NAME = 'transformer.h.0.attn.c_attn.weight';
  const refusal = (directory: Directory, options: LoadOptions = {}) =>
    withModel(directory, options, async () => {
      throw new Error('it was loaded');
    });

  /** A folder whose weights have one other value. */
  async function folderWith(value: number, name = NAME): Promise<Directory> {
    const { directory } = await readOracle('gpt2-narrow');
    const folder = memoryDirectory({}, 'folder');
    await withModel(directory, { trainable: true }, async (model) => {
      const values = await model.readParameter(name);
      values[values.length - 1] = value;
      await model.writeParameter(name, values);
      await model.save(folder);
    });
    return folder;
  }

  it('weights that an encoding has no place for', async () => {
    const large = await folderWith(1e6);
    await expect(refusal(large, { dtype: 'f16' })).rejects.toThrow(
      new CheckpointError(
        `${NAME}: expected finite values of at most 65,504 for dtype f16, got others. Load the model as f32, or repair its weights.`,
      ),
    );
    for (const dtype of ['f32', 'bf16', 'q8', 'q4'] as const) await withModel(large, { dtype }, async () => {});
    await withModel(await folderWith(65504), { dtype: 'f16' }, async () => {});
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const folder = await folderWith(value);
      for (const dtype of ['f16', 'q8', 'q4'] as const) {
        await expect(refusal(folder, { dtype })).rejects.toThrow(CheckpointError);
        await expect(refusal(folder, { dtype })).rejects.toThrow(`${NAME}: expected finite values`);
      }
      for (const dtype of ['f32', 'bf16'] as const) await withModel(folder, { dtype }, async () => {});
    }
    // Values that are not of a product are kept as f32.
    const norm = await folderWith(1e6, 'transformer.h.0.ln_1.weight');
    for (const dtype of DTYPES) await withModel(norm, { dtype }, async () => {});
  });

  it('unknown dtypes, and dtypes that contradict trainable or the folder', async () => {
    const { directory } = await readOracle('gpt2-narrow');
    for (const dtype of ['q5', 'F16', '', 16, null, 'packed'] as unknown as Dtype[])
      await expect(refusal(directory, { dtype })).rejects.toThrow(
        new ConfigError(`load: expected dtype to be one of f32, f16, bf16, q8, q4, got ${JSON.stringify(dtype)}.`),
      );
    for (const dtype of ENCODED)
      await expect(refusal(directory, { dtype, trainable: true })).rejects.toThrow(
        new ConfigError(`load: expected dtype f32 for trainable weights, got ${dtype}. Leave one of the two out.`),
      );
    await withModel(directory, { dtype: 'f32', trainable: true }, async (model) => expect(model.trainable).toBe(true));
    for (const stored of ['q8', 'q4'] as const) {
      const folder = await copyOf(directory, { dtype: stored });
      for (const dtype of DTYPES.filter((other) => other !== stored))
        await expect(refusal(folder, { dtype })).rejects.toThrow(
          new ConfigError(
            `load: expected dtype ${stored}, got a folder in ${stored} and dtype ${dtype}. Load the model that it was quantized from.`,
          ),
        );
      for (const options of [{ trainable: true }, { trainable: true, dtype: 'f32' as const }])
        await expect(refusal(folder, options)).rejects.toThrow(
          new ConfigError(
            `load: expected weights as floats to train, got a folder in ${stored}. Load the model that it was quantized from.`,
          ),
        );
    }
  });

  it('training weights in panels', async () => {
    const oracle = await readOracle('gpt2-narrow');
    for (const dtype of DTYPES)
      await withModel(oracle.directory, { dtype }, async (model) => {
        const batch = [sequenceOf(oracle.ids[0]!)];
        const start = () =>
          new Trainer(
            causalLanguageModel(model),
            { fingerprint: '', batch: () => batch },
            { batchSize: 1, length: 4, steps: 1 },
          );
        const message = `model: expected trainable weights, got ${dtype} packed for inference. Load the model with { trainable: true }.`;
        expect(start).toThrow(ConfigError);
        expect(start).toThrow(message);
      });
  });

  it('quantized files that are not what config.json says', async () => {
    const { directory } = await readOracle('gpt2-narrow');
    const tables = [NAME, 'transformer.h.0.mlp.c_proj.weight', 'transformer.wte.weight'];
    for (const dtype of ['q8', 'q4'] as const) {
      const whole = () => copyOf(directory, { dtype });
      const refused = async (folder: Directory, ...messages: string[]) => {
        await expect(refusal(folder)).rejects.toThrow(CheckpointError);
        for (const message of messages) await expect(refusal(folder)).rejects.toThrow(message);
      };
      for (const table of tables) {
        const other = await whole();
        await rewrite(other, (entry) => (entry.name === table ? { ...entry, dtype: 'I8' } : entry));
        await refused(
          other,
          `folder/model.safetensors: expected ${table} as U8, since config.json says ${dtype}, got I8. Quantize the model again.`,
        );
        const missing = await whole();
        await rewrite(missing, (entry) => (entry.name === table ? undefined : entry));
        await refused(missing, `expected tensor ${JSON.stringify(table)}, got none of that name`);
        const short = await whole();
        await rewrite(short, (entry, bytes) => {
          if (entry.name !== table) return entry;
          const [panels, size] = entry.shape as [number, number];
          return { ...entry, shape: [panels, size - 1], chunks: () => [bytes.subarray(0, panels * (size - 1))] };
        });
        await refused(short, `expected tensor ${JSON.stringify(table)} to have shape [`);
      }
      // A layer norm as integers, a table as floats, the other encoding.
      const norm = await whole();
      await rewrite(norm, (entry) => (entry.name === 'transformer.ln_f.weight' ? { ...entry, dtype: 'I32' } : entry));
      await refused(norm, 'expected tensor "transformer.ln_f.weight" as F32, F16 or BF16, got I32.');
      const floats = await whole();
      await floats.write('model.safetensors', await bytesOf(directory, 'model.safetensors'));
      await refused(floats, 'to have shape [');
      const other = await whole();
      const fields = {
        quant_method: 'lanewise',
        format: dtype === 'q8' ? 'q4' : 'q8',
        block_size: dtype === 'q8' ? 32 : 64,
      };
      await other.write('config.json', await configWith(other, { quantization_config: fields }));
      await refused(other, 'to have shape [');
      const unsaid = await whole();
      await unsaid.write('config.json', await configWith(unsaid, { quantization_config: null }));
      await refused(unsaid, 'to have shape [');
      const cut = await whole();
      const bytes = await bytesOf(cut, 'model.safetensors');
      await cut.write('model.safetensors', bytes.subarray(0, bytes.length - 1));
      await refused(cut, 'folder/model.safetensors: expected');
    }
  });
});

describe('memory', () => {
  it.each(ORACLES)('%s: the engine holds the block and nothing else, and all say how large it is', async (name) => {
    const { directory } = await readOracle(name);
    for (const dtype of DTYPES)
      for (const threads of name === 'gpt2-odd' ? [1, 3] : [1])
        await withModel(directory, { dtype, threads }, async (model) => {
          const { blockSize, list, encoding } = model.parameters;
          const perScales = { f32: 0, packed: 0, f16: 0, bf16: 0, q8: 64, q4: 32 }[encoding];
          const perChunk = { f32: 0, packed: 0, f16: 0, bf16: 0, q8: 512, q4: 256 }[encoding];
          const perValue = { f32: 4, packed: 4, f16: 2, bf16: 2, q8: 0, q4: 0 }[encoding];
          let total = 0;
          for (const { shape, bytes, product } of list) {
            const [rows, cols = 1] = shape as [number, number?];
            const [k, n] = product === 'out-in' ? [cols, rows] : [rows, cols];
            const panels = Math.ceil(n / 16);
            const scales = Math.ceil(k / (encoding === 'q8' ? 64 : 32)) * perScales;
            const panel = scales + Math.ceil(k / 32) * perChunk + k * 16 * perValue;
            const expected = product ? panels * panel : rows * cols * 4;
            expect(bytes).toBe(expected);
            total += align(bytes);
          }
          expect(blockSize * 4).toBe(total);
          expect(model.weights.bytes).toBe(total);
          expect(model.engine.usedBytes).toBe(align(total));
          const twin = blueprint(model.family, model.config, encoding);
          expect(twin.parameters.blockSize).toBe(blockSize);
          const sum = list.reduce((bytes, parameter) => bytes + parameter.bytes, 0);
          expect(model.summary()).toContain(`(${(sum / 2 ** 20).toFixed(2)} MiB in ${dtype})`);
          expect(model.summary()).toContain('Trainable parameters: 0\n');
        });
  });

  it('a load takes the model and at most 64 MiB', async () => {
    const fields = { model_type: 'gpt2', n_layer: 2, n_head: 16, n_embd: 1024, n_positions: 64, vocab_size: 1000 };
    const { family, config } = await parseConfig(JSON.stringify(fields));
    const folder = await mkdtemp(`${tmpdir()}/lanewise-dtype-`);
    try {
      await writeFile(`${folder}/config.json`, formatConfig(family, config));
      // 105 MB of zeros, of which the file system keeps none.
      const tensors = blueprint(family, config).parameters.list.map(({ name, shape }) => ({
        name,
        dtype: 'F32' as const,
        shape,
      }));
      const { bytes, dataBytes } = encodeSafetensorsHeader(tensors);
      await writeFile(`${folder}/model.safetensors`, bytes);
      await truncate(`${folder}/model.safetensors`, bytes.length + dataBytes);
      expect(dataBytes).toBeGreaterThan(100e6);
      for (const dtype of ['f32', 'q8'] as const) {
        const { grown, model } = await loadElsewhere(folder, dtype);
        const what = `${dtype}: ${Math.round(grown / 2 ** 20)} MiB for a model of ${Math.round(model / 2 ** 20)} MiB`;
        expect(grown, what).toBeLessThan(model + 64 * 2 ** 20);
        expect(grown, what).toBeGreaterThan(model);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  /** What load-elsewhere.ts prints. */
  function loadElsewhere(folder: string, dtype: string): Promise<{ grown: number; model: number }> {
    const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
    const program = [path('../files/run-typescript.mjs'), path('load-elsewhere.ts')];
    const args = ['--expose-gc', ...program, folder, dtype, path('../fixtures/oracles/gpt2-odd')];
    return new Promise((resolve, reject) => {
      execFile(process.execPath, args, (error, stdout, stderr) => {
        if (error || stderr) reject(error ?? new Error(stderr));
        else resolve(JSON.parse(stdout));
      });
    });
  }
});

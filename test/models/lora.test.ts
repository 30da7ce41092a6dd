/**
 * LoRA: against PEFT (logits, loss, every gradient, merged weights, 30 steps), against finite differences in f64, and on
 * frozen weights of every dtype against the same values as plain floats. Tolerances are those of oracle.test.ts.
 */

import { createHash } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { FLAG_TRANSPOSE_B, GEMM_ENCODING, OP_EMBEDDING_BACKWARD } from '../../src/abi/index.ts';
import type { TokenBatch } from '../../src/data/index.ts';
import { scoreTokens } from '../../src/evaluation/index.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { openSafetensors, openWeights } from '../../src/formats/index.ts';
import { generateTokens } from '../../src/generation/index.ts';
import { Plan } from '../../src/graph/plan.ts';
import type { Region } from '../../src/graph/tensor.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { createModel } from '../../src/models/create.ts';
import type { Dtype } from '../../src/models/dtype.ts';
import { forward } from '../../src/models/forward.ts';
import { addLora, DTYPES, LoraModel, loadCausalLM, loadLora } from '../../src/models/index.ts';
import { Session } from '../../src/models/inference/session.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { readValues, zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { ReferenceMachine } from '../graph/reference.ts';
import { LORA_CASES, readLoraCase } from './lora-cases.ts';
import { concat, maxError, maxMagnitude, readOracle, sequenceOf, trainAs } from './oracles.ts';

const alive: CausalLM[] = [];
function keep<M extends CausalLM>(model: M): M {
  alive.push(model);
  return model;
}
afterAll(() => {
  for (const model of alive) model.dispose();
});

/** A digest of the bits. */
function bits(values: Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return `${values.length} values, ${createHash('sha256').update(bytes).digest('hex').slice(0, 24)}`;
}

async function parametersOf(model: CausalLM): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const { name } of model.parameters.list) all[name] = bits(await model.readParameter(name));
  return all;
}

/** Mean loss and the gradients of all that is trained. */
async function gradientsOf(model: CausalLM, batch: TokenBatch) {
  const { engine, parameters } = model;
  const block = await zeroedBlock(engine, parameters, 'gradients');
  const graph = new TrainingGraph(model.blocks, block.region);
  const program = causalLanguageModel(model).record(graph, {
    batchSize: batch.length,
    length: batch[0]!.tokens.length,
  });
  graph.backward();
  const plan = await Plan.compile(engine, graph);
  const count = program.count(batch);
  program.write(plan, batch);
  plan.write(program.scale, Float32Array.of(1 / count));
  await plan.run();
  const loss = (await plan.readRegion(program.losses)).reduce((sum, row) => sum + row, 0) / count;
  const gradients = new Map<string, Float32Array>();
  for (const { name } of parameters.list) gradients.set(name, await readValues(block, name));
  plan.dispose();
  block.release();
  return { loss, gradients };
}

/** Numbers without pattern around 0, as f32. */
function noise(count: number, seed: number, size: number): Float32Array {
  let state = seed * 7919 + 1;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 31 - 1) * size;
  });
}

/** Gives all adapters values, B too. */
async function shake(model: LoraModel, size = 0.3): Promise<LoraModel> {
  for (const [index, { name, size: count }] of model.parameters.list.entries())
    await model.writeParameter(name, noise(count, index + 1, size));
  return model;
}

const ALL = ['c_attn', 'c_proj', 'c_fc'];

describe.each(LORA_CASES)('PEFT, %s', (name) => {
  const load = async (options = {}) => {
    const { base, directory, ...rest } = await readLoraCase(name);
    const model = await loadCausalLM(base.directory, {
      threads: 2,
      precision: 'exact',
      adapter: directory,
      ...options,
    });
    expect(model).toBeInstanceOf(LoraModel);
    return { base, directory, model: keep(model as LoraModel), ...rest };
  };

  it('has these logits', async () => {
    const { base, model, logits } = await load();
    const results = [];
    for (const tokens of base.ids) results.push((await forward(model, tokens)).logits);
    expect(maxError(concat(results), logits)).toBeLessThan(1e-4);
  });

  it('has this loss and these gradients, and none besides', async () => {
    const { base, model, ...expected } = await load();
    const { loss, gradients } = await gradientsOf(model, base.ids.map(sequenceOf));
    expect(Math.abs(loss - expected.loss)).toBeLessThan(1e-4);
    expect([...gradients.keys()].sort()).toEqual([...expected.gradients.keys()].sort());
    for (const [tensor, values] of expected.gradients)
      expect(maxError(gradients.get(tensor)!, values), tensor).toBeLessThan(1e-4 * maxMagnitude(values));
  });

  it.each([false, true])('merges as PEFT does (weights in the order of files: %s)', async (trainable) => {
    const { base, model, merged, logits } = await load({ trainable });
    const whole = await model.merge();
    for (const [parameter, values] of merged)
      expect(maxError(await whole.readParameter(parameter), values), parameter).toBeLessThan(1e-5);
    const results = [];
    for (const tokens of base.ids) results.push((await forward(whole, tokens)).logits);
    expect(maxError(concat(results), logits)).toBeLessThan(1e-4);
    whole.dispose();
  });

  it('learns as PEFT does: 30 steps of AdamW', async () => {
    const { base, model, train } = await load();
    const { losses, norms } = await trainAs(model, train, base.train!.batches);
    expect(maxError(losses, train.losses)).toBeLessThan(1e-3);
    expect(maxError(norms, train.grad_norms_before_clip)).toBeLessThan(1e-3);
  });

  it('is saved as PEFT saves it: the same tensors, byte for byte', async () => {
    const { directory, model } = await load();
    const folder = memoryDirectory();
    await model.save(folder);
    expect(await folder.list()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    expect(await folder.readBytes('adapter_model.safetensors')).toEqual(
      await directory.readBytes('adapter_model.safetensors'),
    );
    const fields = JSON.parse(await folder.readText('adapter_config.json'));
    const theirs = JSON.parse(await directory.readText('adapter_config.json'));
    if (name.startsWith('gpt2')) {
      fields.target_modules.sort();
      theirs.target_modules.sort();
    } else {
      // A pattern becomes the layers that it matched.
      const layers = [...model.parameters.list].map(
        (parameter) => parameter.name.split(/^base_model\.model\.|\.lora_/)[1],
      );
      theirs.target_modules = [...new Set(layers)];
      theirs.layers_to_transform = null;
    }
    for (const [field, value] of Object.entries(fields)) expect(theirs[field], field).toEqual(value);
  });
});

describe('gradients', () => {
  // With dropout of 0 and without evaluation the graph is a function of the adapters alone.
  it.each(['gpt2-narrow', 'openai-gpt-lm'] as const)('%s: against finite differences in f64', async (name) => {
    const oracle = await readOracle(name);
    const model = keep(await loadCausalLM(oracle.directory, { threads: 2, precision: 'exact', trainable: true }));
    const lora = await shake(await addLora(model, { rank: 2, alpha: 3, targetModules: ALL }));
    const batch = oracle.ids.slice(0, 2).map((ids) => sequenceOf(ids.slice(0, 5)));
    const block = (label: string, { blockSize }: { blockSize: number }): Region => ({
      label,
      bytes: blockSize * 4,
      address: undefined,
    });
    const gradients = block('gradients', lora.parameters);
    const graph = new TrainingGraph(lora.blocks, gradients);
    const program = causalLanguageModel(lora).record(graph, { batchSize: 2, length: 5 });
    graph.backward();
    expect(graph.operations.filter(({ opcode }) => opcode === OP_EMBEDDING_BACKWARD)).toEqual([]); // nothing below is trained
    const machine = new ReferenceMachine(graph);
    const fill = async (from: CausalLM) => {
      const values = machine.values(from.weights);
      for (const { name: parameter, offset } of from.parameters.list)
        values.set(await from.readParameter(parameter), offset);
    };
    await fill(lora);
    await fill(model);
    program.write(
      { write: (region: Region, values: Float32Array) => machine.values(region).set(values) } as never,
      batch,
    );
    const count = program.count(batch);
    machine.values(program.scale)[0] = 1 / count;
    const weights = machine.values(lora.weights);
    const run = () => {
      machine.values(gradients).fill(0);
      machine.run();
      return machine.values(program.losses).reduce((sum, row) => sum + row, 0) / count;
    };
    run();
    const expected = machine.values(gradients).slice();
    for (const { name: parameter, offset, size } of lora.parameters.list) {
      const element = offset + (size >> 1);
      const [value, step] = [weights[element]!, 1e-5];
      weights[element] = value + step;
      const above = run();
      weights[element] = value - step;
      const slope = (above - run()) / (2 * step);
      weights[element] = value;
      expect(Math.abs(slope - expected[element]!), parameter).toBeLessThan(1e-8);
    }
    const actual = await gradientsOf(lora, batch);
    for (const { name: parameter, offset, size } of lora.parameters.list) {
      const values = expected.subarray(offset, offset + size);
      expect(maxError(actual.gradients.get(parameter)!, values), parameter).toBeLessThan(1e-5 * maxMagnitude(values));
    }
  });

  // Rows of q8 and q4 are rounded in the forward pass, at most 1 / 4,094 of the largest of 32 (exact) or 1 / 126 (fast).
  it.each<[Dtype, 'exact' | 'fast', number]>([
    ['f32', 'exact', 0],
    ['f16', 'exact', 0],
    ['bf16', 'exact', 0],
    ['q8', 'exact', 5e-3],
    ['q4', 'exact', 5e-3],
    ['f16', 'fast', 0],
    ['q8', 'fast', 0.1],
    ['q4', 'fast', 0.1],
  ])(
    'through frozen weights in %s, %s: those through the same values as plain floats',
    async (dtype, precision, tolerance) => {
      for (const name of ['gpt2-odd', 'openai-gpt-lm'] as const) {
        const oracle = await readOracle(name);
        const options = { rank: 3, alpha: 6, targetModules: ALL };
        const encoded = keep(await loadCausalLM(oracle.directory, { threads: 2, precision, dtype }));
        const plain = keep(await loadCausalLM(oracle.directory, { threads: 2, precision, trainable: true }));
        for (const { name: parameter } of plain.parameters.list)
          await plain.writeParameter(parameter, await encoded.readParameter(parameter));
        const batch = oracle.ids.map(sequenceOf);
        const adapted = await shake(await addLora(encoded, options), 0.1);
        const actual = await gradientsOf(adapted, batch);
        const expected = await gradientsOf(await shake(await addLora(plain, options), 0.1), batch);
        expect(Math.abs(actual.loss - expected.loss)).toBeLessThanOrEqual(tolerance);
        for (const [parameter, values] of expected.gradients) {
          const error = maxError(actual.gradients.get(parameter)!, values);
          expect(error, `${name} ${parameter}`).toBeLessThanOrEqual(tolerance * maxMagnitude(values));
        }
        // The gradient went back through transposed panels.
        const region: Region = { label: 'gradients', bytes: adapted.parameters.blockSize * 4, address: undefined };
        const graph = new TrainingGraph(adapted.blocks, region);
        causalLanguageModel(adapted).record(graph, { batchSize: 1, length: 4 });
        graph.backward();
        const throughPanels = graph.operations.filter(({ fields }) => {
          const words = new Map(fields);
          return words.get(GEMM_ENCODING) && [...words.values()].some((value) => value === FLAG_TRANSPOSE_B);
        });
        expect(throughPanels.length).toBeGreaterThan(4);
      }
    },
  );
});

describe('new adapters', () => {
  it.each(
    DTYPES.flatMap(
      (dtype) =>
        [
          [dtype, 'gpt2-tiny'],
          [dtype, 'openai-gpt-tiny'],
        ] as const,
    ),
  )('%s, %s: the model computes what it did', async (dtype, name) => {
    const oracle = await readOracle(name);
    const model = keep(await loadCausalLM(oracle.directory, { threads: 2, precision: 'exact', dtype }));
    const [tokens] = oracle.ids;
    const before = await forward(model, tokens!);
    const score = await scoreTokens(model, [tokens!]);
    const lora = await addLora(model, { targetModules: ALL });
    expect((await forward(lora, tokens!)).logits).toEqual(before.logits);
    expect((await scoreTokens(lora, [tokens!])).loss).toBe(score.loss);
    expect([lora.dtype, lora.family, lora.config]).toEqual([dtype, model.family, model.config]);
    expect(lora.unload()).toBe(model);
    expect((await forward(model, tokens!)).logits).toEqual(before.logits);
  });

  it('A is normal with the standard deviation of PEFT’s, drawn from the seed; B is 0', async () => {
    const options = { nLayer: 2, nHead: 4, nEmbd: 128, blockSize: 16, vocabSize: 40, precision: 'exact' } as const;
    const drawn: string[] = [];
    for (const [threads, seed] of [
      [1, 7],
      [3, 7],
      [1, 8],
    ] as const) {
      const lora = keep(
        await addLora(await createModel('gpt2', { ...options, threads }), { rank: 32, targetModules: ALL, seed }),
      );
      for (const { name, shape } of lora.parameters.list) {
        const values = await lora.readParameter(name);
        const deviation = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
        if (name.includes('lora_B')) expect(deviation).toBe(0);
        else expect(deviation * Math.sqrt(3 * shape[1]!)).toBeCloseTo(1, 1);
      }
      drawn.push(JSON.stringify(await parametersOf(lora)));
    }
    expect(drawn[1]).toBe(drawn[0]);
    expect(drawn[2]).not.toBe(drawn[0]);
  });

  it('adapt the layers that are named: c_attn alone by default, and ends of names', async () => {
    const model = keep(
      await createModel('gpt1', { nLayer: 2, nHead: 1, nEmbd: 8, blockSize: 8, vocabSize: 12, threads: 1 }),
    );
    const shapes = async (targetModules?: string[]) => {
      const lora = await addLora(model, { rank: 3, targetModules });
      const listed = lora.parameters.list.map(({ name, shape }) => [
        name.replace('base_model.model.transformer.', ''),
        shape,
      ]);
      lora.unload();
      return listed;
    };
    expect(await shapes()).toEqual([
      ['h.0.attn.c_attn.lora_A.weight', [3, 8]],
      ['h.0.attn.c_attn.lora_B.weight', [24, 3]],
      ['h.1.attn.c_attn.lora_A.weight', [3, 8]],
      ['h.1.attn.c_attn.lora_B.weight', [24, 3]],
    ]);
    expect(await shapes(['mlp.c_proj'])).toEqual([
      ['h.0.mlp.c_proj.lora_A.weight', [3, 32]],
      ['h.0.mlp.c_proj.lora_B.weight', [8, 3]],
      ['h.1.mlp.c_proj.lora_A.weight', [3, 32]],
      ['h.1.mlp.c_proj.lora_B.weight', [8, 3]],
    ]);
    expect((await shapes(['transformer.h.1.attn.c_proj'])).map(([name]) => name)).toEqual([
      'h.1.attn.c_proj.lora_A.weight',
      'h.1.attn.c_proj.lora_B.weight',
    ]);
    expect((await shapes(ALL)).length).toBe(16);
    expect((await shapes(['c_proj'])).length).toBe(8); // of attention and of the MLP
  });
});

/** A run on a base of this dtype; what it printed, and the adapters. */
async function trained(dtype: Dtype, threads: number, precision: 'exact' | 'fast', dropout: number) {
  const oracle = await readOracle('gpt2-odd');
  const base = await loadCausalLM(oracle.directory, { threads, precision, dtype, dropout: { attnDropout: dropout } });
  const before = await base.checksum();
  const lora = await addLora(base, { rank: 4, alpha: 8, dropout, targetModules: ALL, seed: 3 });
  const batch = oracle.ids.map(sequenceOf);
  const shape = { batchSize: batch.length, length: batch[0]!.tokens.length };
  const trainer = new Trainer(
    causalLanguageModel(lora),
    { fingerprint: '', batch: () => batch },
    { ...shape, steps: 12, learningRate: 5e-3 },
  );
  const losses: number[] = [];
  for await (const { loss, gradientNorm } of trainer.run()) losses.push(loss, gradientNorm);
  const adapters = await parametersOf(lora);
  const after = await base.checksum();
  const { logits } = await forward(lora, oracle.ids[0]!);
  trainer.dispose();
  lora.dispose();
  expect(after).toBe(before);
  return { losses, adapters, logits: bits(logits) };
}

describe.each(['exact', 'fast'] as const)('training, %s', (precision) => {
  it.each<[Dtype, number]>([
    ['f32', 0],
    ['f16', 0],
    ['bf16', 0.1],
    ['q8', 0],
    ['q8', 0.2],
    ['q4', 0],
  ])(
    'on %s with dropout %d: the loss falls, no bit of the base changes, and threads change nothing',
    async (dtype, dropout) => {
      const expected = await trained(dtype, 1, precision, dropout);
      expect(expected.losses.at(-2)).toBeLessThan(0.9 * expected.losses[0]!);
      for (const threads of [2, 3]) expect(await trained(dtype, threads, precision, dropout)).toEqual(expected);
    },
  );
});

describe('running', () => {
  it.each(DTYPES)('%s: a cache gives the logits of the whole, bit for bit, and text is generated', async (dtype) => {
    const oracle = await readOracle('gpt2-tiny');
    const base = keep(await loadCausalLM(oracle.directory, { threads: 2, precision: 'exact', dtype }));
    const lora = await shake(await addLora(base, { rank: 5, targetModules: ALL }));
    const [tokens] = oracle.ids;
    const whole = await forward(lora, tokens!);
    const { vocabSize } = lora.config;
    const session = await Session.create(lora, { maxRows: 7 });
    for (let at = 0; at < tokens!.length; at += 3) {
      const piece = tokens!.slice(at, at + 3);
      const [logits] = await session.append([{ tokens: piece, position: at }]);
      const row = at + piece.length - 1;
      expect(bits(logits!)).toBe(bits(whole.logits.slice(row * vocabSize, (row + 1) * vocabSize)));
    }
    session.dispose();
    const texts: number[][] = [];
    for (const model of [lora, base]) {
      const ids: number[] = [];
      for await (const { tokenId } of generateTokens(model, [tokens!.slice(0, 4)], {
        maxNewTokens: 12,
        temperature: 0,
      }))
        ids.push(tokenId);
      texts.push(ids);
    }
    expect(texts[0]).toHaveLength(12);
    expect(texts[0]).not.toEqual(texts[1]);
  });

  it('summary: adapters as layers of their own', async () => {
    const model = keep(
      await createModel('gpt2', { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, vocabSize: 16, threads: 1 }),
    );
    const { count } = model.parameters;
    const lines = (await addLora(model, { rank: 2 })).summary().split('\n');
    expect(lines.find((line) => line.includes('LoRA'))?.split(/ {2,}/)).toEqual([
      'transformer.h.0.attn.c_attn.lora (LoRA)',
      '[T, 24]',
      '[2, 8] + [24, 2]',
      '64',
      '256',
    ]);
    expect(lines.slice(-3)).toEqual([
      `Total parameters: ${(count + 64).toLocaleString('en-US')} (0.00 MiB in f32)`,
      'Trainable parameters: 64',
      `Non-trainable parameters: ${count.toLocaleString('en-US')}`,
    ]);
  });
});

describe('folders', () => {
  const make = async (dtype: Dtype, options = {}) => {
    const oracle = await readOracle('gpt2-odd');
    const base = await loadCausalLM(oracle.directory, { threads: 1, precision: 'exact', dtype });
    const lora = await shake(await addLora(base, { rank: 3, alpha: 6, targetModules: ALL, ...options }), 0.1);
    return { oracle, lora: keep(lora), logits: (await forward(lora, oracle.ids[0]!)).logits };
  };

  it.each(DTYPES)('%s: saved and loaded again, the same bits', async (dtype) => {
    const { oracle, lora, logits } = await make(dtype, { dropout: 0.25, baseModel: 'some/model' });
    const folder = memoryDirectory();
    await lora.save(folder, { tokenizer: { toJSON: () => ({ version: '1.0' }) } });
    expect(JSON.parse(await folder.readText('tokenizer.json'))).toEqual({ version: '1.0' });
    const base = await loadCausalLM(oracle.directory, { threads: 3, precision: 'exact', dtype });
    const again = keep(await loadLora(base, folder));
    expect(again.lora).toEqual(lora.lora);
    expect(again.lora).toEqual({
      ...{ rank: 3, alpha: 6, dropout: 0.25, targetModules: ALL, useRslora: false, baseModel: 'some/model' },
    });
    expect(await parametersOf(again)).toEqual(await parametersOf(lora));
    expect(bits((await forward(again, oracle.ids[0]!)).logits)).toBe(bits(logits));
  });

  it('adapters in F16 and BF16 load as f32', async () => {
    const { lora } = await make('f32');
    const folder = memoryDirectory();
    await lora.save(folder);
    const { writeSafetensors, convertFromF32 } = await import('../../src/formats/index.ts');
    for (const dtype of ['F16', 'BF16'] as const) {
      const entries = lora.parameters.list.map(({ name, shape, size }) => ({
        ...{ name, shape, dtype },
        chunks: () => [convertFromF32(dtype, new Float32Array(size).fill(0.5))],
      }));
      await writeSafetensors(folder, 'adapter_model.safetensors', entries);
      await lora.restore(folder);
      for (const { name, size } of lora.parameters.list)
        expect(await lora.readParameter(name)).toEqual(new Float32Array(size).fill(0.5));
    }
  });

  it.each<[Dtype, number]>([
    ['f32', 1e-5],
    ['f16', 5e-3],
    ['bf16', 5e-2],
  ])('merged into %s: about the same logits, those of the folder it is saved in', async (dtype, tolerance) => {
    const { oracle, lora, logits } = await make(dtype);
    const { base } = lora;
    const used = base.engine.usedBytes;
    const merged = await lora.merge();
    expect(merged).toBe(base);
    expect(base.engine.usedBytes).toBe(used - lora.parameters.blockSize * 4);
    const after = (await forward(merged, oracle.ids[0]!)).logits;
    expect(maxError(after, logits)).toBeLessThan(tolerance * maxMagnitude(logits));
    const folder = memoryDirectory();
    await merged.save(folder);
    const weights = await openWeights(folder);
    expect(weights.info('transformer.h.0.attn.c_attn.weight').dtype).toBe(dtype.toUpperCase());
    await weights.close();
    const again = keep(await loadCausalLM(folder, { threads: 2, precision: 'exact', dtype }));
    expect(bits((await forward(again, oracle.ids[0]!)).logits)).toBe(bits(after));
    lora.dispose(); // the base is no longer its own
    expect(base.engine.disposed).toBe(false);
    for (const use of [() => lora.graph(), () => forward(lora, [1])])
      await expect((async () => use())()).rejects.toThrow('got those that merge has taken off');
  });

  it.each(['q8', 'q4'] as const)('%s has no room to merge', async (dtype) => {
    const { lora } = await make(dtype);
    await expect(lora.merge()).rejects.toThrow(
      `lora: expected a base in f32, f16 or bf16 to merge into, got ${dtype}. Load the model that it was quantized from`,
    );
    expect(lora.graph()).toBeDefined(); // as it was
  });
});

describe('what is refused', () => {
  const tiny = (options = {}) =>
    createModel('gpt2', {
      nLayer: 1,
      nHead: 2,
      nEmbd: 16,
      blockSize: 8,
      vocabSize: 20,
      threads: 1,
      seed: 1,
      ...options,
    });

  it.each<[object, string]>([
    [{ rank: 0 }, 'addLora: expected rank to be a whole number from 1 to 4096, got 0. Change rank.'],
    [{ rank: 1.5 }, 'addLora: expected rank to be a whole number from 1 to 4096, got 1.5. Change rank.'],
    [{ alpha: 0 }, 'addLora: expected alpha to be a number above 0 and at most 1000000, got 0. Change alpha.'],
    [{ alpha: Number.NaN }, 'addLora: expected alpha to be a number above 0 and at most 1000000, got NaN.'],
    [{ dropout: 1 }, 'addLora: expected dropout to be a number from 0 to below 1, got 1. Change dropout.'],
    [{ targetModules: [] }, 'addLora: expected targetModules to be names of layers such as ["c_attn"], got an object.'],
    [
      { targetModules: ['q_proj'] },
      'addLora: expected targetModules to be among c_attn, c_proj, c_fc, got "q_proj". Only these layers take an adapter.',
    ],
    [{ targetModules: ['attn'] }, 'addLora: expected targetModules to be among c_attn, c_proj, c_fc, got "attn".'],
    [{ useRslora: 1 }, 'addLora: expected useRslora to be true or false, got 1.'],
    [{ seed: -1 }, 'addLora: expected seed to be a whole number from 0 to 2^53 − 1, got -1.'],
    [{ r: 8 }, 'addLora: expected one of rank, alpha, dropout, targetModules, useRslora, baseModel, got r.'],
  ])('%j', async (options, message) => {
    const model = keep(await tiny());
    const used = model.engine.usedBytes;
    await expect(addLora(model, options)).rejects.toThrow(message);
    expect(model.engine.usedBytes).toBe(used);
  });

  it('adapters on adapters', async () => {
    const lora = await addLora(keep(await tiny()));
    await expect(addLora(lora)).rejects.toThrow('lora: expected a model without adapters, got one that has them.');
  });

  it('adapters of another model, with none of their memory left behind', async () => {
    const folder = memoryDirectory();
    await (await addLora(keep(await tiny()), { rank: 2 })).save(folder);
    const load = async (options: object) => {
      const model = keep(await tiny(options));
      const used = model.engine.usedBytes;
      const error = await loadLora(model, folder).then(
        () => expect.fail('expected an error'),
        (reason: Error) => reason,
      );
      expect(model.engine.usedBytes).toBe(used);
      return `${error.name}: ${error.message}`;
    };
    expect(await load({ nEmbd: 32 })).toMatch(
      /^CheckpointError: memory:\/adapter_model\.safetensors: expected tensor "base_model\.model\.transformer\.h\.0\.attn\.c_attn\.lora_A\.weight" to have shape \[2, 32\], got \[2, 16\]\./,
    );
    expect(await load({ nLayer: 2 })).toMatch(
      /expected tensor "base_model\.model\.transformer\.h\.1\.attn\.c_attn\.lora_A\.weight" and 1 more, got none of that name\./,
    );
    const two = memoryDirectory();
    await (await addLora(keep(await tiny({ nLayer: 2 })), { rank: 2 })).save(two);
    await expect(loadLora(keep(await tiny()), two)).rejects.toThrow(
      'memory:/adapter_model.safetensors: expected adapters of 1 layers from transformer.h.0.attn.c_attn to transformer.h.0.attn.c_attn alone, got "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight" too.',
    );
  });

  it('files that are missing, damaged, or of another rank than their config', async () => {
    const model = keep(await tiny());
    await expect(loadLora(model, memoryDirectory())).rejects.toThrow('adapter_config.json');
    const folder = memoryDirectory();
    const lora = await addLora(model, { rank: 2 });
    await lora.save(folder);
    const whole = await folder.readBytes('adapter_model.safetensors');
    await folder.write('adapter_model.safetensors', whole.slice(0, -4));
    await expect(lora.restore(folder)).rejects.toThrow('adapter_model.safetensors: expected');
    await folder.write('adapter_model.safetensors', whole);
    const fields = JSON.parse(await folder.readText('adapter_config.json'));
    await folder.write('adapter_config.json', JSON.stringify({ ...fields, lora_alpha: 4 }));
    await expect(lora.restore(folder)).rejects.toThrow('expected adapters of scale 1, got 2.');
    await folder.write('adapter_config.json', JSON.stringify({ ...fields, r: 4, lora_alpha: 4 }));
    lora.unload();
    await expect(loadLora(model, folder)).rejects.toThrow('to have shape [4, 16], got [2, 16]');
    await folder.remove('adapter_model.safetensors');
    await expect(loadLora(model, folder)).rejects.toThrow('adapter_model.safetensors');
  });
});

it('the base model is known by its weights and their dtype', async () => {
  const oracle = await readOracle('gpt2-tiny');
  const bases: unknown[] = [];
  for (const dtype of [...DTYPES, 'q8'] as const) {
    const lora = keep(await addLora(await loadCausalLM(oracle.directory, { threads: 2, precision: 'exact', dtype })));
    bases.push((await lora.identity()).base);
  }
  expect(new Set(bases).size).toBe(DTYPES.length);
  expect(bases.at(-1)).toBe(bases[DTYPES.indexOf('q8')]);
  const folder = memoryDirectory();
  await (alive.at(-1) as LoraModel).save(folder);
  const weights = await openSafetensors(folder, 'adapter_model.safetensors');
  expect(weights.names.length).toBe(4);
  await weights.close();
});

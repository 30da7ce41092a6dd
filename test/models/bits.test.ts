/**
 * Bit for bit: any number of threads, saved and loaded, with and without a cache, alone and in a batch; and nothing of
 * a later token reaches an earlier position. For both precisions (where `fast` falls back to `exact`, info says so).
 */

import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { TokenBatch } from '../../src/data/index.ts';
import { memoryDirectory } from '../../src/files/index.ts';
import { openWeights } from '../../src/formats/index.ts';
import { Plan } from '../../src/graph/plan.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { createModel } from '../../src/models/create.ts';
import { forward } from '../../src/models/forward.ts';
import { Session } from '../../src/models/inference/session.ts';
import { loadCausalLM } from '../../src/models/load.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { readValues, zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer } from '../../src/training/index.ts';
import { maxError, maxMagnitude, ORACLES, type OracleName, readOracle, sequenceOf } from './oracles.ts';

/** A digest of the bits: one line to compare and to print, whatever the size. */
function bits(values: Float32Array): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return `${values.length} values, ${createHash('sha256').update(bytes).digest('hex').slice(0, 24)}`;
}

/** All parameters. */
async function weightsOf(model: CausalLM): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const { name } of model.parameters.list) all[name] = bits(await model.readParameter(name));
  return all;
}

/** Row losses and gradients of a batch. */
async function lossOf(model: CausalLM, batch: TokenBatch, shape?: { batchSize: number; length: number }) {
  const { engine, parameters } = model;
  const block = await zeroedBlock(engine, parameters, 'gradients');
  const graph = new TrainingGraph(model.blocks, block.region);
  const size = shape ?? { batchSize: batch.length, length: batch[0]!.tokens.length };
  const program = causalLanguageModel(model).record(graph, size);
  graph.backward();
  const plan = await Plan.compile(engine, graph);
  program.write(plan, batch);
  plan.write(program.scale, Float32Array.of(1 / program.count(batch)));
  await plan.run();
  const losses = await plan.readRegion(program.losses);
  const correct = await plan.readRegion(program.correct);
  const gradients = new Map<string, Float32Array>();
  for (const { name } of parameters.list) gradients.set(name, await readValues(block, name));
  plan.dispose();
  block.release();
  return { losses, correct, gradients };
}

/** Everything that training and running a model gives. */
async function traceOf(name: OracleName, threads: number, precision: 'exact' | 'fast') {
  const oracle = await readOracle(name);
  const model = await loadCausalLM(oracle.directory, { threads, precision, trainable: true });
  try {
    expect(model.engine.info.threads).toBe(threads);
    const { hidden, logits } = await forward(model, oracle.ids[0]!);
    const batch = oracle.ids.map(sequenceOf);
    const { losses, correct, gradients } = await lossOf(model, batch);
    const steps: number[] = [];
    const trainer = new Trainer(
      causalLanguageModel(model),
      { fingerprint: name, batch: () => batch },
      { batchSize: batch.length, length: batch[0]!.tokens.length, steps: 4, learningRate: 1e-3 },
    );
    for await (const { loss, gradientNorm } of trainer.run()) steps.push(loss, gradientNorm);
    trainer.dispose();
    const states = [...hidden, logits, losses, correct].map((values) => bits(values));
    const digests = Object.fromEntries([...gradients].map(([parameter, values]) => [parameter, bits(values)]));
    return { states, gradients: digests, steps, weights: await weightsOf(model) };
  } finally {
    model.dispose();
  }
}

describe.each(['exact', 'fast'] as const)('%s', (precision) => {
  it.each(ORACLES)('%s: 1, 2, 3 and 7 threads give the same bits', async (name) => {
    const expected = await traceOf(name, 1, precision);
    expect(expected.steps.every(Number.isFinite)).toBe(true);
    for (const threads of [2, 3, 7]) expect(await traceOf(name, threads, precision), `${threads}`).toEqual(expected);
  });

  it('products of more shares than threads give the same bits', async () => {
    const size = { nLayer: 1, nHead: 4, nEmbd: 256, blockSize: 32, vocabSize: 3200 };
    const batch = [3, 5].map((k) => sequenceOf(Array.from({ length: 32 }, (_, i) => (i * i * k + 3) % 3200)));
    const traces = [];
    for (const threads of [1, 2, 3]) {
      const model = await createModel('gpt2', { ...size, seed: 2, threads, precision });
      const trainer = new Trainer(
        causalLanguageModel(model),
        { fingerprint: '', batch: () => batch },
        { batchSize: 2, length: 32, steps: 2, learningRate: 1e-3, seed: 8 },
      );
      const losses = [];
      for await (const { loss, gradientNorm } of trainer.run()) losses.push(loss, gradientNorm);
      const folder = memoryDirectory();
      await model.save(folder);
      const trace: Record<string, unknown> = { losses, weights: await weightsOf(model) };
      model.dispose();
      for (const dtype of ['f32', 'q8', 'q4'] as const) {
        const gpt = await loadCausalLM(folder, { dtype, threads, precision });
        expect(gpt.engine.info.threads).toBe(threads);
        const session = await Session.create(gpt, { capacity: 32 });
        const tokens = Int32Array.from({ length: 31 }, (_, i) => (i * 97) % 3200);
        const read = await session.append([{ tokens }]);
        const written = await session.append([{ tokens: tokens.subarray(0, 1) }]);
        trace[dtype] = [bits(read[0]!), bits(written[0]!)];
        gpt.dispose();
      }
      traces.push(trace);
    }
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[2]).toEqual(traces[0]);
  });

  it('dropout draws the same masks on any number of threads, and others in each step', async () => {
    const trained = [];
    for (const threads of [1, 2, 3, 7]) {
      const model = await createModel('gpt2', {
        nLayer: 2,
        nHead: 3,
        nEmbd: 24,
        blockSize: 12,
        vocabSize: 40,
        attnDropout: 0.3,
        embdDropout: 0.2,
        residDropout: 0.1,
        seed: 4,
        threads,
        precision,
      });
      const batch = [5, 9].map((k) => sequenceOf(Array.from({ length: 12 }, (_, i) => (i * i * k + 3) % 40)));
      const options = { batchSize: 2, length: 12, steps: 5, learningRate: 0, seed: 8 };
      const trainer = new Trainer(causalLanguageModel(model), { fingerprint: '', batch: () => batch }, options);
      const losses = [];
      for await (const { loss, gradientNorm } of trainer.run()) losses.push(loss, gradientNorm);
      expect(new Set(losses).size).toBe(10); // a learning rate of 0: only the masks differ
      trained.push(losses);
      model.dispose();
    }
    for (const losses of trained) expect(losses).toEqual(trained[0]);
  });

  it.each(ORACLES)('%s: a later token changes nothing earlier', async (name) => {
    const oracle = await readOracle(name);
    const model = await loadCausalLM(oracle.directory, { threads: 2, precision });
    const { vocabSize } = model.config;
    const tokens = [...oracle.ids[0]!];
    const before = await forward(model, tokens);
    const { width: nEmbd } = model.body;
    for (const at of new Set([1, tokens.length >> 1, tokens.length - 1])) {
      const changed = tokens.map((id, i) => (i < at ? id : (id + 1 + (i % 3)) % vocabSize));
      const after = await forward(model, changed);
      after.hidden.forEach((state, layer) => {
        expect(bits(state.slice(0, at * nEmbd))).toEqual(bits(before.hidden[layer]!.slice(0, at * nEmbd)));
        expect(state.slice(at * nEmbd)).not.toEqual(before.hidden[layer]!.slice(at * nEmbd));
      });
      expect(bits(after.logits.slice(0, at * vocabSize))).toEqual(bits(before.logits.slice(0, at * vocabSize)));
      // Nor does it matter that there are later tokens.
      const short = await forward(model, tokens.slice(0, at));
      short.hidden.forEach((state, layer) => {
        expect(bits(state)).toEqual(bits(before.hidden[layer]!.slice(0, at * nEmbd)));
      });
      expect(bits(short.logits)).toEqual(bits(before.logits.slice(0, at * vocabSize)));
    }
    model.dispose();
  });

  it.each(ORACLES)('%s: a cache gives the same logits however it is fed, and those of the whole', async (name) => {
    const oracle = await readOracle(name);
    const model = await loadCausalLM(oracle.directory, { threads: 2, precision });
    const { vocabSize } = model.config;
    const texts = oracle.ids.slice(0, 3);
    const length = texts[0]!.length;
    const seen = new Map<string, Float32Array>();
    for (const piece of [1, 2, 5, length]) {
      const session = await Session.create(model, { sequences: texts.length, maxRows: 7 });
      for (let at = 0; at < length; at += piece) {
        const end = Math.min(at + piece, length);
        // All sequences side by side, in an order of their own.
        const groups = texts
          .map((tokens, slot) => ({ tokens: tokens.slice(at, end), position: at, slot }))
          .toReversed();
        const logits = await session.append(groups);
        groups.forEach(({ slot }, group) => {
          const key = `sequence ${slot}, position ${end - 1}`;
          const expected = seen.get(key);
          if (expected) expect(bits(logits[group]!), `pieces of ${piece}, ${key}`).toBe(bits(expected));
          else seen.set(key, logits[group]!.slice());
        });
      }
      session.dispose();
    }
    for (const [slot, tokens] of texts.entries()) {
      const whole = await forward(model, tokens);
      for (let at = 0; at < length; at++) {
        const cached = seen.get(`sequence ${slot}, position ${at}`)!;
        const row = [at * vocabSize, (at + 1) * vocabSize] as const;
        if (precision === 'exact') expect(bits(cached)).toBe(bits(whole.logits.slice(...row)));
        else expect(maxError(cached, whole.logits.slice(...row))).toBeLessThan(1e-5);
      }
    }
    model.dispose();
  });

  it.each(ORACLES)('%s: saved and loaded, in one file and in shards', async (name) => {
    const oracle = await readOracle(name);
    const model = await loadCausalLM(oracle.directory, { threads: 1, precision });
    const tokens = oracle.ids[0]!;
    const [weights, { logits }] = [await weightsOf(model), await forward(model, tokens)];
    for (const options of [{}, { maxShardBytes: 20_000 }]) {
      const folder = memoryDirectory();
      await model.save(folder, options);
      const copy = await loadCausalLM(folder, { threads: 3, precision });
      expect(copy.family).toBe(model.family);
      expect(copy.config).toEqual(model.config);
      expect(await weightsOf(copy)).toEqual(weights);
      expect(bits((await forward(copy, tokens)).logits)).toEqual(bits(logits));
      copy.dispose();
    }
    model.dispose();
  });

  it('a padded batch gives the losses and gradients of its sequences', async () => {
    const oracle = await readOracle('gpt2-odd');
    const model = await loadCausalLM(oracle.directory, { threads: 2, precision, trainable: true });
    const batch = [sequenceOf(oracle.ids[0]!.slice(0, 9)), sequenceOf(oracle.ids[1]!.slice(0, 9))];
    const plain = await lossOf(model, batch);
    const padded = await lossOf(model, batch, { batchSize: 3, length: 14 });
    for (const [index, row] of [0, 14].entries()) {
      expect(bits(padded.losses.slice(row, row + 9))).toEqual(bits(plain.losses.slice(index * 9, index * 9 + 9)));
      expect(padded.losses.slice(row + 9, row + 14)).toEqual(new Float32Array(5));
    }
    expect(padded.losses.slice(28)).toEqual(new Float32Array(14));
    for (const [parameter, gradient] of padded.gradients) {
      const expected = plain.gradients.get(parameter)!;
      // Zeros are added, but in blocks that begin elsewhere.
      expect(maxError(gradient, expected), parameter).toBeLessThanOrEqual(1e-5 * maxMagnitude(expected));
    }
    model.dispose();
  });
});

// The two binaries round differently: `fast` draws weights whose last bits differ from those of `exact`.
it.each(['exact', 'fast'] as const)('%s: new weights are those of their seed', async (precision) => {
  const options = { nLayer: 2, nHead: 3, nEmbd: 21, blockSize: 10, vocabSize: 33, precision };
  for (const family of ['gpt1', 'gpt2'] as const) {
    const made: Record<string, string>[] = [];
    for (const threads of [1, 2, 7]) {
      const model = await createModel(family, { ...options, seed: 2 ** 40 + 5, threads });
      made.push(await weightsOf(model));
      model.dispose();
    }
    for (const weights of made) expect(weights).toEqual(made[0]);
    const other = await createModel(family, { ...options, seed: 5, threads: 1 });
    const otherWeights = await weightsOf(other);
    expect(otherWeights).not.toEqual(made[0]);
    // The scheme of the papers: σ = 0.02, residual projections of GPT-2 smaller by √(2 · nLayer), ones and zeros.
    const deviation = async (name: string) => {
      const values = await other.readParameter(name);
      return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    };
    expect(await deviation('transformer.h.0.attn.c_attn.weight')).toBeCloseTo(0.02, 2);
    expect(await deviation('transformer.h.1.mlp.c_proj.weight')).toBeCloseTo(family === 'gpt2' ? 0.01 : 0.02, 2);
    expect(await deviation('transformer.h.1.ln_2.weight')).toBe(1);
    expect(await deviation('transformer.h.1.ln_2.bias')).toBe(0);
    other.dispose();
  }
});

describe.each(ORACLES)('%s in the layout of transformers', (name) => {
  it('has its names and shapes, also when saved', async () => {
    const oracle = await readOracle(name);
    const model = await loadCausalLM(oracle.directory, { threads: 1, trainable: true });
    const shapesIn = async (directory: typeof oracle.directory) => {
      const weights = await openWeights(directory);
      const shapes = new Map(weights.names.map((tensor) => [tensor, weights.info(tensor).shape]));
      await weights.close();
      return shapes;
    };
    const expected = await shapesIn(oracle.directory);
    // The double-head model lists the tied table as lm_head; LM models list the embedding.
    const tied = expected.get('lm_head.weight');
    if (tied) {
      expected.set(model.head.table, tied);
      for (const tensor of [...expected.keys()])
        if (/^(lm_head|multiple_choice_head)\./.test(tensor)) expected.delete(tensor);
    }
    const listed = new Map(model.parameters.list.map((parameter) => [parameter.name, parameter.shape]));
    expect(new Map([...listed].sort())).toEqual(new Map([...expected].sort()));
    const folder = memoryDirectory();
    await model.save(folder);
    expect(new Map([...(await shapesIn(folder))].sort())).toEqual(new Map([...expected].sort()));
    model.dispose();
  });
});

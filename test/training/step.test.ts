/** What one step computes: accumulation, clipping, decay, dropout, padding, accuracy. */

import { describe, expect, it } from 'vitest';
import type { TokenBatch } from '../../src/data/index.ts';
import { Plan } from '../../src/graph/plan.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { type CausalLM, forward } from '../../src/models/index.ts';
import { readValues, zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Trainer, type TrainerOptions } from '../../src/training/index.ts';
import { dropout, keep, parametersOf, randomIds, smallData, smallModel, train, weightsOf } from './support.ts';

/** One step of a fresh model, and the parameters behind it. */
async function oneStep(options: TrainerOptions, dataset: ConstructorParameters<typeof Trainer>[1] = smallData()) {
  const model = await smallModel();
  const before = await parametersOf(model);
  const trainer = new Trainer(causalLanguageModel(model), dataset, {
    steps: 1,
    warmupSteps: 0,
    schedule: 'constant',
    ...options,
  });
  const [step] = (await train(trainer)).steps;
  const after = await parametersOf(model);
  const change = (name: string) => after.get(name)!.map((value, i) => value - before.get(name)![i]!);
  const { parameters } = model;
  model.dispose();
  return { step: step!, before, after, change, parameters };
}

function largestDifference(a: Map<string, Float32Array>, b: Map<string, Float32Array>): number {
  let largest = 0;
  for (const [name, values] of a)
    values.forEach((value, i) => {
      largest = Math.max(largest, Math.abs(value - b.get(name)![i]!));
    });
  return largest;
}

/** Sequences of 1 to 8 tokens, some targets not predicted. */
function ragged(): { batch(request: { batchSize: number; index: number }): TokenBatch; fingerprint: string } {
  const sequence = (number: number) => {
    const ids = randomIds(1 + (number % 8) + 1, number);
    const targets = ids.slice(1);
    if (targets.length > 3) targets[1] = -1;
    return { tokens: ids.slice(0, -1), targets };
  };
  return {
    fingerprint: 'ragged',
    batch: ({ batchSize, index }) => Array.from({ length: batchSize }, (_, row) => sequence(index * batchSize + row)),
  };
}

describe('accumulation', () => {
  // An epsilon at which Adam's first step does not turn rounding errors of tiny gradients into whole steps.
  it.each([
    ['crops', smallData()],
    ['sequences of all lengths, weighed by their targets', ragged()],
  ])('4 batches of 3 are one of 12: %s', async (_, dataset) => {
    const one = await oneStep({ batchSize: 12, epsilon: 1e-3 }, dataset as never);
    const four = await oneStep({ batchSize: 3, accumulate: 4, epsilon: 1e-3 }, dataset as never);
    expect(four.step.loss).toBeCloseTo(one.step.loss, 6);
    expect(four.step.accuracy).toBe(one.step.accuracy);
    expect(four.step.gradientNorm).toBeCloseTo(one.step.gradientNorm, 6);
    expect(largestDifference(one.after, four.after)).toBeLessThan(1e-6);
    const other = await oneStep({ batchSize: 3, accumulate: 3, epsilon: 1e-3 }, dataset as never);
    expect(largestDifference(one.after, other.after)).toBeGreaterThan(1e-5);
  });
});

describe('clipping', () => {
  /** With epsilon 1 the first step is lr · g / (|g| + 1), from which the norm of g follows. */
  async function normBehind(clip: number) {
    const { step, change, before } = await oneStep({ clip, epsilon: 1, learningRate: 1, weightDecay: 0 });
    let squares = 0;
    for (const name of before.keys()) for (const u of change(name)) squares += (u / (1 - Math.abs(u))) ** 2;
    return { reported: step.gradientNorm, applied: Math.sqrt(squares) };
  }

  it('scales all gradients to the limit, and only above it', async () => {
    const free = await normBehind(0);
    expect(free.applied / free.reported).toBeCloseTo(1, 3);
    const clipped = await normBehind(free.reported / 10);
    expect(clipped.reported).toBe(free.reported);
    expect(clipped.applied / free.reported).toBeCloseTo(0.1, 4);
    const loose = await normBehind(free.reported * 10);
    expect(loose).toEqual(free);
  });
});

describe('weight decay', () => {
  it('shrinks parameters of two dimensions by lr · decay, and leaves the others', async () => {
    const options = { learningRate: 0.5, batchSize: 2 };
    const without = await oneStep({ ...options, weightDecay: 0 });
    const decayed = await oneStep({ ...options, weightDecay: 0.1 });
    const kinds = new Set<number>();
    for (const { name, shape } of without.parameters.list) {
      kinds.add(shape.length);
      const [a, b, w] = [without.after.get(name)!, decayed.after.get(name)!, without.before.get(name)!];
      if (shape.length === 1) expect(b, name).toEqual(a);
      else for (const [i, value] of a.entries()) expect(b[i], name).toBeCloseTo(value - 0.05 * w[i]!, 6);
    }
    expect(kinds).toEqual(new Set([1, 2]));
  });

  it('is all that happens to a parameter without gradient', async () => {
    const { before, after } = await oneStep({ length: 4, learningRate: 0.5, weightDecay: 0.1 });
    const unused = (values: Map<string, Float32Array>) => values.get('transformer.wpe.weight')!.subarray(4 * 16);
    const factor = Math.fround(1 - 0.5 * Math.fround(0.1));
    expect(unused(after)).toEqual(unused(before).map((w) => w * factor));
  });
});

describe('dropout', () => {
  /** Losses of a model that does not learn, on one batch again and again. */
  async function losses(p: number, seed: number, accumulate = 1) {
    const model = await smallModel(dropout(p));
    const { batch } = smallData();
    const dataset = { ...smallData(), batch: () => batch({ batchSize: 4, length: 8, seed: 0, index: 0 }) };
    const trainer = new Trainer(causalLanguageModel(model), dataset, {
      ...{ batchSize: 4, steps: 3, learningRate: 0, minLearningRate: 0, seed, accumulate },
    });
    const { steps, result } = await train(trainer);
    model.dispose();
    return { losses: steps.map(({ loss }) => loss), evaluation: result!.evaluation };
  }

  it('is drawn by seed and step, and is absent in evaluation', async () => {
    const [none, first, again, other] = [
      await losses(0, 1),
      await losses(0.3, 1),
      await losses(0.3, 1),
      await losses(0.3, 2 ** 32 + 1),
    ];
    expect(new Set(none.losses).size).toBe(1);
    expect(new Set(first.losses).size).toBe(3);
    expect(again).toEqual(first);
    expect(new Set([...first.losses, ...other.losses]).size).toBe(6);
    expect(first.evaluation).toEqual(none.evaluation);
  });

  it('is drawn anew for each batch of a step', async () => {
    // Were the masks of both batches the same, their mean would be the loss of one.
    const single = await losses(0.3, 1);
    const double = await losses(0.3, 1, 2);
    expect(double.losses[0]).toBeCloseTo((single.losses[0]! + single.losses[1]!) / 2, 6);
  });
});

/** Loss sum and gradients of a batch, by a program for batches of this shape. */
async function gradientsOf(model: CausalLM, batch: TokenBatch, shape: { batchSize: number; length: number }) {
  const { engine, parameters } = model;
  const block = await zeroedBlock(engine, parameters, 'gradients');
  const graph = new TrainingGraph(model.blocks, block.region);
  const program = causalLanguageModel(model).record(graph, shape);
  graph.backward();
  const plan = await Plan.compile(engine, graph);
  program.write(plan, batch);
  const count = program.count(batch);
  plan.write(program.scale, Float32Array.of(1 / count));
  await plan.run();
  const loss = (await plan.readRegion(program.losses)).reduce((sum, row) => sum + row, 0) / count;
  const hits = (await plan.readRegion(program.correct)).reduce((sum, row) => sum + row, 0);
  const gradients = new Map<string, Float32Array>();
  for (const { name } of parameters.list) gradients.set(name, await readValues(block, name));
  plan.dispose();
  block.release();
  return { loss, hits, count, gradients };
}

describe('padding', () => {
  it('changes neither loss nor gradients: a sequence alone, unpadded, is as one among empty ones', async () => {
    const model = keep(await smallModel());
    for (const length of [1, 3, 7]) {
      const ids = randomIds(length + 1, length);
      const batch = [{ tokens: ids.slice(0, -1), targets: ids.slice(1) }];
      const bare = await gradientsOf(model, batch, { batchSize: 1, length });
      const padded = await gradientsOf(model, batch, { batchSize: 3, length: 8 });
      expect(padded.count).toBe(length);
      expect(padded.hits).toBe(bare.hits);
      expect(padded.loss).toBeCloseTo(bare.loss, 6);
      expect(largestDifference(bare.gradients, padded.gradients)).toBeLessThan(1e-6);
    }
  });

  it('refuses a batch in which nothing is predicted', async () => {
    const dataset = { fingerprint: '', batch: () => [{ tokens: [1, 2], targets: [-1, -1] }] };
    await expect(oneStep({}, dataset)).rejects.toThrow(
      'train: expected targets at step 1, got batches with none. Check what makes the batches.',
    );
  });
});

describe('accuracy', () => {
  it('is the share of targets that have the first of the largest logits', async () => {
    const model = keep(await smallModel());
    const dataset = ragged();
    const trainer = new Trainer(causalLanguageModel(model), dataset, { batchSize: 16, steps: 1 });
    const batch = dataset.batch({ batchSize: 16, index: 0 });
    let [hits, targets, loss] = [0, 0, 0];
    for (const { tokens, targets: wanted } of batch) {
      const { logits } = await forward(model, tokens);
      Array.from(wanted).forEach((target, row) => {
        if (target < 0) return;
        const scores = logits.subarray(row * 13, (row + 1) * 13);
        targets++;
        if (scores.indexOf(Math.max(...scores)) === target) hits++;
        loss += Math.log(scores.reduce((sum, x) => sum + Math.exp(x), 0)) - scores[target]!;
      });
    }
    const [step] = (await train(trainer)).steps;
    expect(hits).toBeGreaterThan(0);
    expect(hits).toBeLessThan(targets);
    expect(step!.accuracy).toBe(hits / targets);
    expect(step!.loss).toBeCloseTo(loss / targets, 5);
    trainer.dispose();
  });
});

it('the bits do not depend on the number of threads', async () => {
  const digests = new Set<string>();
  for (const threads of [1, 2, 3, 7]) {
    const model = await smallModel({ threads, ...dropout(0.1) });
    const trainer = new Trainer(causalLanguageModel(model), smallData(), {
      batchSize: 3,
      steps: 4,
      accumulate: 2,
      evalEvery: 2,
    });
    const { steps, result } = await train(trainer);
    const { tokensPerSecond: _, ...end } = result!;
    digests.add(JSON.stringify([steps, end, await weightsOf(model)]));
    model.dispose();
  }
  expect(digests.size).toBe(1);
});

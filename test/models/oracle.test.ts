/**
 * Models in an engine against transformers: hidden states, logits, loss, every gradient, 30 steps of AdamW, greedy text.
 *
 * Tolerances: 1e-4 for states and logits, of order 1 to 10; 1e-4 of the largest value of its tensor for a gradient;
 * 1e-3 for losses and gradient norms of the trajectory, in which rounding errors grow from step to step.
 */

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Plan } from '../../src/graph/plan.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { forward } from '../../src/models/forward.ts';
import { Session } from '../../src/models/inference/session.ts';
import { loadCausalLM } from '../../src/models/load.ts';
import type { CausalLM } from '../../src/models/model.ts';
import { readValues, zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import { causalLanguageModel } from '../../src/objectives/index.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { concat, maxError, maxMagnitude, ORACLES, type Oracle, readOracle, sequenceOf, trainAs } from './oracles.ts';

/** `fast` falls back to `exact` where there is no relaxed SIMD (Node 20): what runs stands in the titles. */
const PRECISIONS = await Promise.all(
  (['exact', 'fast'] as const).map(async (precision) => {
    const engine = await Engine.create({ precision, threads: 2 });
    engine.dispose();
    return { precision, binary: engine.info.binary };
  }),
);

/** Largest errors, printed at the end. */
const report: Record<string, Record<string, string>> = {};

describe.each(PRECISIONS)('$precision ($binary)', ({ precision, binary }) => {
  describe.each(ORACLES)('%s', (name) => {
    let oracle: Oracle;
    let model: CausalLM;
    const errors: Record<string, string> = {};
    const note = (what: string, error: number) => {
      errors[what] = error.toExponential(1);
      return error;
    };

    beforeAll(async () => {
      oracle = await readOracle(name);
      model = await loadCausalLM(oracle.directory, { precision, threads: 2, trainable: true });
      report[`${name} ${binary}`] = errors;
    });
    afterAll(() => model.dispose());

    it('hidden states and logits', async () => {
      const results: Awaited<ReturnType<typeof forward>>[] = [];
      for (const tokens of oracle.ids) results.push(await forward(model, tokens));
      expect(note('logits', maxError(concat(results.map(({ logits }) => logits)), oracle.logits))).toBeLessThan(1e-4);
      let worst = 0;
      oracle.hidden.forEach((expected, layer) => {
        worst = Math.max(worst, maxError(concat(results.map(({ hidden }) => hidden[layer]!)), expected));
      });
      if (oracle.hidden.length > 0) expect(note('hidden', worst)).toBeLessThan(1e-4);
      for (const { hidden } of results) expect(hidden.length).toBe(model.body.cache!.layers + 1);
    });

    it('loss and every gradient', async () => {
      const { engine, parameters } = model;
      const block = await zeroedBlock(engine, parameters, 'gradients');
      const batch = oracle.ids.map(sequenceOf);
      const graph = new TrainingGraph(model.blocks, block.region);
      const program = causalLanguageModel(model).record(graph, {
        batchSize: batch.length,
        length: oracle.ids[0]!.length,
      });
      graph.backward();
      const plan = await Plan.compile(engine, graph);
      const count = program.count(batch);
      program.write(plan, batch);
      plan.write(program.scale, Float32Array.of(1 / count));
      await plan.run();
      const losses = await plan.readRegion(program.losses);
      const loss = losses.reduce((sum, row) => sum + row, 0) / count;
      expect(note('loss', Math.abs(loss - oracle.loss))).toBeLessThan(1e-4);
      let worst = 0;
      for (const [parameter, expected] of oracle.gradients) {
        const error = maxError(await readValues(block, parameter), expected) / maxMagnitude(expected);
        worst = Math.max(worst, error);
        expect(error, parameter).toBeLessThan(1e-4);
      }
      if (oracle.gradients.size > 0) {
        note('gradients', worst);
        expect([...oracle.gradients.keys()].sort()).toEqual(parameters.list.map((parameter) => parameter.name).sort());
      }
      plan.dispose();
      block.release();
    });

    it('greedy tokens', async () => {
      if (!oracle.greedy) return; // openai-gpt-tiny has none
      const { ids, prompt } = oracle.greedy;
      const session = await Session.create(model, { maxRows: 3 }); // the prompt in pieces
      const text = ids.slice(0, prompt);
      let fed = 0;
      while (text.length < ids.length) {
        const [logits] = await session.append([{ tokens: text.slice(fed), position: fed }]);
        fed = text.length;
        text.push(logits!.indexOf(Math.max(...logits!)));
      }
      expect(text).toEqual(ids);
      session.dispose();
    });

    // The last one: it changes the weights.
    it('30 steps of AdamW', async () => {
      if (!oracle.train) return; // openai-gpt-tiny has none
      const { train } = oracle;
      const { losses, norms } = await trainAs(model, train, train.batches);
      expect(note('30 losses', maxError(losses, train.losses))).toBeLessThan(1e-3);
      expect(note('30 norms', maxError(norms, train.grad_norms_before_clip))).toBeLessThan(1e-3);
    });
  });
});

afterAll(() => console.table(report));

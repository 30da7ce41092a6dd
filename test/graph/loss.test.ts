/** The head and its loss in several chunks: a vocabulary so large that a chunk holds 8 rows. */
import { describe, expect, it } from 'vitest';
import { gatherRows } from '../../src/graph/ops/embedding.ts';
import { chunkRows, languageModelLoss } from '../../src/graph/ops/loss.ts';
import type { ParameterSpec } from '../../src/graph/parameters.ts';
import { Plan } from '../../src/graph/plan.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { ParameterBlock } from '../../src/models/weights/parameter-block.ts';
import { readValues, writeValues, zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { Dice } from './bench.ts';

const [C, V, ROWS] = [3, 2 ** 21, 19];
const init = { kind: 'constant', value: 0 } as const;
const SPECS: ParameterSpec[] = [
  { name: 'hidden', shape: [ROWS, C], init },
  { name: 'table', shape: [V, C], init },
];
const dice = new Dice(3);
const hidden = Float32Array.from({ length: ROWS * C }, () => dice.normal());
const table = Float32Array.from({ length: V * C }, () => dice.normal());
const targets = Int32Array.from({ length: ROWS }, (_, row) => (row % 5 === 4 ? -1 : dice.whole(0, V - 1)));

/** Losses and gradients of the rows, taken `step` at a time by plans that add to one block of gradients. */
async function run(threads: number, step: number) {
  const engine = await Engine.create({ threads, precision: 'exact' });
  const weights = await ParameterBlock.allocate(engine, SPECS);
  const gradients = await zeroedBlock(engine, weights.table, 'gradients');
  await writeValues(weights, 'hidden', hidden);
  await writeValues(weights, 'table', table);
  const all: number[] = [];
  for (let first = 0; first < ROWS; first += step) {
    const count = Math.min(step, ROWS - first);
    const graph = new TrainingGraph({ table: weights.table, weights: weights.region }, gradients.region);
    const indices = graph.region('indices', count);
    const inputs = {
      targets: graph.region('targets', count),
      scale: graph.region('scale', 1),
      losses: graph.region('losses', count),
      correct: graph.region('correct', count),
    };
    const rows = gatherRows(graph, 'rows', graph.parameter('hidden'), indices, count);
    languageModelLoss(graph, 'loss', rows, graph.parameter('table'), inputs);
    graph.backward();
    const plan = await Plan.compile(engine, graph);
    plan.write(
      indices,
      Int32Array.from({ length: count }, (_, i) => first + i),
    );
    plan.write(inputs.targets, targets.subarray(first, first + count));
    plan.write(inputs.scale, Float32Array.of(1 / 16));
    await plan.run();
    all.push(...(await plan.readRegion(inputs.losses)));
    plan.dispose();
  }
  const result = {
    losses: all,
    dhidden: await readValues(gradients, 'hidden'),
    dtable: await readValues(gradients, 'table'),
  };
  engine.dispose();
  return result;
}

describe('languageModelLoss in chunks', () => {
  it('has the bits of one plan for each chunk', async () => {
    expect(chunkRows(V)).toBe(8);
    const expected = await run(1, 8);
    for (const threads of [1, 3]) {
      const actual = await run(threads, ROWS);
      expect(actual.losses).toEqual(expected.losses);
      expect(Buffer.compare(Buffer.from(actual.dhidden.buffer), Buffer.from(expected.dhidden.buffer))).toBe(0);
      expect(Buffer.compare(Buffer.from(actual.dtable.buffer), Buffer.from(expected.dtable.buffer))).toBe(0);
    }
    // And the losses are what they should be.
    for (const row of [0, 8, 18]) {
      let total = 0;
      const logit = (id: number) => {
        let sum = 0;
        for (let c = 0; c < C; c++) sum += hidden[row * C + c]! * table[id * C + c]!;
        return sum;
      };
      for (let id = 0; id < V; id++) total += Math.exp(logit(id));
      expect(expected.losses[row]).toBeCloseTo(Math.log(total) - logit(targets[row]!), 4);
    }
    expect([4, 9, 14].map((row) => expected.losses[row])).toEqual([0, 0, 0]);
  });
});

/** Plans in an engine: dynamic sizes, sections, reading and writing, memory. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SEGMENT_WORDS } from '../../src/abi/index.ts';
import { MemoryError } from '../../src/errors.ts';
import { Graph } from '../../src/graph/graph.ts';
import { attention } from '../../src/graph/ops/attention.ts';
import { activate, add, multiply, scale } from '../../src/graph/ops/elementwise.ts';
import { embedding, gatherRows } from '../../src/graph/ops/embedding.ts';
import { fill } from '../../src/graph/ops/fill.ts';
import { linear } from '../../src/graph/ops/matmul.ts';
import { layerNorm, rmsNorm } from '../../src/graph/ops/norm.ts';
import { rotary } from '../../src/graph/ops/rotary.ts';
import { sum } from '../../src/graph/ops/sum.ts';
import { type ParameterSpec, ParameterTable } from '../../src/graph/parameters.ts';
import { measurePlan, Plan } from '../../src/graph/plan.ts';
import { columnsOf, type Extent, type Size } from '../../src/graph/tensor.ts';
import { ParameterBlock } from '../../src/models/weights/parameter-block.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { Dice, fusedInputs, poison } from './bench.ts';
import { ReferenceMachine } from './reference.ts';

const [C, V, T, HEADS, MAX_ROWS] = [12, 9, 8, 3, 11];
const FREQUENCIES = Float32Array.of(1, 0.01);

const init = { kind: 'constant', value: 0 } as const;
const SPECS: ParameterSpec[] = [
  { name: 'tokens', shape: [V, C], init },
  { name: 'positions', shape: [T, C], init },
  { name: 'qkv', shape: [C, 3 * C], init },
  { name: 'scale', shape: [C], init },
  { name: 'shift', shape: [C], init },
];

let engines: { engine: Engine; weights: ParameterBlock }[] = [];

const dice = new Dice(17);
const values = Float32Array.from({ length: new ParameterTable(SPECS).blockSize }, () => dice.normal());

beforeAll(async () => {
  for (const precision of ['exact', 'fast'] as const)
    for (const threads of [1, 3]) {
      const engine = await Engine.create({ precision, threads });
      const weights = await ParameterBlock.allocate(engine, SPECS);
      engine.write(weights.region.address!, values);
      engines.push({ engine, weights });
    }
});
afterAll(() => {
  for (const { engine } of engines) engine.dispose();
  engines = [];
});

/** Every operation that takes dynamic rows. */
function record(graph: Graph, rows: Extent, segmentCount: Extent, picked: Extent) {
  const tokens = graph.region('tokens', MAX_ROWS);
  const positions = graph.region('positions', MAX_ROWS);
  const indices = graph.region('indices', MAX_ROWS);
  const table = graph.region('segments', 3 * SEGMENT_WORDS);
  const frequencies = graph.region('frequencies', FREQUENCIES.length);
  const x = embedding(graph, 'x', rows, tokens, positions, graph.parameter('tokens'), graph.parameter('positions'));
  const normal = layerNorm(graph, 'norm', x, graph.parameter('scale'), graph.parameter('shift'), 1e-5);
  const turned = rotary(graph, 'rotary', normal, positions, frequencies, { headSize: C / HEADS });
  const gate = rmsNorm(graph, 'rms norm', turned, graph.parameter('scale'), { epsilon: 1e-5 });
  const gated = multiply(graph, 'gated', scale(graph, 'half', normal, 0.5), gate);
  const qkv = linear(graph, 'qkv', gated, graph.parameter('qkv'));
  const segments = { table, count: segmentCount, maxLength: T };
  const mixed = attention(graph, 'attn', fusedInputs(qkv), segments, { heads: HEADS, causal: true, dropout: 0 });
  const y = graph.keep(activate(graph, 'gelu', add(graph, 'residual', x, mixed), 'gelu-tanh'));
  const logits = graph.keep(
    linear(graph, 'head', gatherRows(graph, 'last', y, indices, picked), graph.parameter('tokens'), {
      transposed: true,
    }),
  );
  return { tokens, positions, indices, table, frequencies, y, logits };
}

/** Up to three sequences: how many rows each has. */
const BATCHES = [[1], [8], [3, 1, 7], [2, 2], [5, 6], [1, 1, 1], []];

function inputsOf(lengths: readonly number[]) {
  const random = new Dice(lengths.length * 100 + (lengths[0] ?? 0));
  const segments = new Int32Array(lengths.length * SEGMENT_WORDS);
  const positions: number[] = [];
  lengths.forEach((length, s) => {
    segments.set([positions.length, length, 0, s], s * SEGMENT_WORDS);
    for (let i = 0; i < length; i++) positions.push(i);
  });
  const rows = positions.length;
  return {
    rows,
    segments,
    positions: Int32Array.from(positions),
    tokens: Int32Array.from({ length: rows }, () => random.whole(0, V - 1)),
    indices: Int32Array.from(lengths, (_, s) => segments[s * SEGMENT_WORDS]! + lengths[s]! - 1),
  };
}

describe('dynamic sizes', () => {
  it('a plan for many rows computes each smaller batch like the plan made for it, bit for bit', async () => {
    for (const { engine, weights } of engines) {
      const blocks = { table: weights.table, weights: weights.region };
      await poison(engine, 6 << 20);
      const graph = new Graph(blocks);
      const sizes: Record<'rows' | 'segments' | 'picked', Size> = {
        rows: graph.size('rows', MAX_ROWS),
        segments: graph.size('segments', 3),
        picked: graph.size('picked', 3),
      };
      const at = record(graph, sizes.rows, sizes.segments, sizes.picked);
      const plan = await Plan.compile(engine, graph);
      for (const lengths of [...BATCHES, ...BATCHES.toReversed()]) {
        const inputs = inputsOf(lengths);
        const fixedGraph = new Graph(blocks);
        const fixed = record(fixedGraph, inputs.rows, lengths.length, lengths.length);
        const fixedPlan = await Plan.compile(engine, fixedGraph);
        const machine = new ReferenceMachine(fixedGraph);
        machine.values(weights.region).set(values);
        for (const [target, places] of [
          [plan, at],
          [fixedPlan, fixed],
        ] as const) {
          target.write(places.tokens, inputs.tokens);
          target.write(places.positions, inputs.positions);
          target.write(places.indices, inputs.indices);
          target.write(places.table, inputs.segments);
          target.write(places.frequencies, FREQUENCIES);
        }
        for (const name of ['tokens', 'positions', 'indices'] as const) machine.values(fixed[name]).set(inputs[name]);
        machine.values(fixed.table).set(inputs.segments);
        machine.values(fixed.frequencies).set(FREQUENCIES);
        plan.setSize(sizes.rows, inputs.rows);
        plan.setSize(sizes.segments, lengths.length);
        plan.setSize(sizes.picked, lengths.length);
        await plan.run();
        await fixedPlan.run();
        machine.run();
        const logits = await plan.read(at.logits, lengths.length);
        expect(logits).toEqual(await fixedPlan.read(fixed.logits));
        const y = await plan.read(at.y, inputs.rows);
        expect(y).toEqual(await fixedPlan.read(fixed.y));
        const columns = await plan.read(columnsOf(at.y, 2, 3), inputs.rows);
        expect(columns).toEqual(
          Float32Array.from({ length: 3 * inputs.rows }, (_, i) => y[Math.floor(i / 3) * C + 2 + (i % 3)]!),
        );
        const expected = 'address' in fixed.logits.storage ? [] : machine.values(fixed.logits.storage);
        expect(logits.length).toBe(lengths.length * V);
        logits.forEach((logit, i) => {
          expect(logit).toBeCloseTo(expected[i]!, 4);
        });
        fixedPlan.dispose();
      }
      plan.dispose();
    }
  });

  it('refuses sizes outside of their range', async () => {
    const { engine, weights } = engines[0]!;
    const graph = new Graph({ table: weights.table, weights: weights.region });
    const size = graph.size('rows', 4);
    const plan = await Plan.compile(engine, graph);
    for (const value of [-1, 5, 1.5, Number.NaN]) {
      expect(() => plan.setSize(size, value)).toThrow(RangeError);
      expect(() => plan.setSize(size, value)).toThrow(`plan: expected rows from 0 to 4, got ${value}.`);
    }
    plan.setSize(size, 0);
    plan.setSize(size, 4);
    plan.dispose();
  });
});

describe('sections, regions, memory', () => {
  function counting(engine: Engine, weights: ParameterBlock) {
    const graph = new Graph({ table: weights.table, weights: weights.region });
    const [inp, total, ones] = [graph.region('inp', 5), graph.region('total', 1), graph.region('ones', 2)];
    graph.section('sum');
    sum(graph, 'sum', total, inp, 5);
    graph.section('fill');
    fill(graph, 'fill', ones, 1.5);
    graph.section('last');
    sum(graph, 'sum again', total, ones, 2);
    return { graph, inp, total, ones, compile: () => Plan.compile(engine, graph) };
  }

  it('runs one section, several, or all', async () => {
    for (const { engine, weights } of engines) {
      const { inp, total, ones, compile } = counting(engine, weights);
      const plan = await compile();
      const read = async () => [(await plan.readRegion(total))[0], ...(await plan.readRegion(ones))];
      plan.write(inp, Float32Array.of(1, 2, 3, 4, 5));
      expect(await read()).toEqual([0, 0, 0]);
      await plan.run('sum');
      expect(await read()).toEqual([15, 0, 0]);
      await plan.run('fill', 'last');
      expect(await read()).toEqual([3, 1.5, 1.5]);
      await plan.run('sum', 'fill');
      expect(await read()).toEqual([15, 1.5, 1.5]);
      await plan.run();
      expect(await read()).toEqual([3, 1.5, 1.5]);
      await expect(plan.run('other')).rejects.toThrow('plan: expected one of the sections sum, fill, last, got other.');
      await expect(plan.run('other')).rejects.toThrow(RangeError);
      plan.dispose();
    }
  });

  it('refuses more values than a region has, and writes fewer from its start', async () => {
    const { engine, weights } = engines[0]!;
    const { inp, compile } = counting(engine, weights);
    const plan = await compile();
    expect(() => plan.write(inp, new Float32Array(6))).toThrow(RangeError);
    expect(() => plan.write(inp, new Float32Array(6))).toThrow('plan: expected at most 5 values for inp, got 6.');
    plan.write(inp, Float32Array.of(9, 8));
    expect([...(await plan.readRegion(inp))]).toEqual([9, 8, 0, 0, 0]);
    plan.dispose();
  });

  it('clears regions though the memory was used before', async () => {
    const { engine, weights } = engines[0]!;
    await poison(engine, 1 << 20);
    const { inp, compile } = counting(engine, weights);
    const plan = await compile();
    expect([...(await plan.readRegion(inp))]).toEqual([0, 0, 0, 0, 0]);
    plan.dispose();
  });

  it('takes what was measured, and gives it back', async () => {
    for (const { engine, weights } of engines) {
      const before = engine.usedBytes;
      const graph = new Graph({ table: weights.table, weights: weights.region });
      record(graph, MAX_ROWS, 3, 3);
      const measured = measurePlan(graph, engine.threads);
      const plan = await Plan.compile(engine, graph);
      expect(plan.bytes).toEqual(measured);
      expect(measured.total).toBe(measured.descriptors + measured.regions + measured.activations + measured.scratch);
      expect(engine.usedBytes - before).toBe(measured.total);
      plan.dispose();
      expect(engine.usedBytes).toBe(before);
    }
  });

  it('refuses a plan that 4 GiB do not hold, names it, and takes nothing', async () => {
    const { engine, weights } = engines[0]!;
    const before = engine.usedBytes;
    const graph = new Graph({ table: weights.table, weights: weights.region });
    const x = graph.activation('x', 1 << 20, 1 << 12);
    add(graph, 'y', x, x);
    await expect(Plan.compile(engine, graph, 'a huge plan')).rejects.toThrow(MemoryError);
    await expect(Plan.compile(engine, graph, 'a huge plan')).rejects.toThrow(/for a huge plan, got 32,7\d\d MiB/);
    expect(engine.usedBytes).toBe(before);
  });
});

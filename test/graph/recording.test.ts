/** Recording: what does not fit together is refused where it is recorded, with both shapes in the message. */
import { describe, expect, it } from 'vitest';
import { CONTEXT_MAX_SIZES, OP_RANDOM_NORMAL, RANDOM_NORMAL_OUT, SEGMENT_WORDS } from '../../src/abi/index.ts';
import { ConfigError, LanewiseError, ShapeError } from '../../src/errors.ts';
import { Graph } from '../../src/graph/graph.ts';
import { attention } from '../../src/graph/ops/attention.ts';
import type { HeadOptions, QueryKeyValue } from '../../src/graph/ops/attention-heads.ts';
import { cachedAttention } from '../../src/graph/ops/cached-attention.ts';
import { dropout, dropoutWords } from '../../src/graph/ops/dropout.ts';
import { activate, add, multiply } from '../../src/graph/ops/elementwise.ts';
import { embedding } from '../../src/graph/ops/embedding.ts';
import { chunkRows, rowsOf } from '../../src/graph/ops/loss.ts';
import { linear } from '../../src/graph/ops/matmul.ts';
import { layerNorm, rmsNorm } from '../../src/graph/ops/norm.ts';
import { type RotaryOptions, rotary } from '../../src/graph/ops/rotary.ts';
import { type ParameterSpec, ParameterTable } from '../../src/graph/parameters.ts';
import { columnsOf, shapeOf, type Tensor } from '../../src/graph/tensor.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';

const init = { kind: 'constant', value: 0 } as const;
const spec = (name: string, ...shape: number[]): ParameterSpec => ({ name, shape, init });

function makeGraph(...specs: ParameterSpec[]): TrainingGraph {
  const table = new ParameterTable(specs);
  const region = (label: string) => ({ label, bytes: table.blockSize * 4, address: undefined });
  return new TrainingGraph({ table, weights: region('weights') }, region('gradients'));
}

/** Runs `record`, which must throw a ShapeError; its fields and message. */
function shapeError(record: () => void): Pick<ShapeError, 'message' | 'operation' | 'expected' | 'actual'> {
  try {
    record();
  } catch (error) {
    expect(error).toBeInstanceOf(ShapeError);
    expect(error).toBeInstanceOf(LanewiseError);
    expect((error as Error).name).toBe('ShapeError');
    const { message, operation, expected, actual } = error as ShapeError;
    return { message, operation, expected, actual };
  }
  return expect.fail('expected a ShapeError');
}

describe('shape errors', () => {
  it('linear: weight, transposed weight, bias', () => {
    const graph = makeGraph(spec('w', 3072, 768), spec('b', 5));
    const x = graph.activation('x', 4, 768);
    const [w, bias] = [graph.parameter('w'), graph.parameter('b')];
    expect(shapeError(() => linear(graph, 'h.0.mlp', x, w))).toEqual({
      message: 'h.0.mlp: expected weight [768, 768], got [3072, 768].',
      operation: 'h.0.mlp',
      expected: [768, 768],
      actual: [3072, 768],
    });
    const wide = graph.activation('wide', 4, 3072);
    expect(shapeError(() => linear(graph, 'h.0.mlp', wide, w, { transposed: true })).message).toBe(
      'h.0.mlp: expected weight [3072, 3072], got [3072, 768].',
    );
    expect(shapeError(() => linear(graph, 'h.0.mlp', wide, w, { bias })).message).toBe(
      'h.0.mlp: expected bias [1, 768], got [1, 5].',
    );
    expect(shapeError(() => linear(graph, 'head', x, w, { bias, transposed: true })).message).toBe(
      'head: expected bias [1, 3072], got [1, 5].',
    );
    expect(graph.operations).toEqual([]);
  });

  it('add: rows, columns, dynamic rows', () => {
    const graph = makeGraph();
    const rows = graph.size('rows', 8);
    const [a, b, c] = [graph.activation('a', 4, 3), graph.activation('b', 4, 2), graph.activation('c', rows, 3)];
    expect(shapeError(() => add(graph, 'residual', a, b)).message).toBe(
      'residual: expected equal shapes [4, 3], got [4, 2].',
    );
    expect(shapeError(() => add(graph, 'residual', a, c))).toEqual({
      message: 'residual: expected equal shapes [4, 3], got [rows≤8, 3].',
      operation: 'residual',
      expected: [4, 3],
      actual: ['rows≤8', 3],
    });
    expect(shapeOf(c)).toEqual(['rows≤8', 3]);
  });

  it('layerNorm: weight, bias', () => {
    const graph = makeGraph(spec('good', 6), spec('bad', 7));
    const x = graph.activation('x', 4, 6);
    const [good, bad] = [graph.parameter('good'), graph.parameter('bad')];
    expect(shapeError(() => layerNorm(graph, 'ln_f', x, bad, good, 1e-5)).message).toBe(
      'ln_f: expected bad [1, 6], got [1, 7].',
    );
    expect(shapeError(() => layerNorm(graph, 'ln_f', x, good, bad, 1e-5)).message).toBe(
      'ln_f: expected bad [1, 6], got [1, 7].',
    );
  });

  it('multiply: rows, columns', () => {
    const graph = makeGraph();
    const [a, b] = [graph.activation('a', 4, 3), graph.activation('b', 5, 3)];
    expect(shapeError(() => multiply(graph, 'gate', a, b)).message).toBe(
      'gate: expected equal shapes [4, 3], got [5, 3].',
    );
  });

  it('rmsNorm: weight', () => {
    const graph = makeGraph(spec('bad', 7));
    const x = graph.activation('x', 4, 6);
    expect(shapeError(() => rmsNorm(graph, 'norm', x, graph.parameter('bad'), { epsilon: 1e-6 })).message).toBe(
      'norm: expected bad [1, 6], got [1, 7].',
    );
  });

  it('rotary: heads, columns that turn, frequencies, positions', () => {
    const graph = makeGraph();
    const x = graph.activation('x', 4, 24);
    const [positions, frequencies] = [graph.region('positions', 4), graph.region('frequencies', 4)];
    const record = (options: RotaryOptions, places = positions) =>
      rotary(graph, 'rope', x, places, frequencies, options);
    expect(shapeError(() => record({ headSize: 7 })).message).toBe(
      'rope: expected heads [rows, a multiple of 7], got [4, 24].',
    );
    for (const rotaryDim of [0, 3, 10, 2.5]) {
      expect(() => record({ headSize: 8, rotaryDim })).toThrow(ConfigError);
      expect(() => record({ headSize: 8, rotaryDim })).toThrow(
        `rope: expected an even number of rotary columns from 2 to 8, got ${rotaryDim}.`,
      );
    }
    expect(shapeError(() => record({ headSize: 8, rotaryDim: 6 })).message).toBe(
      'rope: expected frequencies [3], got [4].',
    );
    expect(shapeError(() => record({ headSize: 8 }, graph.region('few', 3))).message).toBe(
      'rope: expected positions [4], got [3].',
    );
    expect(graph.operations).toEqual([]);
    expect(record({ headSize: 8 })).toMatchObject({ rows: 4, cols: 24 });
  });

  it('embedding: tables of different widths', () => {
    const graph = makeGraph(spec('tokens', 50, 6), spec('positions', 9, 5));
    const [tokens, positions] = [graph.region('tokens', 4), graph.region('positions', 4)];
    expect(
      shapeError(() =>
        embedding(graph, 'wte', 4, tokens, positions, graph.parameter('tokens'), graph.parameter('positions')),
      ).message,
    ).toBe('wte: expected position table [9, 6], got [9, 5].');
  });

  it('attention: heads that do not divide, keys and values of another shape', () => {
    const graph = makeGraph();
    const segments = { table: graph.region('segments', SEGMENT_WORDS), count: 1, maxLength: 4 };
    const cache = { tensor: graph.activation('cache', 16, 10), capacity: 8, dtype: 'f32' as const };
    const [query, key, value] = [12, 6, 6].map((cols) => graph.activation('x', 4, cols)) as [Tensor, Tensor, Tensor];
    const wrong = graph.activation('x', 4, 30);
    const long = graph.activation('x', 5, 6);
    const fits = { query, key, value };
    const options = { heads: 4, keyValueHeads: 2 };
    const both = (inputs: QueryKeyValue, heads: HeadOptions): (() => void)[] => [
      () => attention(graph, 'attn', inputs, segments, { ...heads, causal: true, dropout: 0 }),
      () => cachedAttention(graph, 'attn', inputs, cache, segments, heads),
    ];
    for (const record of both(fits, options)) record();
    for (const record of both({ query: wrong, key, value }, options))
      expect(shapeError(record)).toEqual({
        message: 'attn: expected queries of 4 heads [rows, a multiple of 4], got [4, 30].',
        operation: 'attn',
        expected: ['rows', 'a multiple of 4'],
        actual: [4, 30],
      });
    for (const record of both({ query, key: query, value }, options))
      expect(shapeError(record).message).toBe('attn: expected keys of 2 heads [4, 6], got [4, 12].');
    for (const record of both({ query, key, value: long }, options))
      expect(shapeError(record).message).toBe('attn: expected values of 2 heads [4, 6], got [5, 6].');
    const config = (heads: HeadOptions, message: string) => {
      for (const record of both(fits, heads)) {
        expect(record).toThrow(ConfigError);
        expect(record).toThrow(message);
      }
    };
    for (const keyValueHeads of [0, 3, 8, 1.5])
      config({ heads: 4, keyValueHeads }, `attn: expected key-value heads that divide 4 heads, got ${keyValueHeads}.`);
    for (const window of [-1, 1.5, Number.NaN, 2 ** 30])
      config({ ...options, window }, `attn: expected a window of 1 to 2^30 − 1 rows, or 0 for none, got ${window}.`);
    for (const scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      config({ ...options, scale }, `attn: expected a finite scale above 0, got ${scale}.`);
    const bidirectional = { ...options, window: 2, causal: false, dropout: 0 };
    const record = () => attention(graph, 'attn', fits, segments, bidirectional);
    expect(record).toThrow(ConfigError);
    expect(record).toThrow(
      'attn: expected causal attention with a window, got bidirectional. Leave out the window, or set causal.',
    );
  });

  it('columns of a tensor: out of range, of encoded weights, in operations that do not take them', () => {
    const graph = makeGraph(spec('scale', 3), spec('w', 3, 5));
    const x = graph.activation('x', 4, 8);
    for (const [first, cols] of [
      [-1, 3],
      [6, 3],
      [0, 9],
      [0.5, 2],
      [Number.NaN, 2],
    ] as const)
      expect(shapeError(() => columnsOf(x, first, cols)).message).toBe(
        `x: expected columns of 8 [0, 8], got [${first}, ${first + cols}].`,
      );
    expect(shapeError(() => columnsOf({ ...x, encoding: 'q8' }, 0, 3)).message).toBe(
      'x: expected columns of values in [f32], got [q8].',
    );
    const columns = columnsOf(columnsOf(x, 1, 6), 2, 3);
    expect(columns).toMatchObject({ rows: 4, cols: 3, ld: 8, byteOffset: 12, base: x });
    const message = (label: string) =>
      `${label}: expected a tensor without gaps, leading dimension [3], got [8]. Only products, attention and rotary embedding take some columns of a tensor.`;
    const scale = graph.parameter('scale');
    expect(shapeError(() => add(graph, 'sum', columns, columns)).message).toBe(message('sum'));
    expect(shapeError(() => activate(graph, 'act', columns, 'gelu-tanh')).message).toBe(message('act'));
    expect(shapeError(() => layerNorm(graph, 'ln', columns, scale, scale, 1e-5)).message).toBe(message('ln'));
    expect(linear(graph, 'y', columns, graph.parameter('w'))).toMatchObject({ rows: 4, cols: 5 });
    const row = columnsOf(graph.activation('row', 1, 8), 1, 3); // one row has no gaps
    expect(add(graph, 'sum', row, row)).toMatchObject({ rows: 1, cols: 3 });
    const all = columnsOf(x, 0, 8); // without gaps
    expect(add(graph, 'sum', all, x)).toMatchObject({ rows: 4, cols: 8 });
  });
});

describe('other refusals', () => {
  it('a dropout of 1 or more, below 0, or not a number', () => {
    for (const p of [1, 1.5, -0.1, Number.NaN]) {
      expect(() => dropoutWords(p)).toThrow(ConfigError);
      expect(() => dropoutWords(p)).toThrow(`dropout: expected a probability from 0 to below 1, got ${p}.`);
    }
    const graph = makeGraph();
    const x = graph.activation('x', 2, 3);
    expect(dropout(graph, 'drop', x, 0.5)).toBe(x); // no source: not training
    expect(dropout(graph, 'drop', x, 0, { seed: graph.region('seed', 3), nextStream: () => 0 })).toBe(x);
  });

  it('one dynamic size too many', () => {
    const graph = makeGraph();
    for (let i = 0; i < CONTEXT_MAX_SIZES; i++) expect(graph.size(`size ${i}`, 1).index).toBe(i);
    expect(() => graph.size('last', 1)).toThrow(ConfigError);
    expect(() => graph.size('last', 1)).toThrow('graph: expected at most 240 dynamic sizes, got one more.');
  });

  it('an operation without a gradient whose output requires one', () => {
    const graph = makeGraph(spec('w', 4, 4));
    const w = graph.parameter('w');
    const out = graph.activation('out', 4, 4, true);
    const operation = { opcode: OP_RANDOM_NORMAL, label: 'noise', fields: [[RANDOM_NORMAL_OUT, out]] as const };
    expect(() => graph.record({ ...operation, output: out })).toThrow(ConfigError);
    expect(() => graph.record({ ...operation, output: out })).toThrow(
      `noise: expected an operation with a gradient, got opcode ${OP_RANDOM_NORMAL}, for which there is none. Add its rule to src/graph/gradients/rules.ts.`,
    );
    expect(graph.operations).toEqual([]);
    graph.record(operation); // one that says of no tensor that gradients pass to it
    graph.record({ ...operation, output: graph.activation('constant', 4, 4) }); // nothing is asked of it
    expect(graph.operations).toHaveLength(2);
    expect(add(new Graph(graph.parameters), 'sum', w, w).requiresGrad).toBe(false); // outside of training nothing is
  });

  it('training of weights in panels', () => {
    const region = { label: 'weights', bytes: 64, address: undefined };
    for (const [encoding, dtype] of [
      ['packed', 'f32'],
      ['q8', 'q8'],
    ] as const)
      expect(() => new TrainingGraph({ table: new ParameterTable([], encoding), weights: region }, region)).toThrow(
        `model: expected trainable weights, got ${dtype} packed for inference. Load the model with { trainable: true }.`,
      );
  });
});

describe('ParameterTable', () => {
  it('puts what decays first, each at a multiple of 64 bytes, and keeps the order of the list', () => {
    const table = new ParameterTable([spec('b', 3), spec('w', 3, 5), spec('c', 17), spec('v', 2, 2)]);
    expect(table.list.map(({ name, offset, size }) => [name, offset, size])).toEqual([
      ['b', 32, 3],
      ['w', 0, 15],
      ['c', 48, 17],
      ['v', 16, 4],
    ]);
    expect(table.decayedSize).toBe(32);
    expect(table.blockSize).toBe(80);
    expect(table.count).toBe(39);
    expect(table.has('w')).toBe(true);
    expect(table.has('x')).toBe(false);
    const region = { label: 'block', bytes: 320, address: undefined };
    expect(table.tensor(region, 'v')).toMatchObject({ rows: 2, cols: 2, byteOffset: 64, requiresGrad: true });
    expect(table.tensor(region, 'c')).toMatchObject({ rows: 1, cols: 17, byteOffset: 192 });
  });

  it('refuses names that are unknown or stand twice', () => {
    const table = new ParameterTable([spec('w', 1)]);
    expect(() => table.get('x')).toThrow("parameters: expected a parameter of this model, got 'x'.");
    expect(() => table.get('x')).toThrow(ConfigError);
    expect(() => new ParameterTable([spec('w', 1), spec('w', 2)])).toThrow(
      'parameters: expected distinct names, got a repeated one.',
    );
  });
});

describe('sections, lifetimes and places', () => {
  it('counts the operations of each section', () => {
    const graph = makeGraph();
    const x = graph.activation('x', 2, 3);
    add(graph, 'before', x, x);
    const first = graph.section('first');
    add(graph, 'a', x, x);
    add(graph, 'b', x, x);
    const second = graph.section('second');
    expect([first, second]).toEqual([
      { name: 'first', first: 1, count: 2 },
      { name: 'second', first: 3, count: 0 },
    ]);
  });

  it('an activation lives from the first operation that touches it to the last, or forever when kept', () => {
    const graph = makeGraph();
    const x = graph.activation('x', 2, 3);
    const y = add(graph, 'y', x, x);
    const z = add(graph, 'z', y, y);
    graph.keep(add(graph, 'w', z, y));
    expect(graph.activations.map(({ label, first, last }) => [label, first, last])).toEqual([
      ['x', 0, 0],
      ['y', 0, 2],
      ['z', 1, 2],
      ['w', 2, Number.POSITIVE_INFINITY],
    ]);
  });

  it('rows of a tensor stand where they stand', () => {
    const graph = makeGraph();
    const x = graph.activation('x', 10, 3);
    expect(rowsOf(x, 4, 2)).toMatchObject({ rows: 2, cols: 3, byteOffset: 48, storage: x.storage });
    expect(rowsOf(rowsOf(x, 4, 5), 1, 2)).toMatchObject({ rows: 2, byteOffset: 60 });
  });

  it('the logits of a chunk stay at or below 64 MiB, where one row permits', () => {
    for (const vocabSize of [1, 1000, 50257, 2 ** 24]) {
      expect(chunkRows(vocabSize) * vocabSize * 4).toBeLessThanOrEqual(64 << 20);
      expect((chunkRows(vocabSize) + 1) * vocabSize * 4).toBeGreaterThan(64 << 20);
    }
    expect(chunkRows(2 ** 25)).toBe(1);
  });
});

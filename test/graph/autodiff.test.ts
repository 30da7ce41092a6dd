/**
 * The reverse pass. What `backward` records is checked against finite differences of the loss, both computed in f64
 * by the reference machine; then engines run the same graphs.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as op from '../../src/abi/index.ts';
import { RULES } from '../../src/graph/gradients/rules.ts';
import { attention } from '../../src/graph/ops/attention.ts';
import { dropout } from '../../src/graph/ops/dropout.ts';
import { activate, add, multiply, scale } from '../../src/graph/ops/elementwise.ts';
import { gatherRows } from '../../src/graph/ops/embedding.ts';
import { adaptedLinear } from '../../src/graph/ops/low-rank.ts';
import { linear } from '../../src/graph/ops/matmul.ts';
import { layerNorm, rmsNorm } from '../../src/graph/ops/norm.ts';
import { columnsOf, type Tensor } from '../../src/graph/tensor.ts';
import { Engine } from '../../src/runtime/engine.ts';
import {
  ACTIVATIONS,
  type Bench,
  buildRandom,
  Dice,
  type Dimensions,
  fusedInputs,
  type Recorded,
  type Result,
  randomDimensions,
  recordGraph,
  runEngine,
  runReference,
  totalLoss,
} from './bench.ts';

const SMALL: Dimensions = { B: 2, T: 3, heads: 2, C: 8, F: 5, V: 7 };
/** Finite differences are tried with each: the largest is the most exact where the loss bends little. */
const STEPS = [1e-5, 1e-6, 1e-7];

function norm(values: ArrayLike<number>, offset = 0, size = values.length): number {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += values[offset + i]! ** 2;
  return Math.sqrt(sum);
}

/**
 * Slope of the loss along a random direction of each parameter, and along some single elements, against the gradient.
 * The tolerance has two parts: 1e-6 of the largest slope there could be, and the rounding of the difference itself.
 */
function checkFiniteDifferences(recorded: Recorded, title: string): void {
  const dice = new Dice(99);
  const result = runReference(recorded);
  const { gradients } = result;
  const loss = totalLoss(result);
  expect(Number.isFinite(loss), `${title}: loss ${loss}`).toBe(true);
  const check = (direction: Float64Array, offset: number, size: number, what: string) => {
    const shifted = (step: number) => {
      const weights = Float64Array.from(recorded.weights);
      for (let i = 0; i < size; i++) weights[offset + i] = weights[offset + i]! + step * direction[i]!;
      return totalLoss(runReference(recorded, weights));
    };
    let expected = 0;
    for (let i = 0; i < size; i++) expected += direction[i]! * gradients[offset + i]!;
    const slopes: number[] = [];
    for (const step of STEPS) {
      const slope = (shifted(step) - shifted(-step)) / (2 * step);
      const tolerance = 1e-6 * norm(gradients, offset, size) * norm(direction) + (1e-14 * Math.abs(loss)) / step + 1e-8;
      if (Math.abs(slope - expected) <= tolerance) return;
      slopes.push(slope);
    }
    expect.fail(`${title}: the slope of ${what} is ${slopes.join(' or ')}, the gradient says ${expected}`);
  };
  for (const { name, offset, size } of recorded.table.list) {
    check(
      Float64Array.from({ length: size }, () => dice.normal()),
      offset,
      size,
      name,
    );
    const element = dice.whole(0, size - 1);
    check(Float64Array.of(1), offset + element, 1, `${name}[${element}]`);
  }
}

/** Elements between parameters belong to nobody. */
function checkPadding({ table }: Recorded, { gradients }: Result): void {
  const padding = Float64Array.from(gradients);
  for (const { offset, size } of table.list) padding.fill(0, offset, offset + size);
  expect(padding.every((value) => value === 0)).toBe(true);
}

const engines: Engine[] = [];
beforeAll(async () => {
  for (const precision of ['exact', 'fast'] as const)
    for (const threads of [1, 3]) engines.push(await Engine.create({ precision, threads }));
});
afterAll(() => {
  for (const engine of engines) engine.dispose();
});

/** Largest difference, in units of the largest expected value (or 1e-3, below which f32 keeps no more). */
function difference(actual: ArrayLike<number>, expected: ArrayLike<number>, offset = 0, size = expected.length) {
  let largest = 1e-3;
  let worst = 0;
  for (let i = offset; i < offset + size; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const error = Math.abs(actual[i]! - expected[i]!);
    if (!(error <= worst)) worst = error;
  }
  return worst / largest;
}

async function checkEngines(dimensions: Dimensions, seed: number, build: (bench: Bench) => void): Promise<void> {
  const recorded = recordGraph(dimensions, seed, build);
  const expected = runReference(recorded);
  const first = new Map<string, Result>();
  for (const engine of engines) {
    const { binary, precision, threads } = engine.info;
    const actual = await runEngine(engine, dimensions, seed, build);
    actual.losses.forEach((losses, i) => {
      expect(difference(losses, expected.losses[i]!), `losses, ${binary}`).toBeLessThan(1e-4);
    });
    for (const { name, offset, size } of recorded.table.list) {
      const error = difference(actual.gradients, expected.gradients, offset, size);
      // Random weights of order 1 and up to 14 layers: rounding errors grow on the way.
      expect(error, `d ${name}, ${binary} × ${threads}`).toBeLessThan(1e-3);
    }
    checkPadding(recorded, actual);
    const same = first.get(precision);
    if (!same) first.set(precision, actual);
    else expect(actual, `${binary} × ${threads}`).toEqual(same);
  }
}

/** Graphs that stress how gradients are shared, copied and added. */
const PATTERNS: Record<string, (bench: Bench) => void> = {
  'x + x'({ graph, embed, loss }) {
    const x = embed();
    loss(add(graph, 'y', x, x));
  },
  'x + (x + x)'({ graph, embed, loss }) {
    const x = embed();
    loss(add(graph, 'y', x, add(graph, '2x', x, x)));
  },
  '(x + x) + (x + x), one sum twice'({ graph, embed, loss }) {
    const x = embed();
    const twice = add(graph, '2x', x, x);
    loss(add(graph, '4x', twice, twice));
  },
  'a shared gradient that its first owner changes'({ graph, p, embed, loss }) {
    const x = embed();
    const a = linear(graph, 'a', x, p('w0'));
    const b = linear(graph, 'b', x, p('w1'));
    const active = activate(graph, 'active', a, 'gelu-tanh'); // its gradient comes to a after the sum's
    const sum = add(graph, 'sum', a, b);
    loss(add(graph, 'y', sum, active));
  },
  'a shared gradient that its second owner changes'({ graph, p, embed, loss }) {
    const x = embed();
    const a = linear(graph, 'a', x, p('w0'));
    const b = linear(graph, 'b', a, p('w1'));
    const active = activate(graph, 'active', b, 'gelu-erf');
    const sum = add(graph, 'sum', a, b);
    loss(add(graph, 'y', active, sum));
  },
  'one gradient shared by four'({ graph, p, embed, loss }) {
    const x = embed();
    const parts = ['w0', 'w1', 'w2'].map((name) => linear(graph, name, x, p(name)));
    const [a, b, c] = parts as [typeof x, typeof x, typeof x];
    loss(add(graph, 'y', add(graph, 'ab', a, b), add(graph, 'cx', c, x)));
    loss(b);
  },
  'residual blocks, pre-norm'({ graph, p, embed, loss }) {
    let x = embed();
    for (const layer of ['0', '1']) {
      const normal = layerNorm(graph, `norm ${layer}`, x, p(`scale${layer}`), p(`shift${layer}`), 1e-2);
      x = add(graph, `residual ${layer}`, x, linear(graph, `w${layer}`, normal, p(`w${layer}`)));
    }
    loss(x);
  },
  'residual blocks, post-norm'({ graph, p, embed, loss }) {
    let x = embed();
    for (const layer of ['0', '1']) {
      const sum = add(graph, `residual ${layer}`, x, linear(graph, `w${layer}`, x, p(`w${layer}`)));
      x = layerNorm(graph, `norm ${layer}`, sum, p(`scale${layer}`), p(`shift${layer}`), 1e-2);
    }
    loss(x);
  },
  'a loss on a tensor that is used later'({ graph, p, embed, loss }) {
    const x = linear(graph, 'x', embed(), p('w0'));
    loss(x);
    loss(add(graph, 'y', x, activate(graph, 'g', x, 'gelu-tanh')));
  },
  'two losses on one tensor, by one table'({ graph, p, embed, loss }) {
    const x = linear(graph, 'x', embed(), p('w0'));
    loss(x);
    loss(x);
  },
  'the embedding is the head': ({ embed, loss }) => loss(embed(), 'tokens'),
  'one weight twice, once transposed'({ graph, p, embed, loss }) {
    const once = linear(graph, 'once', embed(), p('w0'), { bias: p('b0') });
    loss(linear(graph, 'again', once, p('w0'), { bias: p('b0'), transposed: true }));
  },
  'a parameter as a summand, three times'({ graph, p, embed, loss }) {
    const sum = add(graph, 'sum', embed(), p('direct'));
    loss(add(graph, 'y', sum, add(graph, 'twice', p('direct'), p('direct'))));
  },
  'a parameter as the only input': ({ graph, p, loss }) => loss(linear(graph, 'y', p('direct'), p('w0'))),
  'rows gathered before and after another use'({ graph, rows, p, embed, indices, loss }) {
    const x = linear(graph, 'x', embed(), p('w0'));
    const early = gatherRows(graph, 'early', x, indices(), rows);
    const active = activate(graph, 'active', x, 'gelu-tanh');
    const late = gatherRows(graph, 'late', x, indices(), rows);
    loss(add(graph, 'y', add(graph, 'z', early, active), late));
  },
  'dropout of a tensor that is also passed by'({ graph, embed, dropoutSource, loss }) {
    const x = embed();
    loss(add(graph, 'y', dropout(graph, 'dropped', x, 0.4, dropoutSource), x));
    loss(dropout(graph, 'other', x, 0.4, dropoutSource));
  },
  'attention with queries, keys and values of their own'({ graph, p, segments, heads, embed, loss }) {
    const x = embed();
    const [query, key, value] = ['w0', 'w1', 'w2'].map((name) => linear(graph, name, x, p(name))) as Three;
    loss(attention(graph, 'y', { query, key, value }, segments, { heads, causal: true, dropout: 0 }));
  },
  'grouped heads: queries apart, keys and values in one product'({ graph, p, segments, heads, C, embed, loss }) {
    const x = embed();
    const query = linear(graph, 'query', x, p('w0'));
    const keyValue = linear(graph, 'keyValue', x, p('keyValue'));
    const headSize = C / heads;
    const [key, value] = [0, headSize].map((first) => columnsOf(keyValue, first, headSize)) as [Tensor, Tensor];
    const options = { heads, keyValueHeads: 1, causal: true, window: 2, dropout: 0 };
    loss(attention(graph, 'y', { query, key, value }, segments, options));
  },
  'one tensor as queries, keys and values'({ graph, segments, heads, dropoutSource, embed, loss }) {
    const x = embed();
    const options = { heads, causal: false, dropout: 0.3, dropoutSource };
    loss(attention(graph, 'y', { query: x, key: x, value: x }, segments, options));
  },
  'a fused projection read twice'({ graph, p, segments, heads, embed, loss }) {
    const inputs = fusedInputs(linear(graph, 'qkv', embed(), p('qkv'), { bias: p('bQkv') }));
    const options = { heads, dropout: 0 };
    const first = attention(graph, 'first', inputs, segments, { ...options, causal: true });
    loss(add(graph, 'y', first, attention(graph, 'second', inputs, segments, { ...options, causal: true, window: 2 })));
  },
  'columns that overlap, some read by a product too, some by nobody'({ graph, p, segments, C, embed, loss }) {
    const x = linear(graph, 'x', embed(), p('w0'));
    const [query, key, value] = [0, 1, 4].map((first) => columnsOf(x, first, 3)) as Three;
    const y = attention(graph, 'y', { query, key, value }, segments, { heads: 3, causal: true, dropout: 0 });
    const wide = linear(graph, 'wide', columnsOf(x, 1, C - 1), p('tall'));
    // [R, 3] · lowBᵀ [3, C]
    loss(add(graph, 'sum', linear(graph, 'up', y, p('lowB'), { transposed: true }), wide));
  },
  'all columns of a tensor as a summand, before and after another use'({ graph, C, p, embed, loss }) {
    const x = linear(graph, 'x', embed(), p('w0'));
    const all = columnsOf(x, 0, C);
    const sum = add(graph, 'sum', all, add(graph, 'twice', all, all));
    loss(add(graph, 'y', activate(graph, 'active', x, 'tanh'), add(graph, 'z', sum, columnsOf(p('direct'), 0, C))));
  },
  'columns of parameters as weight and bias'({ graph, C, p, embed, loss }) {
    const options = { bias: columnsOf(p('bQkv'), C, C) };
    const once = linear(graph, 'once', embed(), columnsOf(p('qkv'), C, C), options);
    loss(linear(graph, 'y', once, columnsOf(p('qkv'), 2 * C - 1, C), { ...options, transposed: true }));
  },
  'a parameter as keys, its gradient twice'({ graph, p, segments, heads, embed, loss }) {
    const [query, key] = [embed(), p('direct')];
    const once = attention(graph, 'once', { query, key, value: query }, segments, { heads, causal: true, dropout: 0 });
    loss(attention(graph, 'y', { query: once, key, value: once }, segments, { heads, causal: true, dropout: 0 }));
  },
  'a residual around attention, whose gradient both share'({ graph, segments, heads, embed, loss }) {
    const x = embed();
    const y = attention(graph, 'y', { query: x, key: x, value: x }, segments, { heads, causal: true, dropout: 0 });
    loss(add(graph, 'sum', x, y));
  },
  'a branch that no loss sees'({ graph, p, embed, loss }) {
    const x = embed();
    activate(graph, 'unseen', linear(graph, 'unseen w2', x, p('w2')), 'gelu-tanh');
    loss(linear(graph, 'seen', x, p('w0')));
  },
};

type Three = [Tensor, Tensor, Tensor];

describe.each(Object.entries(PATTERNS))('%s', (title, build) => {
  it('has the gradients of its finite differences', () => {
    const recorded = recordGraph(SMALL, 5, build);
    checkFiniteDifferences(recorded, title);
    checkPadding(recorded, runReference(recorded));
  });

  it('runs the same on every binary and thread count', () => checkEngines(SMALL, 5, build));
});

/** For every opcode with a rule: small graphs in which it computes what a loss depends on, in each of its forms. */
const RULE_CASES: readonly (readonly [opcode: number, title: string, build: (bench: Bench) => void])[] = [
  [op.OP_ADD, 'add', ({ graph, p, embed, loss }) => loss(add(graph, 'y', embed(), p('direct')))],
  [op.OP_MULTIPLY, 'multiply', ({ graph, p, embed, loss }) => loss(multiply(graph, 'y', embed(), p('direct')))],
  [
    op.OP_MULTIPLY,
    'multiply, a square',
    ({ graph, embed, loss }) => {
      const x = embed();
      loss(multiply(graph, 'y', x, x));
    },
  ],
  [op.OP_SCALE, 'scale', ({ graph, embed, loss }) => loss(scale(graph, 'y', embed(), -0.7))],
  [
    op.OP_SCALE,
    'scale, added to another use',
    ({ graph, embed, loss }) => {
      const x = embed();
      const scaled = scale(graph, 'scaled', x, 0.3);
      loss(add(graph, 'y', activate(graph, 'active', x, 'tanh'), scaled));
    },
  ],
  ...ACTIVATIONS.flatMap((kind) => [
    [op.OP_ACTIVATION, kind, ({ graph, embed, loss }: Bench) => loss(activate(graph, 'y', embed(), kind))] as const,
    [
      op.OP_ACTIVATION,
      `${kind}, added to another use`,
      ({ graph, embed, loss }: Bench) => {
        const x = embed();
        loss(add(graph, 'y', activate(graph, 'active', x, kind), x));
        loss(activate(graph, 'again', x, kind));
      },
    ] as const,
  ]),
  [
    op.OP_DROPOUT,
    'dropout',
    ({ graph, embed, dropoutSource, loss }) => loss(dropout(graph, 'y', embed(), 0.4, dropoutSource)),
  ],
  [op.OP_EMBEDDING, 'embedding', ({ embed, loss }) => loss(embed())],
  [
    op.OP_GATHER_ROWS,
    'gatherRows',
    ({ graph, rows, embed, indices, loss }) => loss(gatherRows(graph, 'y', embed(), indices(), rows)),
  ],
  [op.OP_GEMM, 'linear', ({ graph, p, embed, loss }) => loss(linear(graph, 'y', embed(), p('w0'), { bias: p('b0') }))],
  [
    op.OP_GEMM,
    'linear, transposed',
    ({ graph, p, embed, loss }) => loss(linear(graph, 'y', embed(), p('w0'), { transposed: true })),
  ],
  ...([1, 0.7] as const).map(
    (factor) =>
      [
        op.OP_GEMM,
        `adaptedLinear, scale ${factor}`,
        ({ graph, p, embed, loss }: Bench) => {
          const x = embed();
          const lowRank = { input: x, a: p('lowA'), b: p('lowB'), scale: factor };
          loss(adaptedLinear(graph, 'y', x, p('w0'), { bias: p('b0') }, lowRank));
        },
      ] as const,
  ),
  [
    op.OP_LAYER_NORM,
    'layerNorm',
    ({ graph, p, embed, loss }) => loss(layerNorm(graph, 'y', embed(), p('scale0'), p('shift0'), 0.1)),
  ],
  ...(['scale0', 'scaleHead'] as const).flatMap((weight) =>
    ([0, 1] as const).map(
      (offset) =>
        [
          op.OP_RMS_NORM,
          `rmsNorm, offset ${offset}, weight ${weight}`,
          ({ graph, p, embed, loss }: Bench) => {
            const x = embed();
            loss(add(graph, 'y', rmsNorm(graph, 'norm', x, p(weight), { epsilon: 0.1, offset }), x));
          },
        ] as const,
    ),
  ),
  ...[false, true].map(
    (interleaved) =>
      [
        op.OP_ROTARY,
        `rotary, interleaved ${interleaved}`,
        ({ graph, embed, rotate, loss }: Bench) => {
          const x = embed();
          loss(add(graph, 'y', rotate('turned', x, interleaved), x));
        },
      ] as const,
  ),
  ...[false, true].map(
    (causal) =>
      [
        op.OP_ATTENTION,
        `attention, causal ${causal}`,
        ({ graph, p, embed, segments, heads, dropoutSource, loss }: Bench) => {
          const qkv = linear(graph, 'qkv', embed(), p('qkv'), { bias: p('bQkv') });
          loss(attention(graph, 'y', fusedInputs(qkv), segments, { heads, causal, dropout: 0.2, dropoutSource }));
        },
      ] as const,
  ),
];

describe('every rule', () => {
  it('has a case; panels have that of other products, and are checked in test/models/lora.test.ts', () => {
    expect(RULES.get(op.OP_GEMM_PANELS)).toBe(RULES.get(op.OP_GEMM));
    const covered = new Set<number>([...RULE_CASES.map(([opcode]) => opcode), op.OP_GEMM_PANELS]);
    expect([...covered].toSorted((a, b) => a - b)).toEqual([...RULES.keys()].toSorted((a, b) => a - b));
  });

  it.each(RULE_CASES)('of operation %i, %s: finite differences', (opcode, title, build) => {
    const recorded = recordGraph(SMALL, 6, build);
    const { operations } = recorded.graph;
    expect(operations.some((operation) => operation.opcode === opcode && operation.output?.requiresGrad)).toBe(true);
    checkFiniteDifferences(recorded, title);
    checkPadding(recorded, runReference(recorded));
  });

  it.each(RULE_CASES)('of operation %i, %s: the same on every binary and thread count', (_opcode, _title, build) =>
    checkEngines(SMALL, 6, build),
  );
});

describe('random graphs of all operations', () => {
  const seeds = Array.from({ length: 40 }, (_, i) => 1000 + i);
  const build = (seed: number) => (bench: Bench) => void buildRandom(bench, new Dice(seed));

  it.each(seeds)('seed %i: finite differences', (seed) => {
    const dimensions = randomDimensions(new Dice(seed * 3));
    let steps: string[] = [];
    const recorded = recordGraph(dimensions, seed, (bench) => {
      steps = buildRandom(bench, new Dice(seed));
    });
    checkFiniteDifferences(recorded, `seed ${seed} (${steps.join(', ')})`);
    checkPadding(recorded, runReference(recorded));
  });

  it('run the same on every binary and thread count', async () => {
    for (const seed of seeds) await checkEngines(randomDimensions(new Dice(seed * 3)), seed, build(seed));
  });

  it('contain every operation that has a gradient', () => {
    const seen = new Set<number>();
    for (const seed of seeds)
      for (const { opcode } of recordGraph(randomDimensions(new Dice(seed * 3)), seed, build(seed)).graph.operations)
        seen.add(opcode);
    const expected = Object.entries(op).filter(
      ([name]) =>
        /^OP_/.test(name) && !/NONE|CACHE|SUM$|SQUARES|CLIP|ADAMW|RANDOM|ENCODE|DECODE|QUANTIZE|PANELS/.test(name),
    );
    for (const [name, opcode] of expected) expect(seen.has(opcode as number), name).toBe(true);
    expect(seen.has(op.OP_COLUMN_SUM)).toBe(true);
  });
});

describe('what is recorded', () => {
  const opcodes = (build: (bench: Bench) => void) =>
    recordGraph(SMALL, 1, build).graph.operations.map(({ opcode }) => opcode);
  const copies = (build: (bench: Bench) => void) => opcodes(build).filter((opcode) => opcode === op.OP_COPY).length;

  it('a sum copies no gradient while nobody changes it', () => {
    expect(
      copies(({ graph, p, embed, loss }) => {
        const x = embed();
        loss(add(graph, 'y', linear(graph, 'a', x, p('w0')), linear(graph, 'b', x, p('w1'))));
      }),
    ).toBe(0);
  });

  it('the last owner of a shared gradient changes it in place, earlier ones copy', () => {
    // With a norm or more layers in between, the stream is the last owner in each block: GPT-1 and GPT-2 copy nothing.
    expect(copies(PATTERNS['residual blocks, pre-norm']!)).toBe(0);
    // Here the product reads the shared gradient while it writes the stream's.
    expect(copies(PATTERNS['residual blocks, post-norm']!)).toBe(2);
    expect(copies(PATTERNS['a shared gradient that its first owner changes']!)).toBe(1);
    expect(copies(PATTERNS['x + x']!)).toBe(2); // d x is a copy of d y, then d y is added
  });

  it('the gradient of a fused projection in its place: no zeros, no copies', () => {
    const recorded = opcodes(({ graph, p, segments, heads, embed, loss }) => {
      const inputs = fusedInputs(linear(graph, 'qkv', embed(), p('qkv')));
      loss(attention(graph, 'y', inputs, segments, { heads, causal: true, dropout: 0 }));
    });
    expect(recorded.filter((opcode) => opcode === op.OP_COPY || opcode === op.OP_FILL)).toEqual([]);
    expect(copies(PATTERNS['attention with queries, keys and values of their own']!)).toBe(0);
    expect(copies(PATTERNS['a fused projection read twice']!)).toBe(1);
  });

  it('nothing for a branch that no loss sees', () => {
    const recorded = recordGraph(SMALL, 1, PATTERNS['a branch that no loss sees']!);
    const labels = recorded.graph.operations.map(({ label }) => label);
    expect(labels.filter((label) => label.startsWith('d ') && /unseen|w2/.test(label))).toEqual([]);
    const { gradients } = runReference(recorded);
    const { offset, size } = recorded.table.get('w2');
    expect(Array.from(gradients).slice(offset, offset + size)).toEqual(new Array(size).fill(0));
  });

  it('no backward pass without gradients', () => {
    const { graph } = recordGraph(
      SMALL,
      1,
      (bench) => void buildRandom(bench, new Dice(3)),
      (table) => ({ table, weights: { label: 'weights', bytes: table.blockSize * 4, address: undefined } }),
    );
    const backward = new Set([
      op.OP_ACTIVATION_BACKWARD,
      op.OP_LAYER_NORM_BACKWARD,
      op.OP_EMBEDDING_BACKWARD,
      op.OP_ATTENTION_BACKWARD,
      op.OP_SCATTER_ROWS,
      op.OP_COLUMN_SUM,
      op.OP_COPY,
    ]);
    expect(graph.operations.filter(({ opcode }) => backward.has(opcode))).toEqual([]);
    expect(graph.training).toBe(false);
  });
});

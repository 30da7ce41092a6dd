/**
 * Small training graphs with every kind of input, run twice: by the reference machine in f64, where finite differences
 * are exact to many digits, and by an engine. Random ones are made of all operations in random order.
 */

import { SEGMENT_WORDS } from '../../src/abi/index.ts';
import { Graph, type ParameterBlocks } from '../../src/graph/graph.ts';
import { attention } from '../../src/graph/ops/attention.ts';
import type { QueryKeyValue, Segments } from '../../src/graph/ops/attention-heads.ts';
import { type DropoutSource, dropout } from '../../src/graph/ops/dropout.ts';
import { type ActivationName, activate, add, multiply, scale } from '../../src/graph/ops/elementwise.ts';
import { embedding, gatherRows } from '../../src/graph/ops/embedding.ts';
import { languageModelLoss } from '../../src/graph/ops/loss.ts';
import { adaptedLinear } from '../../src/graph/ops/low-rank.ts';
import { linear } from '../../src/graph/ops/matmul.ts';
import { layerNorm, rmsNorm } from '../../src/graph/ops/norm.ts';
import { rotary } from '../../src/graph/ops/rotary.ts';
import { type ParameterSpec, ParameterTable } from '../../src/graph/parameters.ts';
import { Plan } from '../../src/graph/plan.ts';
import { columnsOf, type Region, type Tensor } from '../../src/graph/tensor.ts';
import { TrainingGraph } from '../../src/graph/training-graph.ts';
import { zeroedBlock } from '../../src/models/weights/parameter-values.ts';
import type { Engine } from '../../src/runtime/engine.ts';
import { ReferenceMachine } from './reference.ts';

/** Seeded numbers: mulberry32. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  real(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** From low to high, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.real() * (high - low + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[this.whole(0, list.length - 1)]!;
  }

  /** Roughly normal, as f32. */
  normal(): number {
    return Math.fround((this.real() + this.real() + this.real() - 1.5) * 2);
  }
}

/** Sizes of a graph: R = B·T rows, C = heads · headSize columns, F inner columns, V classes. */
export interface Dimensions {
  readonly B: number;
  readonly T: number;
  readonly heads: number;
  readonly C: number;
  readonly F: number;
  readonly V: number;
}

export function randomDimensions(dice: Dice): Dimensions {
  const heads = dice.whole(1, 3);
  return {
    B: dice.whole(1, 3),
    T: dice.whole(1, 6),
    heads,
    C: heads * dice.whole(3, 9),
    F: dice.whole(1, 33),
    V: dice.whole(2, 21),
  };
}

function specsOf({ B, T, heads, C, F, V }: Dimensions): ParameterSpec[] {
  const shapes: Record<string, number[]> = {
    tokens: [V, C],
    positions: [T, C],
    head: [V, C],
    direct: [B * T, C],
    w0: [C, C],
    w1: [C, C],
    w2: [C, C],
    qkv: [C, 3 * C],
    up: [C, F],
    down: [F, C],
    lowA: [3, C],
    lowB: [C, 3],
    wide: [C, C - 1],
    tall: [C - 1, C],
    keyValue: [C, 2 * (C / heads)],
    b0: [C],
    b1: [C],
    bQkv: [3 * C],
    bUp: [F],
    scale0: [C],
    scaleHead: [C / heads],
    scale1: [C],
    shift0: [C],
    shift1: [C],
  };
  return Object.entries(shapes).map(([name, shape]) => ({ name, shape, init: { kind: 'constant', value: 0 } }));
}

export interface Bench extends Dimensions {
  readonly graph: Graph;
  readonly rows: number;
  readonly segments: Segments;
  readonly dropoutSource: DropoutSource;
  /** A parameter by name: specsOf. */
  p(name: string): Tensor;
  /** tokens + positions [R, C]. */
  embed(): Tensor;
  /** i32[R] row numbers, with repetitions. */
  indices(): Region;
  /** Turns the heads of x [R, C] by each row's position. */
  rotate(label: string, x: Tensor, interleaved: boolean): Tensor;
  /** Cross-entropy of x · tableᵀ against random targets, some of them ignored. */
  loss(x: Tensor, table?: string): void;
}

type Values = Int32Array | Uint32Array | Float32Array;

/** A recorded graph with the values of its inputs. */
export interface Recorded {
  readonly graph: Graph;
  readonly table: ParameterTable;
  readonly losses: readonly Region[];
  readonly inputs: readonly (readonly [Region, Values])[];
  /** What the parameters start from, laid out like the block. */
  readonly weights: Float32Array;
}

/** Records `build`, its backward pass, and random values for all that it reads. */
export function recordGraph(
  dimensions: Dimensions,
  seed: number,
  build: (bench: Bench) => void,
  makeBlocks?: (table: ParameterTable) => ParameterBlocks & { gradients?: Region },
): Recorded {
  const dice = new Dice(seed);
  const { B, T, C, V } = dimensions;
  const rows = B * T;
  const table = new ParameterTable(specsOf(dimensions));
  const region = (label: string): Region => ({ label, bytes: table.blockSize * 4, address: undefined });
  const blocks = makeBlocks?.(table) ?? { table, weights: region('weights'), gradients: region('gradients') };
  const graph = blocks.gradients ? new TrainingGraph(blocks, blocks.gradients) : new Graph(blocks);
  const inputs: [Region, Values][] = [];
  const input = (label: string, values: Values): Region => {
    const made = graph.region(label, values.length);
    inputs.push([made, values]);
    return made;
  };
  const whole = (count: number, low: number, high: number) =>
    Int32Array.from({ length: count }, () => dice.whole(low, high));
  const tokens = input('tokens', whole(rows, 0, V - 1));
  const positions = input(
    'positions',
    Int32Array.from({ length: rows }, (_, row) => row % T),
  );
  const cuts = new Int32Array(B * SEGMENT_WORDS);
  for (let s = 0; s < B; s++) cuts.set([s * T, T, 0, s], s * SEGMENT_WORDS);
  const segments = { table: input('segments', cuts), count: B, maxLength: T };
  const scale = input('scale', Float32Array.of(0.375));
  let stream = 0;
  const dropoutSource = { seed: input('seed', Uint32Array.of(seed, 7, 3)), nextStream: () => stream++ };
  const losses: Region[] = [];
  build({
    ...dimensions,
    graph,
    rows,
    segments,
    dropoutSource,
    p: (name) => graph.parameter(name),
    embed: () =>
      embedding(graph, 'embed', rows, tokens, positions, graph.parameter('tokens'), graph.parameter('positions')),
    indices: () => input('indices', whole(rows, 0, rows - 1)),
    rotate(label, x, interleaved) {
      const headSize = C / dimensions.heads;
      const rotaryDim = 2 * dice.whole(1, Math.floor(headSize / 2));
      const frequencies = input(
        'frequencies',
        Float32Array.from({ length: rotaryDim / 2 }, (_, i) => 100 ** ((-2 * i) / rotaryDim)),
      );
      const options = { headSize, rotaryDim, interleaved, factor: 1.25 };
      return rotary(graph, label, x, input('places', whole(rows, 0, 5000)), frequencies, options);
    },
    loss(x, head = 'head') {
      const targets = input('targets', whole(rows, -1, V - 1));
      const outputs = { losses: graph.region('losses', rows), correct: graph.region('correct', rows) };
      losses.push(outputs.losses);
      languageModelLoss(graph, 'loss', x, graph.parameter(head), { targets, scale, ...outputs });
    },
  });
  if (graph instanceof TrainingGraph) graph.backward();
  const weights = new Float32Array(table.blockSize);
  for (const { name, shape, offset, size } of table.list) {
    // Matrices keep the magnitude of what they are multiplied with: deep random graphs stay well-conditioned.
    const deviation = shape.length > 1 ? 1 / Math.sqrt(name === 'down' ? shape[0]! : C) : 0.3;
    for (let i = 0; i < size; i++) weights[offset + i] = (name.startsWith('scale') ? 1 : 0) + deviation * dice.normal();
  }
  return { graph, table, losses, inputs, weights };
}

export const ACTIVATIONS: readonly ActivationName[] = ['gelu-tanh', 'gelu-erf', 'relu', 'silu', 'tanh', 'sigmoid'];
/** Queries, keys and values of one product: thirds of its columns. */
export function fusedInputs(qkv: Tensor): QueryKeyValue {
  const third = qkv.cols / 3;
  const [query, key, value] = [0, 1, 2].map((part) => columnsOf(qkv, part * third, third)) as [Tensor, Tensor, Tensor];
  return { query, key, value };
}

/** Steps that make a tensor [R, C] from others of that shape; all of src/graph/ops, in shapes that fit together. */
const STEPS: Record<string, (bench: Bench, dice: Dice, pick: () => Tensor, label: string) => Tensor> = {
  add: ({ graph }, _dice, pick, label) => add(graph, label, pick(), pick()),
  double({ graph }, _dice, pick, label) {
    const x = pick();
    return add(graph, label, x, x);
  },
  triple({ graph }, _dice, pick, label) {
    const x = pick();
    return add(graph, label, x, add(graph, `${label} inner`, x, x));
  },
  addParameter: ({ graph, p }, _dice, pick, label) => add(graph, label, pick(), p('direct')),
  linear({ graph, p }, dice, pick, label) {
    const transposed = dice.real() < 0.5;
    const weight = p(dice.pick(['w0', 'w1', 'w2']));
    const bias = dice.real() < 0.5 ? { bias: p(dice.pick(['b0', 'b1'])) } : {};
    return linear(graph, label, pick(), weight, { transposed, ...bias });
  },
  adapted({ graph, p, dropoutSource }, dice, pick, label) {
    const x = pick();
    const input = dropout(graph, `${label} dropout`, x, dice.pick([0, 0.3]), dropoutSource);
    const lowRank = { input, a: p('lowA'), b: p('lowB'), scale: dice.pick([1, 0.7]) };
    return adaptedLinear(graph, label, x, p(dice.pick(['w0', 'w1'])), { bias: p('b0') }, lowRank);
  },
  mlp({ graph, p }, dice, pick, label) {
    const inner = linear(graph, `${label} up`, pick(), p('up'), { bias: p('bUp') });
    const active = activate(graph, `${label} gelu`, inner, dice.pick(ACTIVATIONS));
    return linear(graph, label, active, p('down'));
  },
  activation: ({ graph }, dice, pick, label) => activate(graph, label, pick(), dice.pick(ACTIVATIONS)),
  multiply: ({ graph }, _dice, pick, label) => multiply(graph, label, pick(), pick()),
  gated({ graph, p }, _dice, pick, label) {
    const x = pick();
    const gate = activate(graph, `${label} silu`, linear(graph, `${label} gate`, x, p('up')), 'silu');
    return linear(
      graph,
      label,
      multiply(graph, `${label} product`, gate, linear(graph, `${label} up`, x, p('up'))),
      p('down'),
    );
  },
  scale: ({ graph }, dice, pick, label) => scale(graph, label, pick(), dice.pick([0.5, -1.25])),
  rmsNorm({ graph, p }, dice, pick, label) {
    const options = { epsilon: 0.1, offset: dice.pick([0, 1] as const) };
    return rmsNorm(graph, label, pick(), p(dice.pick(['scale0', 'shift1', 'scaleHead'])), options);
  },
  rotary: ({ rotate }, dice, pick, label) => rotate(label, pick(), dice.real() < 0.5),
  norm({ graph, p }, dice, pick, label) {
    const which = dice.pick(['0', '1']);
    return layerNorm(graph, label, pick(), p(`scale${which}`), p(`shift${which}`), 0.1);
  },
  residual({ graph, p }, _dice, pick, label) {
    const x = pick();
    const inner = linear(
      graph,
      `${label} inner`,
      layerNorm(graph, `${label} norm`, x, p('scale0'), p('shift0'), 0.1),
      p('w0'),
    );
    return add(graph, label, x, inner);
  },
  attention({ graph, p, segments, heads, dropoutSource }, dice, pick, label) {
    const qkv = linear(graph, `${label} qkv`, pick(), p('qkv'), { bias: p('bQkv') });
    const options = { heads, causal: dice.real() < 0.7, dropout: dice.pick([0, 0.3]), dropoutSource };
    return attention(graph, label, fusedInputs(qkv), segments, options);
  },
  groupedAttention(bench, dice, pick, label) {
    const { graph, p, segments, heads, C, dropoutSource } = bench;
    const query = linear(graph, `${label} query`, pick(), p(dice.pick(['w0', 'w1'])));
    const keyValueHeads = dice.pick([1, heads]);
    const width = (C / heads) * keyValueHeads;
    // Keys and values: columns of one tensor, which may be the queries', or used again, or have columns that nobody reads.
    const source = dice.pick([query, pick(), linear(graph, `${label} key`, pick(), p('w2'))]);
    const [key, value] = [0, C - width].map((first) => columnsOf(source, first, width)) as [Tensor, Tensor];
    const causal = dice.real() < 0.7;
    const window = causal ? dice.pick([0, 1, 2, 4]) : 0;
    const options = { keyValueHeads, window, scale: dice.pick([0.7, undefined]), dropout: dice.pick([0, 0.3]) };
    return attention(graph, label, { query, key, value }, segments, { heads, causal, dropoutSource, ...options });
  },
  columns({ graph, p, C }, dice, pick, label) {
    const columns = columnsOf(pick(), 1, C - 1);
    const transposed = dice.real() < 0.5;
    const weight = p(transposed ? 'wide' : 'tall'); // [C, C − 1] or [C − 1, C]
    return linear(graph, label, columns, weight, { transposed });
  },
  dropout: ({ graph, dropoutSource }, dice, pick, label) =>
    dropout(graph, label, pick(), dice.pick([0.1, 0.6]), dropoutSource),
  gather: ({ graph, rows, indices }, _dice, pick, label) => gatherRows(graph, label, pick(), indices(), rows),
};

/** A random graph of 3 to 14 steps and 1 to 3 losses, also in the middle; `steps` names what it is made of. */
export function buildRandom(bench: Bench, dice: Dice): string[] {
  const pool = [bench.embed()];
  if (dice.real() < 0.2) pool.push(bench.p('direct'));
  const steps: string[] = [];
  // Mostly the latest, so that graphs grow long; sometimes any.
  const pick = () => (dice.real() < 0.6 ? pool.at(-1)! : dice.pick(pool));
  for (let count = dice.whole(3, 14); count > 0; count--) {
    const kind = dice.pick(Object.keys(STEPS));
    steps.push(kind);
    pool.push(STEPS[kind]!(bench, dice, pick, `${steps.length} ${kind}`));
    if (dice.real() < 0.1) {
      steps.push('loss');
      bench.loss(pool.at(-1)!, dice.pick(['head', 'tokens']));
    }
  }
  bench.loss(pool.at(-1)!, dice.pick(['head', 'tokens']));
  return steps;
}

/** Losses and gradients of a recorded graph. */
export interface Result {
  readonly losses: readonly ArrayLike<number>[];
  /** Laid out like the block. */
  readonly gradients: ArrayLike<number>;
}

/** Runs a graph by the reference machine, at other weights than its own when they are given. */
export function runReference(recorded: Recorded, weights: ArrayLike<number> = recorded.weights): Result {
  const machine = new ReferenceMachine(recorded.graph);
  for (const [region, values] of recorded.inputs) machine.values(region).set(values);
  machine.values(recorded.graph.parameters.weights).set(weights);
  machine.run();
  const { graph } = recorded;
  return {
    losses: recorded.losses.map((region) => machine.values(region)),
    gradients: graph instanceof TrainingGraph ? machine.values(graph.gradients) : [],
  };
}

/** Fills the memory that will be handed out next with NaN: a read before a write shows. */
export async function poison(engine: Engine, bytes: number): Promise<void> {
  const address = await engine.allocate(bytes, 'poison');
  engine.write(address, new Float32Array(bytes / 4).fill(Number.NaN));
  engine.release(address);
}

/** Records the same graph for an engine, runs it, and gives the memory back. */
export async function runEngine(
  engine: Engine,
  dimensions: Dimensions,
  seed: number,
  build: (bench: Bench) => void,
): Promise<Result> {
  const table = new ParameterTable(specsOf(dimensions));
  await poison(engine, 6 << 20);
  const weights = await zeroedBlock(engine, table, 'weights');
  const gradients = await zeroedBlock(engine, table, 'gradients');
  const recorded = recordGraph(dimensions, seed, build, () => ({
    table,
    weights: weights.region,
    gradients: gradients.region,
  }));
  const plan = await Plan.compile(engine, recorded.graph);
  engine.write(weights.region.address!, recorded.weights);
  for (const [region, values] of recorded.inputs) plan.write(region, values);
  await plan.run();
  const losses = await Promise.all(recorded.losses.map((region) => engine.readF32(region.address!, region.bytes / 4)));
  const result = { losses, gradients: await engine.readF32(gradients.region.address!, table.blockSize) };
  plan.dispose();
  weights.release();
  gradients.release();
  return result;
}

/** 0.375 · Σ of all losses: what the gradients are of. */
export function totalLoss({ losses }: Result): number {
  let sum = 0;
  for (const rows of losses) for (let i = 0; i < rows.length; i++) sum += rows[i]!;
  return 0.375 * sum;
}

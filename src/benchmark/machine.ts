/** What the machine does for the kernels, whatever the model: matrix products of GPT-2's shapes, and reading memory. */
import { Graph } from '../graph/graph.ts';
import { linear } from '../graph/ops/matmul.ts';
import type { ParameterSpec } from '../graph/parameters.ts';
import { Plan } from '../graph/plan.ts';
import { initialize, ParameterBlock } from '../models/index.ts';
import { Engine, type EngineOptions } from '../runtime/engine.ts';
import type { Task } from './measure.ts';
import { stopwatch } from './works.ts';

/** out[rows, outputs] = inp[rows, inputs] · weight. */
interface Product {
  readonly name: string;
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
  /** The weight is stored [outputs, inputs]. */
  readonly transposed?: boolean;
}

const [nEmbd, nInner, vocabSize] = [768, 3072, 50257];

/** The forward products of GPT-2 124M; the rows of the last one are about a chunk of the loss. */
const PRODUCTS: readonly Product[] = [
  { name: 'gemm-qkv', rows: 512, inputs: nEmbd, outputs: 3 * nEmbd },
  { name: 'gemm-attnProj', rows: 512, inputs: nEmbd, outputs: nEmbd },
  { name: 'gemm-mlpUp', rows: 512, inputs: nEmbd, outputs: nInner },
  { name: 'gemm-mlpDown', rows: 512, inputs: nInner, outputs: nEmbd },
  { name: 'gemm-logits', rows: 256, inputs: nEmbd, outputs: vocabSize, transposed: true },
];

/** One row times a table of 256 MiB, more than caches hold: what decoding does, and as fast as memory can be read. */
const READ: Product = { name: 'memory', rows: 1, inputs: 1024, outputs: 65536, transposed: true };

export function gemm(options: EngineOptions, now: () => number): AsyncGenerator<Task> {
  return tasksOf(PRODUCTS, options, now, ({ rows, inputs, outputs }) => ({
    detail: `product of ${rows} × ${inputs} and ${inputs} × ${outputs}`,
    unit: 'GFLOP/s',
    amount: (2 * rows * inputs * outputs) / 1e9,
  }));
}

export function memory(options: EngineOptions, now: () => number): AsyncGenerator<Task> {
  return tasksOf([READ], options, now, ({ inputs, outputs }) => ({
    detail: `reading a table of ${(inputs * outputs) / 2 ** 18} MiB once`,
    unit: 'GB/s',
    amount: (inputs * outputs * 4) / 1e9,
  }));
}

/** Products in an engine of their own: one plan, a section for each. */
async function* tasksOf(
  products: readonly Product[],
  options: EngineOptions,
  now: () => number,
  describe: (product: Product) => Pick<Task, 'detail' | 'unit' | 'amount'>,
): AsyncGenerator<Task> {
  const engine = await Engine.create(options);
  try {
    const block = await ParameterBlock.allocate(engine, products.flatMap(specsOf));
    await initialize(engine, block, 1);
    const graph = new Graph({ table: block.table, weights: block.region });
    for (const { name, transposed = false } of products) {
      const [inp, weight] = [graph.parameter(`${name}.inp`), graph.parameter(`${name}.weight`)];
      graph.section(name);
      linear(graph, name, inp, weight, { transposed });
    }
    const plan = await Plan.compile(engine, graph, 'products');
    for (const product of products) {
      const { name } = product;
      yield { name, ...describe(product), time: () => stopwatch(now, () => plan.run(name)) };
    }
  } finally {
    engine.dispose();
  }
}

/** Operands with numbers in them: zeros and denormals would be measured differently. */
function specsOf({ name, rows, inputs, outputs, transposed = false }: Product): ParameterSpec[] {
  const init = { kind: 'normal', std: 1 } as const;
  return [
    { name: `${name}.inp`, shape: [rows, inputs], init },
    { name: `${name}.weight`, shape: transposed ? [outputs, inputs] : [inputs, outputs], init },
  ];
}

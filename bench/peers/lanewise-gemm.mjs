// lanewise: one product with a constant weight. Weights in panels are what inference uses, `f32` (file order) what training uses.
// Its parts are not exported, so this one runs from the sources.
// task: { m, n, k, encoding: 'packed' | 'f32', precision, threads }
import { matrices, timeProduct } from './gemm-data.mjs';
import { describe, source } from './lanewise.mjs';
import { serveSamples } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const { m, n, k, encoding = 'packed', precision, threads } = task;
const modules = [
  'runtime/engine.ts',
  'graph/graph.ts',
  'graph/plan.ts',
  'graph/ops/matmul.ts',
  'models/weights/parameter-block.ts',
  'models/weights/parameter-values.ts',
];
const [{ Engine }, { Graph }, { Plan }, { linear }, { ParameterBlock }, { writeValues }] = await Promise.all(
  modules.map(source),
);
const { a, b } = matrices(task);
const engine = await Engine.create({ threads, precision });
const specs = [{ name: 'weight', shape: [k, n], init: { kind: 'constant', value: 0 }, product: 'in-out' }];
const block = await ParameterBlock.allocate(engine, specs, encoding);
await writeValues(block, 'weight', b);
const graph = new Graph({ table: block.table, weights: block.region });
const input = graph.region('input', m * k);
const out = graph.keep(linear(graph, 'product', graph.view(input, m, k), graph.parameter('weight')));
const plan = await Plan.compile(engine, graph);
plan.write(input, a);
await plan.run();
const order = encoding === 'f32' ? ', weights in file order' : '';
await serveSamples(`${describe(engine.info)}${order}`, async () => {
  const { seconds } = await timeProduct(() => plan.run());
  return { seconds, check: (await plan.read(out)).at(-1) };
});
process.exit(0);

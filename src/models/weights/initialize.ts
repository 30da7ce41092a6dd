/** First values of parameters. */
import * as op from '../../abi/index.ts';
import { ConfigError } from '../../errors.ts';
import { f32Word, Graph } from '../../graph/graph.ts';
import { recordFill } from '../../graph/ops/fill.ts';
import { Plan } from '../../graph/plan.ts';
import type { Engine } from '../../runtime/engine.ts';
import type { ParameterBlock } from './parameter-block.ts';

/** @throws ConfigError unless it is a whole number from 0 to 2^53 − 1 */
export function checkSeed(seed: number, where: string): void {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ConfigError(`${where}: expected seed to be a whole number from 0 to 2^53 − 1, got ${seed}.`);
}

/** Fills a block by each parameter's initializer; parameter i draws from stream i of the seed. */
export async function initialize(engine: Engine, block: ParameterBlock, seed: number): Promise<void> {
  const graph = new Graph({ table: block.table, weights: block.region });
  const key = graph.region('seed', 3);
  block.table.list.forEach((parameter, stream) => {
    const out = block.table.tensor(block.region, parameter.name);
    const { size, init } = parameter;
    if (init.kind === 'normal')
      graph.record({
        opcode: op.OP_RANDOM_NORMAL,
        label: parameter.name,
        fields: [
          [op.RANDOM_NORMAL_OUT, out],
          [op.RANDOM_NORMAL_COUNT, size],
          [op.RANDOM_NORMAL_STD, f32Word(init.std)],
          [op.RANDOM_NORMAL_SEED, key],
          [op.RANDOM_NORMAL_STREAM, stream],
        ],
      });
    else recordFill(graph, parameter.name, out, init.value);
  });
  const plan = await Plan.compile(engine, graph, 'initialization');
  plan.write(key, new Uint32Array([seed % 2 ** 32, Math.floor(seed / 2 ** 32), 0]));
  await plan.run();
  plan.dispose();
}

/** Models of new weights. */

import * as op from '../abi/index.ts';
import { ConfigError } from '../errors.ts';
import type { GPTConfig } from '../formats/index.ts';
import { f32Word, Graph } from '../graph/graph.ts';
import type { Initializer } from '../graph/parameters.ts';
import { Plan } from '../graph/plan.ts';
import type { Engine } from '../runtime/engine.ts';
import { type CreateOptions, type GPT, type GPTClass, withEngine } from './gpt.ts';
import { ParameterBlock } from './parameter-block.ts';

/**
 * A model of new weights: engine, block, initialization. Biases start from 0, layer norms from 1, all else from a normal distribution.
 * @param deviationOf its standard deviation, for the parameter of this name
 */
export async function createGPT<M extends GPT>(
  type: GPTClass<M>,
  config: GPTConfig,
  deviationOf: (name: string) => number,
  { seed = 0, ...options }: CreateOptions,
): Promise<M> {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ConfigError(`${type.name}.create: expected seed to be a whole number from 0 to 2^53 − 1, got ${seed}.`);
  return withEngine(options, 'full', async (engine) => {
    const specs = type.parameters(config).map((spec) => ({ ...spec, init: initializer(spec.name, deviationOf) }));
    const block = await ParameterBlock.allocate(engine, specs);
    await initialize(engine, block, seed);
    return new type(config, engine, block);
  });
}

function initializer(name: string, deviationOf: (name: string) => number): Initializer {
  if (name.endsWith('.bias')) return { kind: 'constant', value: 0 };
  if (/\.ln_(1|2|f)\.weight$/.test(name)) return { kind: 'constant', value: 1 };
  return { kind: 'normal', std: deviationOf(name) };
}

/** Fills a block by each parameter's initializer; parameter i draws from stream i of the seed. */
export async function initialize(engine: Engine, block: ParameterBlock, seed: number): Promise<void> {
  const graph = new Graph({ table: block.table, weights: block.region });
  const key = graph.region('seed', 3);
  block.table.list.forEach((parameter, stream) => {
    const out = block.table.tensor(block.region, parameter.name);
    const { size } = parameter;
    const init = parameter.init!;
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
    else
      graph.record({
        opcode: op.OP_FILL,
        label: parameter.name,
        fields: [
          [op.FILL_OUT, out],
          [op.FILL_ROWS, 1],
          [op.FILL_COLS, size],
          [op.FILL_VALUE, f32Word(init.value)],
        ],
      });
  });
  const plan = await Plan.compile(engine, graph, 'initialization');
  plan.write(key, new Uint32Array([seed % 2 ** 32, Math.floor(seed / 2 ** 32), 0]));
  await plan.run();
  plan.dispose();
}

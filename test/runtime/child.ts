/**
 * A program of its own for exit.test.ts: makes an engine of argv[4] threads, does what argv[3] says, prints `end`, and
 * reaches the end of its code. Whether the process then ends is the question.
 */
import { Graph } from '../../src/graph/graph.ts';
import { fill } from '../../src/graph/ops/fill.ts';
import { sum } from '../../src/graph/ops/sum.ts';
import { ParameterTable } from '../../src/graph/parameters.ts';
import { Plan } from '../../src/graph/plan.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { trapBehindThread0 } from './trap.ts';

const [what, threads] = [process.argv[3]!, Number(process.argv[4])];

const table = new ParameterTable([]);
const region = { label: 'nothing', bytes: 0, address: 64 };

/** A plan that fills 1,000 words with ones, or one of an opcode that does not exist. */
async function planOf(engine: Engine, isBroken = false): Promise<{ run(): Promise<void>; ones(): Promise<number> }> {
  const graph = new Graph({ table, weights: region });
  const out = graph.region('out', 1000);
  if (isBroken) graph.record({ opcode: 99, label: 'broken', fields: [] });
  else fill(graph, 'ones', out, 1);
  const plan = await Plan.compile(engine, graph);
  return { run: () => plan.run(), ones: async () => (await plan.readRegion(out)).filter((v) => v === 1).length };
}

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return (error as Error).name;
  }
}

const engine = await Engine.create({ threads, precision: 'exact' });
if (engine.threads !== threads) throw new Error(`${engine.threads} threads`);

switch (what) {
  case 'nothing':
    break;
  case 'dispose':
    engine.dispose();
    break;
  case 'run': {
    const plan = await planOf(engine);
    for (let i = 0; i < 10; i++) await plan.run();
    console.log(await plan.ones());
    break;
  }
  case 'run and dispose': {
    const plan = await planOf(engine);
    await plan.run();
    console.log(await plan.ones());
    engine.dispose();
    break;
  }
  case 'dispose at once': {
    const plan = await planOf(engine);
    await new Promise((resolve) => setTimeout(resolve, 100)); // then a run also gives the event loop a turn
    const running = plan.run();
    engine.dispose();
    console.log(await failure(running));
    break;
  }
  case 'many': {
    for (let round = 0; round < 20; round++) {
      const other = await Engine.create({ threads, precision: 'exact' });
      const plan = await planOf(other);
      await plan.run();
      if ((await plan.ones()) !== 1000) throw new Error(`round ${round}`);
      if (round % 2) other.dispose();
    }
    break;
  }
  case 'add up': {
    for (let round = 0; round < 10; round++) {
      const other = await Engine.create({ threads, precision: 'exact' });
      const graph = new Graph({ table, weights: region });
      const [numbers, total] = [graph.region('numbers', 1000), graph.region('total', 1)];
      fill(graph, 'ones', numbers, 1);
      sum(graph, 'sum', total, numbers, 1000);
      const plan = await Plan.compile(other, graph);
      for (let run = 0; run < 10; run++) {
        plan.write(total, new Int32Array(1));
        await plan.run();
        const [found] = await plan.readRegion(total);
        if (found !== 1000) throw new Error(`round ${round}, run ${run}: ${found}`);
      }
      other.dispose();
    }
    break;
  }
  case 'trap': {
    console.log(await failure((await planOf(engine, true)).run()));
    break;
  }
  case 'trap in a worker': {
    const plan = await trapBehindThread0(engine);
    console.log(await failure(plan.run()));
    console.log(await failure(plan.run()));
    break;
  }
  case 'trap and dispose': {
    console.log(await failure((await planOf(engine, true)).run()));
    engine.dispose();
    engine.dispose();
    break;
  }
  case 'trap and run again': {
    const [good, broken] = [await planOf(engine), await planOf(engine, true)];
    await good.run();
    console.log(await failure(broken.run()));
    console.log(await failure(good.run()));
    break;
  }
  case 'exit':
    await (await planOf(engine)).run();
    console.log('end');
    process.exit(0);
    break;
  case 'throw':
    await (await planOf(engine)).run();
    console.log('end');
    throw new Error('on purpose');
  default:
    throw new Error(`unknown: ${what}`);
}
console.log('end');

/** The engine: options, information, memory, the end of its life. Whether a process ends is in exit.test.ts. */

import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { CONTROL_BYTES } from '../../src/abi/index.ts';
import { ConfigError, DisposedError, EngineError, LanewiseError, MemoryError } from '../../src/errors.ts';
import { Graph } from '../../src/graph/graph.ts';
import { fill } from '../../src/graph/ops/fill.ts';
import { sum } from '../../src/graph/ops/sum.ts';
import { ParameterTable } from '../../src/graph/parameters.ts';
import { Plan } from '../../src/graph/plan.ts';
import { createModel } from '../../src/models/create.ts';
import { forward } from '../../src/models/forward.ts';
import { Session } from '../../src/models/inference/session.ts';
import { MEMORY_LIMIT_BYTES } from '../../src/runtime/allocator.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { probeFeatures } from '../../src/runtime/probe.ts';

import { trapBehindThread0 } from './trap.ts';

const TINY = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, vocabSize: 16 };

/** A plan over `count` numbers: sets them to `value` and adds them up. */
async function summing(engine: Engine, count: number, value: number) {
  const graph = new Graph({
    table: new ParameterTable([]),
    weights: { label: 'no parameters', bytes: 0, address: 64 },
  });
  const [numbers, total] = [graph.region('numbers', count), graph.region('total', 1)];
  fill(graph, 'fill', numbers, value);
  sum(graph, 'sum', total, numbers, count);
  const plan = await Plan.compile(engine, graph);
  return {
    plan,
    async run() {
      await plan.run();
      return (await plan.readRegion(total))[0]!;
    },
  };
}

/** Threads of this process, as the system counts them; undefined where it does not say. */
function threadCount(): number | undefined {
  try {
    return Number(/^Threads:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  } catch {
    return undefined;
  }
}

async function settle(until: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !until(); i++) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The number of threads once those of earlier tests have ended. */
async function quietThreadCount(): Promise<number | undefined> {
  let count = threadCount();
  for (let same = 0; same < 10 && count !== undefined; same++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = threadCount();
    if (now !== count) same = 0;
    count = now;
  }
  return count;
}

describe('options', () => {
  it.each([0, -1, 1.5, 257, Number.NaN, Number.POSITIVE_INFINITY, '2', null])('refuses %s threads', async (threads) => {
    const creating = Engine.create({ threads: threads as number });
    await expect(creating).rejects.toThrow(ConfigError);
    await expect(creating).rejects.toThrow(`engine: expected threads from 1 to 256, got ${threads}.`);
  });

  it.each(['Exact', '', 'f64', null, 1])('refuses precision %j', async (precision) => {
    const creating = Engine.create({ precision: precision as 'exact' });
    await expect(creating).rejects.toThrow(ConfigError);
    await expect(creating).rejects.toThrow(
      `engine: expected precision 'exact' or 'fast', got ${JSON.stringify(precision)}.`,
    );
  });

  it('takes undefined as absent', async () => {
    const engine = await Engine.create({ threads: undefined, precision: undefined });
    expect(engine.threads).toBe(Math.min(availableParallelism(), 16));
    expect(engine.info.precision).toBe(probeFeatures().relaxedSimd ? 'fast' : 'exact');
    engine.dispose();
  });
});

describe('info', () => {
  const nodeMajor = Number(process.versions.node.split('.')[0]);

  it('offers relaxed SIMD where it is faster: from Node 24 on', () => {
    expect(probeFeatures().relaxedSimd).toBe(nodeMajor >= 24);
  });

  it.each([
    ['exact', 1],
    ['exact', 2],
    ['fast', 1],
    ['fast', 3],
  ] as const)('says what %s with %i threads runs', async (precision, threads) => {
    const engine = await Engine.create({ precision, threads });
    const isFast = precision === 'fast' && probeFeatures().relaxedSimd;
    expect(engine.info).toEqual({
      runtime: `node ${process.versions.node}`,
      binary: `${isFast ? 'relaxed' : 'simd128'}${threads > 1 ? '-threads' : ''}`,
      precision: isFast ? 'fast' : 'exact',
      threads,
      notes:
        precision === 'fast' && !isFast
          ? [
              nodeMajor < 22
                ? 'exact instead of fast: this runtime has no relaxed SIMD (Node 24 or later has)'
                : 'exact instead of fast: the compiler of this runtime, of before 2025, has too few registers for relaxed SIMD (Node 24 or later has enough)',
            ]
          : [],
    });
    expect(engine.threads).toBe(threads);
    engine.dispose();
  });
});

describe('memory', () => {
  it('hands out aligned blocks that do not overlap, and takes them back', async () => {
    const engine = await Engine.create({ threads: 1 });
    expect(engine.usedBytes).toBe(0);
    const sizes = [1, 64, 65, 1000, 0, 1 << 20];
    const blocks: { at: number; size: number }[] = [];
    for (const size of sizes) blocks.push({ at: await engine.allocate(size, 'a block'), size });
    for (const { at } of blocks) {
      expect(at % 64).toBe(0);
      expect(at).toBeGreaterThanOrEqual(engine.control + CONTROL_BYTES); // behind the control block
    }
    const sorted = blocks.toSorted((a, b) => a.at - b.at);
    sorted.forEach(({ at, size }, i) => {
      if (i > 0) expect(at).toBeGreaterThanOrEqual(sorted[i - 1]!.at + Math.max(1, sorted[i - 1]!.size));
      engine.write(at, new Float32Array(size >> 2).fill(at));
    });
    for (const { at, size } of blocks)
      expect(await engine.readF32(at, size >> 2)).toEqual(new Float32Array(size >> 2).fill(at));
    expect(engine.usedBytes).toBe(64 + 64 + 128 + 1024 + 64 + (1 << 20));
    for (const { at } of blocks.toReversed()) engine.release(at);
    expect(engine.usedBytes).toBe(0);
    const first = await engine.allocate(1 << 16, 'again');
    expect(first).toBe(sorted[0]!.at);
    engine.release(first);
    expect(() => engine.release(first)).toThrow(LanewiseError);
    expect(() => engine.release(first)).toThrow(`allocator: expected an allocated address, got ${first}.`);
    engine.dispose();
  });

  it('refuses more than 4 GiB before it takes anything', async () => {
    for (const threads of [1, 2]) {
      const engine = await Engine.create({ threads });
      const [used, available] = [engine.usedBytes, engine.availableBytes];
      expect(available).toBeLessThan(2 ** 32);
      const started = performance.now();
      for (const bytes of [available + 1, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
        const error = await engine.allocate(bytes, 'a whale').catch((caught: unknown) => caught);
        expect(error).toBeInstanceOf(MemoryError);
        const { message, requestedBytes, limitBytes } = error as MemoryError;
        expect(requestedBytes).toBe(bytes);
        expect(limitBytes).toBe(MEMORY_LIMIT_BYTES);
        const asked = Math.ceil(bytes / 2 ** 20).toLocaleString('en-US');
        expect(message).toBe(
          `engine: expected at most 4,096 MiB for a whale, got ${asked} MiB (WebAssembly memory ends at 4,096 MiB, ` +
            '0 MiB are in use). Use a smaller model, batch or context.',
        );
      }
      expect(performance.now() - started).toBeLessThan(1000);
      expect([engine.usedBytes, engine.availableBytes]).toEqual([used, available]);
      // It goes on as if nothing had been asked.
      const address = await engine.allocate(1000, 'a minnow');
      engine.write(address, Float32Array.of(1, 2, 3));
      expect([...(await engine.readF32(address, 3))]).toEqual([1, 2, 3]);
      engine.dispose();
    }
  });

  it('refuses a model that does not fit, and leaves no threads behind', async () => {
    const before = await quietThreadCount();
    const creating = createModel('gpt2', { size: '1.5B', threads: 3 });
    await expect(creating).rejects.toThrow(MemoryError);
    await expect(creating).rejects.toThrow(/for parameters \(1,557,611,200 values\), got 5,94\d MiB/);
    if (before !== undefined) {
      await settle(() => threadCount()! <= before);
      expect(threadCount()).toBeLessThanOrEqual(before);
    }
  });
});

describe('the end of its life', () => {
  it('disposing twice is disposing once', async () => {
    for (const threads of [1, 3]) {
      const engine = await Engine.create({ threads });
      expect(engine.disposed).toBe(false);
      engine.dispose();
      expect(engine.disposed).toBe(true);
      engine.dispose();
      expect(engine.disposed).toBe(true);
      expect(engine.info.threads).toBe(threads); // what it was
    }
  });

  it('every call after it throws DisposedError', async () => {
    const message = 'engine: expected a live model, got a disposed one. Load or create it again.';
    const engine = await Engine.create({ threads: 2 });
    const { plan, run } = await summing(engine, 10, 1);
    expect(await run()).toBe(10);
    const address = await engine.allocate(64, 'a block');
    engine.dispose();
    for (const call of [
      async () => engine.allocate(64, 'more'),
      async () => engine.write(address, new Uint8Array(4)),
      async () => engine.readF32(address, 1),
      async () => engine.run(address, 0, 0),
      async () => plan.run(),
      run,
    ]) {
      await expect(call()).rejects.toThrow(DisposedError);
      await expect(call()).rejects.toThrow(message);
    }
    engine.release(address); // there is nothing left to return to
    plan.dispose();
  });

  it('models and sessions say the same', async () => {
    const model = await createModel('gpt2', { ...TINY, threads: 2 });
    const session = await Session.create(model);
    await session.append([{ tokens: [1, 2, 3] }]);
    model.dispose();
    model.dispose();
    await expect(forward(model, [1])).rejects.toThrow(DisposedError);
    await expect(session.append([{ tokens: [4], position: 3 }])).rejects.toThrow(DisposedError);
    await expect(model.readParameter(model.head.table)).rejects.toThrow(DisposedError);
    await expect(Session.create(model)).rejects.toThrow(DisposedError);
    session.dispose();
    session.dispose();
  });

  it('`using` disposes', async () => {
    const model = await createModel('gpt2', { ...TINY, threads: 1 });
    model[Symbol.dispose]();
    expect(model.engine.disposed).toBe(true);
  });
});

describe('threads', () => {
  it('start with the engine and stop when it is disposed', async () => {
    const before = await quietThreadCount();
    const engine = await Engine.create({ threads: 5 });
    if (before === undefined) return engine.dispose(); // this system does not count
    expect(threadCount()).toBeGreaterThanOrEqual(before + 4);
    const { run } = await summing(engine, 1000, 2);
    for (let i = 0; i < 50; i++) expect(await run()).toBe(2000);
    engine.dispose();
    await settle(() => threadCount()! <= before);
    expect(threadCount()).toBeLessThanOrEqual(before);
  });

  it('100 engines, made and disposed, leave no threads and no memory', async () => {
    const MiB = 2 ** 20;
    const round = async () => {
      const engine = await Engine.create({ threads: 3 });
      const { run } = await summing(engine, MiB, 1);
      expect(await run()).toBe(MiB);
      engine.dispose();
    };
    for (let i = 0; i < 10; i++) await round();
    const [threads, rss] = [await quietThreadCount(), process.memoryUsage().rss];
    for (let i = 0; i < 100; i++) await round();
    // Each took more than 4 MiB: with the memory of the dead, 100 would be more than 400.
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await settle(() => {
      collect();
      return process.memoryUsage().rss - rss < 100 * MiB;
    });
    expect((process.memoryUsage().rss - rss) / MiB).toBeLessThan(100);
    if (threads === undefined) return;
    await settle(() => threadCount()! <= threads);
    expect(threadCount()).toBeLessThanOrEqual(threads);
  });

  it('two engines work side by side', async () => {
    const [one, two] = await Promise.all([
      Engine.create({ threads: 2, precision: 'exact' }),
      Engine.create({ threads: 3, precision: 'fast' }),
    ]);
    const [a, b] = await Promise.all([summing(one, 500, 1), summing(two, 300, 2)]);
    for (let i = 0; i < 20; i++) expect(await Promise.all([a.run(), b.run()])).toEqual([500, 600]);
    one.dispose();
    for (let i = 0; i < 20; i++) expect(await b.run()).toBe(600);
    two.dispose();
  });

  it('a trap in a worker alone ends the run of all, and says what happened there', async () => {
    for (const threads of [2, 3, 7]) {
      const engine = await Engine.create({ threads });
      const plan = await trapBehindThread0(engine);
      const error = await plan.run().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(EngineError);
      const { message, thread } = error as EngineError;
      expect(thread).toBeGreaterThan(0);
      expect(thread).toBeLessThan(threads);
      expect(message).toBe(
        `engine: expected every thread to finish, got RuntimeError: memory access out of bounds in thread ${thread}. ` +
          'This is an error of lanewise: please report it. The model cannot be used any more: load or create it again.',
      );
      await expect(plan.run()).rejects.toThrow(DisposedError);
      engine.dispose();
    }
  });

  it('a trap in a run comes out as an error, and the engine can be disposed', async () => {
    for (const threads of [1, 2, 7]) {
      const engine = await Engine.create({ threads });
      const graph = new Graph({
        table: new ParameterTable([]),
        weights: { label: 'no parameters', bytes: 0, address: 64 },
      });
      graph.record({ opcode: 99, label: 'no such operation', fields: [] });
      const plan = await Plan.compile(engine, graph);
      const error = await plan.run().catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(EngineError);
      expect((error as EngineError).message).toMatch(
        /^engine: expected every thread to finish, got RuntimeError: unreachable in thread \d\. This is an error of lanewise/,
      );
      expect((error as EngineError).cause).toBeInstanceOf(WebAssembly.RuntimeError);
      // Its threads are gone: instead of waiting for them, later runs say so.
      await expect(plan.run()).rejects.toThrow(DisposedError);
      await expect(plan.run()).rejects.toThrow(
        'engine: expected a live model, got one that an error ended. Load or create it again.',
      );
      engine.dispose();
    }
  });

  it('a long run leaves the event loop its turns', async () => {
    const engine = await Engine.create({ threads: 1 });
    const { run } = await summing(engine, 1 << 20, 1);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const end = performance.now() + 300;
    while (performance.now() < end) await run();
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    engine.dispose();
  });
});

/** The checksum of exact answers: the same with every binary and any number of threads, and written down here. */
import { expect, it } from 'vitest';
import { checkAnswers, EXPECTED_CHECKSUM } from '../../src/benchmark/index.ts';
import { probeFeatures } from '../../src/runtime/probe.ts';

/** Changes with the bits of exact answers: a new order of summation, initialization, or choice of tokens. */
const CHECKSUM = 'bdb44751';

it.each([1, 2, 5])('with %i threads', async (threads) => {
  expect(await checkAnswers({ threads, precision: 'exact' })).toMatchObject({
    checksum: CHECKSUM,
    isExpected: true,
    deviation: 0,
    engine: { threads, precision: 'exact' },
  });
});

it('beside it stands how far the fast answers are off', async () => {
  const { checksum, deviation, engine } = await checkAnswers({ threads: 2 });
  expect(checksum).toBe(EXPECTED_CHECKSUM);
  expect(engine.precision).toBe(probeFeatures().relaxedSimd ? 'fast' : 'exact');
  expect(deviation).toBeLessThan(1e-5);
  if (engine.precision === 'exact') expect(deviation).toBe(0);
});

/** Warm-up, counted runs, repeats within a sample, and what they come to, on a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { type MeasureSettings, measure, summarize, type Task } from '../../src/benchmark/measure.ts';

/** A task that takes the given milliseconds, the last ones again and again; counts its runs. */
function scripted(unit: Task['unit'], amount: number, milliseconds: number[]) {
  let [clock, runs] = [0, 0];
  const task: Task = {
    name: 'work',
    detail: 'nothing',
    unit,
    amount,
    async time() {
      const spent = milliseconds[Math.min(runs++, milliseconds.length - 1)]!;
      clock += spent;
      return spent;
    },
  };
  const settings: MeasureSettings = { runs: 5, warmupMilliseconds: 0, sampleMilliseconds: 0, now: () => clock };
  return { task, settings, runs: () => runs };
}

describe('measure', () => {
  it('leaves the warm-up out of the samples', async () => {
    const { task, settings, runs } = scripted('ms', 1, [1000, 3, 1, 2, 5, 4]);
    const { samples, ...work } = await measure(task, settings);
    expect(samples).toEqual([3, 1, 2, 5, 4]);
    expect(work).toEqual({ name: 'work', detail: 'nothing', unit: 'ms', median: 3, minimum: 1, maximum: 5 });
    expect(runs()).toBe(6);
  });

  it('turns times into rates', async () => {
    const { task, settings } = scripted('tokens/s', 512, [1, 256, 512, 1024]);
    expect((await measure(task, settings)).samples).toEqual([2000, 1000, 500, 500, 500]);
  });

  it('warms up for as long as it is told', async () => {
    const { task, settings, runs } = scripted('ms', 1, [100]);
    await measure(task, { ...settings, warmupMilliseconds: 450 });
    expect(runs()).toBe(5 + 5);
  });

  it('repeats what is short, and reports one run of it', async () => {
    const { task, settings, runs } = scripted('ms', 1, [8]);
    const { samples } = await measure(task, { ...settings, sampleMilliseconds: 50 });
    expect(samples).toEqual([8, 8, 8, 8, 8]);
    expect(runs()).toBe(1 + 5 * 7);
  });

  it('survives a clock that does not move', async () => {
    const { task, settings } = scripted('ms', 1, [0]);
    expect((await measure(task, { ...settings, sampleMilliseconds: 1 })).samples).toEqual([0, 0, 0, 0, 0]);
  });
});

it.each([
  [[7], 7, 7, 7],
  [[3, 1], 2, 1, 3],
  [[9, 1, 5], 5, 1, 9],
  [[4, 1, 3, 2], 2.5, 1, 4],
])('summarize %j', (samples, median, minimum, maximum) => {
  expect(summarize(samples)).toEqual({ median, minimum, maximum });
});

/** Learning rates against closed forms and against the recipe of the reference runs. */
import { describe, expect, it } from 'vitest';
import { learningRateAt, type Schedule } from '../../src/training/index.ts';

const usual: Schedule = { kind: 'cosine', learningRate: 1e-3, minLearningRate: 1e-4, warmupSteps: 10, steps: 110 };
const rates = (schedule: Partial<Schedule>, steps: readonly number[]) =>
  steps.map((step) => learningRateAt(step, { ...usual, ...schedule }));

describe('learningRateAt', () => {
  it.each(['cosine', 'linear', 'constant'] as const)('%s: warms up in a line to the whole rate', (kind) => {
    expect(rates({ kind }, [0, 4, 9])).toEqual([1e-4, 5e-4, 1e-3]);
    expect(rates({ kind }, [10])).toEqual([1e-3]);
    expect(rates({ kind, warmupSteps: 0 }, [0])).toEqual([1e-3]);
  });

  it('cosine: half way at half time, the least at the end and behind it', () => {
    expect(rates({}, [60])[0]).toBeCloseTo(5.5e-4, 15);
    expect(rates({}, [110, 111, 1e6])).toEqual([1e-4, 1e-4, 1e-4]);
    for (let step = 10; step < 110; step++) {
      const expected = 1e-4 + 0.5 * 9e-4 * (1 + Math.cos((Math.PI * (step - 10)) / 100));
      expect(learningRateAt(step, usual)).toBeCloseTo(expected, 15);
    }
  });

  it('linear: in a line to the least', () => {
    for (let step = 10; step <= 110; step++)
      expect(learningRateAt(step, { ...usual, kind: 'linear' })).toBeCloseTo(1e-3 - (9e-4 * (step - 10)) / 100, 15);
    expect(rates({ kind: 'linear' }, [500])).toEqual([1e-4]);
  });

  it('constant: stays', () => {
    expect(new Set(rates({ kind: 'constant' }, [10, 50, 109, 1000]))).toEqual(new Set([1e-3]));
  });

  it('a warm-up as long as the run, or longer', () => {
    expect(rates({ warmupSteps: 4, steps: 4 }, [0, 3, 4])).toEqual([2.5e-4, 1e-3, 1e-3]);
    expect(rates({ warmupSteps: 8, steps: 4 }, [3])).toEqual([5e-4]);
  });

  it('the recipe of scripts/make-oracles.py: warm-up to step 5, cosine to a tenth over 30', () => {
    const recipe = (step: number) =>
      step < 5 ? (1e-3 * (step + 1)) / 5 : 1e-4 + 0.5 * 9e-4 * (1 + Math.cos((Math.PI * (step - 5)) / 25));
    for (let step = 0; step < 30; step++)
      expect(learningRateAt(step, { ...usual, warmupSteps: 5, steps: 30 })).toBeCloseTo(recipe(step), 15);
  });
});

/** Learning rates: linear warm-up, then constant, linear or cosine decay (Loshchilov & Hutter 2017, without restarts). */
import { cosine } from '../random/index.ts';

/** How the learning rate changes after the warm-up. */
export type ScheduleName = 'cosine' | 'linear' | 'constant';

export interface Schedule {
  readonly kind: ScheduleName;
  /** Largest learning rate, reached when the warm-up ends. */
  readonly learningRate: number;
  /** Learning rate at the last step; not used by `constant`. */
  readonly minLearningRate: number;
  /** Steps of warm-up; 0 starts at learningRate. */
  readonly warmupSteps: number;
  /** Steps in all. */
  readonly steps: number;
}

/**
 * The learning rate of a step. Warm-up step s of w has learningRate · (s + 1) / w; after it, progress goes from 0 at
 * step w to 1 at step `steps`, and the rate from learningRate to minLearningRate.
 * @param step counted from 0
 */
export function learningRateAt(
  step: number,
  { kind, learningRate, minLearningRate, warmupSteps, steps }: Schedule,
): number {
  if (step < warmupSteps) return (learningRate * (step + 1)) / warmupSteps;
  if (kind === 'constant') return learningRate;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  const share = kind === 'linear' ? 1 - progress : 0.5 * (1 + cosine(Math.PI * progress));
  return minLearningRate + (learningRate - minLearningRate) * share;
}

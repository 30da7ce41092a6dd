/**
 * Where activations stand in memory. Each lives from the first operation that touches it to the last; two may share memory
 * when their lives do not overlap. Largest first, each at the lowest offset that is free all its life
 * (the "greedy by size" rule of Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference").
 */
import { align } from '../runtime/allocator.ts';
import type { Activation } from './tensor.ts';

/** Sets every `offset`; returns the bytes needed. Activations that no operation touches get none. */
export function placeActivations(activations: Iterable<Activation>): number {
  const live = [...activations].filter(({ first }) => first >= 0);
  live.sort((a, b) => b.bytes - a.bytes || a.first - b.first);
  const placed: Activation[] = []; // by offset
  let total = 0;
  for (const activation of live) {
    let offset = 0;
    for (const other of placed) {
      if (other.last < activation.first || activation.last < other.first) continue;
      if (other.offset - offset >= activation.bytes) break;
      offset = Math.max(offset, other.offset + align(other.bytes));
    }
    activation.offset = offset;
    total = Math.max(total, offset + align(activation.bytes));
    const index = placed.findIndex((other) => other.offset > offset);
    placed.splice(index < 0 ? placed.length : index, 0, activation);
  }
  return total;
}

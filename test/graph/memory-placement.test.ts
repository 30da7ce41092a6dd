/** placeActivations: blocks that live at the same time never overlap, for any lifetimes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { placeActivations } from '../../src/graph/memory-placement.ts';
import type { Activation } from '../../src/graph/tensor.ts';
import { ALIGNMENT, align } from '../../src/runtime/allocator.ts';

function activation(bytes: number, first: number, last: number): Activation {
  return { label: `${bytes} bytes in ${first}…${last}`, bytes, first, last, offset: -1 };
}

const lifetime = fc
  .record({
    bytes: fc.oneof(
      fc.constantFrom(4, 60, 64, 68, 256),
      fc.integer({ min: 1, max: 5000 }).map((n) => n * 4),
    ),
    first: fc.nat(40),
    length: fc.oneof(fc.nat(5), fc.nat(40), fc.constant(Number.POSITIVE_INFINITY)),
  })
  .map(({ bytes, first, length }) => activation(bytes, first, first + length));

const meet = (a: Activation, b: Activation) => a.first <= b.last && b.first <= a.last;

describe('placeActivations', () => {
  it('never lets two that live at the same time overlap, and returns the end of the last', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 60 }), (activations) => {
        const total = placeActivations(activations);
        let end = 0;
        activations.forEach((a, i) => {
          expect(a.offset).toBeGreaterThanOrEqual(0);
          expect(a.offset % ALIGNMENT).toBe(0);
          end = Math.max(end, a.offset + align(a.bytes));
          for (const b of activations.slice(0, i))
            if (meet(a, b))
              expect(
                a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset,
                `${a.label} at ${a.offset} and ${b.label} at ${b.offset}`,
              ).toBe(true);
        });
        expect(total).toBe(end);
      }),
      { numRuns: 500 },
    );
  });

  it('needs at least what lives at once, and at most the sum of all', () => {
    fc.assert(
      fc.property(fc.array(lifetime, { maxLength: 60 }), (activations) => {
        const total = placeActivations(activations);
        const sum = activations.reduce((bytes, a) => bytes + align(a.bytes), 0);
        const atOnce = activations.map(({ first }) =>
          activations.reduce((bytes, a) => bytes + (a.first <= first && first <= a.last ? align(a.bytes) : 0), 0),
        );
        expect(total).toBeLessThanOrEqual(sum);
        expect(total).toBeGreaterThanOrEqual(Math.max(0, ...atOnce));
      }),
      { numRuns: 500 },
    );
  });

  it('is not larger than the largest when none meet, and exactly the sum when all do', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 999 }), { minLength: 1, maxLength: 30 }), (sizes) => {
        const apart = sizes.map((size, i) => activation(size * 4, i, i));
        expect(placeActivations(apart)).toBe(align(Math.max(...sizes) * 4));
        const together = sizes.map((size, i) => activation(size * 4, i, sizes.length));
        expect(placeActivations(together)).toBe(sizes.reduce((sum, size) => sum + align(size * 4), 0));
      }),
    );
  });

  it('gives the same places whatever the order, when sizes and starts differ', () => {
    fc.assert(
      fc.property(fc.uniqueArray(lifetime, { maxLength: 40, selector: (a) => a.bytes }), (activations) => {
        placeActivations(activations);
        const places = activations.map(({ offset }) => offset);
        placeActivations(activations.toReversed());
        expect(activations.map(({ offset }) => offset)).toEqual(places);
      }),
    );
  });

  it('leaves out what no operation touches', () => {
    const untouched = activation(1 << 20, -1, -1);
    expect(placeActivations([untouched])).toBe(0);
    expect(placeActivations([untouched, activation(100, 0, 1)])).toBe(128);
    expect(untouched.offset).toBe(-1);
    expect(placeActivations([])).toBe(0);
  });

  it('fills the gap that fits, and shares the place of one that is gone', () => {
    // | big, always | middle 0…1 | small 0…9 |, then two more in the middle's place
    const big = activation(4096, 0, 9);
    const middle = activation(1024, 0, 1);
    const small = activation(64, 0, 9);
    const later = activation(960, 2, 9);
    const tiny = activation(48, 2, 9);
    expect(placeActivations([tiny, later, small, middle, big])).toBe(4096 + 1024 + 64);
    expect([big, middle, later].map(({ offset }) => offset)).toEqual([0, 4096, 4096]);
    expect(new Set([small.offset, tiny.offset])).toEqual(new Set([4096 + 960, 4096 + 1024]));
  });
});

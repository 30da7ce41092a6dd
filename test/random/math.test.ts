/** exp, log and cosine against Math's, to the last bits they promise. */
import { describe, expect, it } from 'vitest';
import { cosine, exp, integerPower, log } from '../../src/random/index.ts';
import { Random } from '../../src/random/philox.ts';

const seed = 3;
const random = new Random(seed);
/** Numbers from `low` to `high`, evenly. */
const spread = (low: number, high: number, count = 20_000) =>
  Array.from({ length: count }, (_, i) => low + (high - low) * random.uniform(0, i));

/** The engine's own functions are off by up to an ULP too. */
const TOLERANCE = 4.5e-16;

function worst(ours: (x: number) => number, theirs: (x: number) => number, xs: readonly number[]): number {
  return Math.max(...xs.map((x) => Math.abs(ours(x) - theirs(x)) / Math.abs(theirs(x))));
}

describe(`elementary functions (seed ${seed})`, () => {
  it('exp is within an ULP', () => {
    expect(worst(exp, Math.exp, spread(-708, 709))).toBeLessThan(TOLERANCE);
    expect(worst(exp, Math.exp, spread(-1, 1))).toBeLessThan(TOLERANCE);
    expect(exp(0)).toBe(1);
    expect(exp(-0)).toBe(1);
    expect(exp(709.782712893384)).toBe(Math.exp(709.782712893384));
    for (const x of [-708.5, -720, -744, -745]) expect(Math.abs(exp(x) - Math.exp(x))).toBeLessThanOrEqual(5e-324);
  });

  it('log is within an ULP, near 1 and for subnormal numbers too', () => {
    expect(worst(log, Math.log, spread(0.5, 2))).toBeLessThan(TOLERANCE);
    expect(worst(log, Math.log, spread(1, 1.000001))).toBeLessThan(TOLERANCE);
    expect(worst(log, Math.log, spread(-700, 700).map(Math.exp))).toBeLessThan(TOLERANCE);
    expect(worst(log, Math.log, [5e-324, 1e-310, 2.2250738585072014e-308, Number.MAX_VALUE])).toBeLessThan(TOLERANCE);
    expect(log(1)).toBe(0);
  });

  it('cosine is within an ULP, near its zero too', () => {
    expect(worst(cosine, Math.cos, spread(0, Math.PI))).toBeLessThan(TOLERANCE);
    const near = spread(-1, 1, 500).map((x) => Math.PI / 2 + x * 1e-4);
    expect(worst(cosine, Math.cos, [...near, Math.PI / 2, Math.PI / 2 - 1e-15, Math.PI / 4])).toBeLessThan(TOLERANCE);
    expect([cosine(0), cosine(Math.PI)]).toEqual([1, -1]);
    expect(() => cosine(-1e-9)).toThrow('cosine: expected an angle from 0 to π, got -1e-9.');
    expect(() => cosine(Number.NaN)).toThrow(RangeError);
  });

  it('handles what is not finite', () => {
    const [inf, nan] = [Number.POSITIVE_INFINITY, Number.NaN];
    expect([exp(inf), exp(-inf), exp(nan), exp(710), exp(-746)]).toEqual([inf, 0, nan, inf, 0]);
    expect([log(inf), log(0), log(-1), log(nan)]).toEqual([inf, -inf, nan, nan]);
  });

  it('raises to whole powers', () => {
    expect([integerPower(2, 10), integerPower(3, 0), integerPower(2, -3), integerPower(-2, 3)]).toEqual([
      1024, 1, 0.125, -8,
    ]);
    for (const n of [1, 2, 3, 100, 100_000])
      expect(Math.abs(integerPower(0.999, n) / 0.999 ** n - 1)).toBeLessThan(1e-11);
    expect(() => integerPower(2, 0.5)).toThrow('power: expected a whole exponent, got 0.5.');
  });

  it('keeps its bits: these numbers never change', () => {
    expect([
      exp(0.1),
      exp(-17.3),
      log(10),
      log(0.7),
      cosine(1),
      cosine(3),
      integerPower(0.9, 77),
    ]).toMatchInlineSnapshot(`
      [
        1.1051709180756477,
        3.066941294563555e-8,
        2.302585092994046,
        -0.35667494393873245,
        0.5403023058681398,
        -0.9899924966004454,
        0.000299690672878454,
      ]
    `);
  });
});

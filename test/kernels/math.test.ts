/** The elementary functions of assembly/math/math.ts and Philox, each against an f64 reference, over dense samples. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { beforeAll, describe, expect, it } from 'vitest';
import { binaries, randomF32 } from '../support/kernels.ts';
import { normalTail } from './normal-twin.ts';

const assembly = fileURLToPath(new URL('../../assembly/', import.meta.url));

/** AssemblyScript: each function applied to `n` floats at `at`, in place. */
const functions = {
  exp: 'expVector(x)',
  log: 'logVector(x)',
  tanh: 'tanhVector(x)',
  erf: 'erfVector(x)',
  tail: 'normalTail(x, expVector(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.5))))',
  sine: 'sineOfTurn(x)',
  logSplat: 'f32x4.splat(logScalar(f32x4.extract_lane(x, 0)))',
};
type Name = keyof typeof functions;
const source = `
import { expVector, log64, logVector, logScalar, tanhVector, erfVector, normalTail, sineOfTurn } from './math/math';
import { philox } from './math/philox';
${Object.entries(functions)
  .map(
    ([name, body]) => `export function ${name}(at: usize, n: i32): void {
  for (let end = at + (<usize>n << 2); at < end; at += 16) { const x = v128.load(at); v128.store(at, ${body}); }
}`,
  )
  .join('\n')}
export function log64Of(x: f64): f64 { return log64(x); }
export function random(at: usize, c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32): void {
  v128.store(at, philox(c0, c1, c2, c3, k0, k1));
}`;

type Exports = Record<Name, (at: number, n: number) => void> & {
  memory: WebAssembly.Memory;
  random(at: number, ...words: number[]): void;
  log64Of(x: number): number;
};

async function compile(relaxed: boolean): Promise<Exports> {
  let binary: Uint8Array | undefined;
  const features = relaxed ? ['simd', 'relaxed-simd'] : ['simd'];
  const { error, stderr } = await asc.main(
    ['entry.ts', '-o', 'out.wasm', '-O3', '--noAssert', '--runtime', 'stub', '--initialMemory', '256']
      .concat(features.flatMap((f) => ['--enable', f]))
      .concat(['--baseDir', assembly]),
    {
      readFile: (name: string, base: string) => {
        if (name === 'entry.ts') return source;
        const path = join(base, name);
        return existsSync(path) ? readFileSync(path, 'utf8') : null;
      },
      writeFile: (_name: string, contents: Uint8Array | string) => {
        if (typeof contents !== 'string') binary = contents;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`asc in ${dirname(assembly)}: ${error?.message}\n${stderr}`);
  const { instance } = await WebAssembly.instantiate(binary as BufferSource, { env: { abort() {} } });
  return instance.exports as unknown as Exports;
}

const AT = 1024;
const BATCH = 1 << 18;

function erf(x: number): number {
  if (Math.abs(x) >= 0.5) return Math.sign(x) * (1 - 2 * normalTail(Math.abs(x) * Math.SQRT2));
  let term = x;
  let sum = x;
  for (let k = 1; k < 30; k++) {
    term *= (-x * x) / k;
    sum += term / (2 * k + 1);
  }
  return (sum * 2) / Math.sqrt(Math.PI);
}

const float = new Float32Array(1);
const floatBits = new Int32Array(float.buffer);
/** The distance of neighbouring floats at |x|. */
function ulp(x: number): number {
  float[0] = Math.abs(x);
  return 2 ** (Math.max(floatBits[0]! >> 23, 1) - 150);
}

/** Floats whose bit patterns are evenly spaced between those of `low` and `high`, which have one sign. */
function sweepBits(low: number, high: number, count: number): Float32Array {
  const ends = new Int32Array(new Float32Array([low, high]).buffer);
  const bits = new Int32Array(count);
  for (let i = 0; i < count; i++) bits[i] = ends[0]! + Math.round(((ends[1]! - ends[0]!) * i) / (count - 1));
  return new Float32Array(bits.buffer);
}

describe.each(binaries)('math, %s', (binary) => {
  let wasm: Exports;
  beforeAll(async () => {
    wasm = await compile(binary === 'relaxed');
  });

  function apply(name: Name, input: Float32Array): Float32Array {
    const view = new Float32Array(wasm.memory.buffer, AT, input.length);
    view.set(input);
    wasm[name](AT, input.length);
    return view.slice();
  }

  /** The largest error in ULP (or in absolute terms) over `input`, and where it is. */
  function worst(name: Name, reference: (x: number) => number, input: Float32Array, unit: 'ulp' | 'absolute' = 'ulp') {
    const out = apply(name, input);
    let error = 0;
    let at = 0;
    for (let i = 0; i < input.length; i++) {
      const exact = reference(input[i]!);
      const difference = Math.abs(out[i]! - exact) / (unit === 'ulp' ? ulp(exact) : 1);
      if (!(difference <= error)) {
        error = difference;
        at = input[i]!;
      }
    }
    if (process.env.VERBOSE) console.log(`${binary} ${name}: ${error} ${unit} at ${at}`);
    return error;
  }

  it('exp: within 1 ULP where the result is normal', () => {
    expect(worst('exp', Math.exp, sweepBits(-1e-10, -87.336, BATCH))).toBeLessThan(1);
    expect(worst('exp', Math.exp, sweepBits(1e-10, 88.7228, BATCH))).toBeLessThan(1);
    expect(worst('exp', Math.exp, sweepBits(-0.25, -20, BATCH))).toBeLessThan(1);
  });

  it('exp: limits', () => {
    const input = [0, -0, -Infinity, Infinity, -87.3367, -90, -1e30, 88.7229, 89, 1e30, -3.4e38, 3.4e38];
    expect([...apply('exp', new Float32Array(input))]).toEqual([
      1,
      1,
      0,
      Infinity,
      0,
      0,
      0,
      Infinity,
      Infinity,
      Infinity,
      0,
      Infinity,
    ]);
    expect([...apply('exp', new Float32Array([NaN, -NaN, 0, 0]))]).toEqual([NaN, NaN, 1, 1]);
    const bits = new Int32Array([0x7fc00001, -1, 0x7f800001, 0x7fffffff]); // NaNs with a payload
    expect([...apply('exp', new Float32Array(bits.buffer))].every(Number.isNaN)).toBe(true);
  });

  it('log: within 1 ULP, subnormals too', () => {
    expect(worst('log', Math.log, sweepBits(1e-45, 3.4e38, BATCH))).toBeLessThan(1);
    expect(worst('log', Math.log, sweepBits(0.25, 4, BATCH))).toBeLessThan(1);
  });

  it('log: limits', () => {
    const input = [0, -0, -1, Infinity, 1, NaN, -Infinity, -1e-40];
    expect([...apply('log', new Float32Array(input))]).toEqual([-Infinity, -Infinity, NaN, Infinity, 0, NaN, NaN, NaN]);
  });

  it('log: the scalar twin has the bits of a lane', () => {
    const values = sweepBits(1e-40, 3e38, 4096);
    const spread = new Float32Array(4 * values.length).map((_, i) => values[i >> 2]!);
    expect(apply('logSplat', spread)).toEqual(apply('log', spread));
  });

  it('log64: within 1e-14, near 1 too', () => {
    for (let i = 0; i < 100_000; i++) {
      const x = 1 + 2 ** (-40 + i * 5.6e-4);
      const error = Math.abs(wasm.log64Of(x) / (x < 1.5 ? Math.log1p(x - 1) : Math.log(x)) - 1);
      if (!(error < 1e-14)) expect.fail(`log64(${x}) is off by ${error}`);
    }
    for (const x of [0.3, 0.75, 0.99, 1e-300, 1e300]) expect(wasm.log64Of(x)).toBeCloseTo(Math.log(x), 11);
    expect([1, NaN, Infinity].map((x) => wasm.log64Of(x))).toEqual([0, NaN, Infinity]);
  });

  it('tanh: within 2 ULP; odd; ±1 at ±∞; NaN', () => {
    for (const sign of [1, -1]) {
      expect(worst('tanh', Math.tanh, sweepBits(sign * 1e-12, sign * 20, BATCH))).toBeLessThan(2);
      expect(worst('tanh', Math.tanh, sweepBits(sign * 0.4, sign * 9, BATCH))).toBeLessThan(2);
    }
    const input = [Infinity, -Infinity, NaN, -0, 1e30, -1e30, 0, 50];
    expect([...apply('tanh', new Float32Array(input))]).toEqual([1, -1, NaN, -0, 1, -1, 0, 1]);
  });

  it('erf: within 2 ULP; odd; ±1 at ±∞; NaN', () => {
    for (const sign of [1, -1]) expect(worst('erf', erf, sweepBits(sign * 1e-12, sign * 6, BATCH))).toBeLessThan(2);
    const input = [Infinity, -Infinity, NaN, -0, 1e30, -1e30, 0, 50];
    expect([...apply('erf', new Float32Array(input))]).toEqual([1, -1, NaN, -0, 1, -1, 0, 1]);
  });

  it('normalTail: within 2e-7', () => {
    expect(worst('tail', normalTail, sweepBits(1e-6, 14, BATCH), 'absolute')).toBeLessThan(2e-7);
  });

  it('sine of a turn: within 2 ULP, exact at the quarters', () => {
    const turns = new Int32Array(randomF32(BATCH, 5).map((x) => x * 2 ** 31));
    const out = apply('sine', new Float32Array(turns.buffer));
    let error = 0;
    for (let i = 0; i < turns.length; i++) {
      const exact = Math.sin((2 * Math.PI * turns[i]!) / 2 ** 32);
      error = Math.max(error, Math.abs(out[i]! - exact) / ulp(exact));
    }
    if (process.env.VERBOSE) console.log(`${binary} sine: ${error} ulp`);
    expect(error).toBeLessThan(2);
    const quarters = new Int32Array([0, 2 ** 30, 2 ** 31, -(2 ** 30)]);
    expect([...apply('sine', new Float32Array(quarters.buffer))]).toEqual([0, 1, -0, -1]);
  });

  // Known answers of Random123 (kat_vectors), which the authors of the paper publish.
  it.each([
    ['zeros', [0, 0, 0, 0, 0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    ['ones', [-1, -1, -1, -1, -1, -1], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      'digits of π',
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('philox: %s', (_, words, expected) => {
    wasm.random(AT, ...words);
    expect([...new Uint32Array(wasm.memory.buffer, AT, 4)]).toEqual(expected);
  });
});

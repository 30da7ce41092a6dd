/**
 * Which binaries this runtime can run, found out with tiny modules and remembered.
 * A binary with one unknown instruction is rejected whole, so validating a module of one instruction is the whole test;
 * the relaxed one is also run, because an engine that accepts an instruction can still compute it wrongly.
 */
import { providedBinaries } from './binaries.ts';

// (module (func (result i32) (i8x16.extract_lane_s 0 (v128.const 0…))))
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 10, 25, 1, 23, 0, 253, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 253, 21, 0, 11,
]);

// (module (func (export "f") (param f32 f32 f32) (result f32)
//   (f32x4.extract_lane 0 (f32x4.relaxed_madd (f32x4.splat p0) (f32x4.splat p1) (f32x4.splat p2)))))
const RELAXED = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 125, 125, 125, 1, 125, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 22, 1, 20,
  0, 32, 0, 253, 19, 32, 1, 253, 19, 32, 2, 253, 19, 253, 133, 2, 253, 31, 0, 11,
]);

// (module (table i64 1 funcref)): what V8 took from 13.3 on, of February 2025. Before, it had one register less for vectors, so
// that the relaxed kernels spill: half the speed of simd128 in f32 on Node 22, the same in q8 (bench/README.md, "Runtimes").
const RECENT = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 4, 4, 1, 112, 4, 1]);

/** What the runtime's WebAssembly can do. */
export interface Features {
  readonly simd: boolean;
  /** Why the host compiles nothing, if it does not; a page may forbid it, and edge hosts do. */
  readonly refusal: string | undefined;
  readonly relaxedSimd: boolean;
  /** Why `fast` is not offered, where it is not. */
  readonly relaxedMissing: string | undefined;
}

let features: Features | undefined;

/** Probes once; later calls return the same answer. */
export function probeFeatures(): Features {
  features ??= probe();
  return features;
}

function probe(): Features {
  // Browsers may have switched WebAssembly off, as in the Lockdown Mode of Apple devices.
  const simd = typeof WebAssembly !== 'undefined' && WebAssembly.validate(SIMD);
  const provided = providedBinaries();
  // Who provides a binary has compiled it, which hosts that offer only this do rightly: V8 without flags, later than Node 20's.
  if (provided) return offer(simd, provided.relaxed ? undefined : 'no relaxed binary was provided');
  if (!simd) return offer(simd, 'this runtime has no SIMD');
  const refusal = refusalToCompile();
  if (refusal !== undefined) return { simd, refusal, relaxedSimd: false, relaxedMissing: refusal };
  return offer(simd, relaxedMissing());
}

function offer(simd: boolean, missing: string | undefined): Features {
  return { simd, refusal: undefined, relaxedSimd: missing === undefined, relaxedMissing: missing };
}

function refusalToCompile(): string | undefined {
  try {
    new WebAssembly.Module(SIMD);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Why relaxed SIMD is not used: relaxed_madd is missing, wrong or not worth it; undefined where it is used. */
function relaxedMissing(): string | undefined {
  if (!WebAssembly.validate(RELAXED)) return 'this runtime has no relaxed SIMD (Node 24 or later has)';
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(RELAXED)).exports as {
    f(a: number, b: number, c: number): number;
  };
  const x = 1 + 2 ** -12;
  const fused = 2 ** -24; // x² − (1 + 2⁻¹¹), exactly; 0 when the product is rounded first
  let hasFused = false;
  for (let call = 0; call < 2000; call++) {
    const difference = f(x, x, -(1 + 2 ** -11));
    hasFused = difference === fused;
    // Both roundings are lawful, anything else is not.
    if (f(3, 5, 7) !== 22 || (difference !== fused && difference !== 0))
      return 'the relaxed SIMD of this runtime computes wrong numbers';
  }
  if (!hasFused) return 'this runtime does not fuse multiply-add, and is no faster on the whole with relaxed SIMD';
  if (!WebAssembly.validate(RECENT))
    return 'the compiler of this runtime, of before 2025, has too few registers for relaxed SIMD (Node 24 or later has enough)';
  return undefined;
}

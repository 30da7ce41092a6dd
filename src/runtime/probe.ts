/**
 * Which binaries this runtime can run, found out with tiny modules and remembered.
 * A binary with one unknown instruction is rejected whole, so validating a module of one instruction is the whole test;
 * the relaxed one is also run, because an engine that accepts an instruction can still compute it wrongly.
 */

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

/** What the runtime's WebAssembly can do. */
export interface Features {
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
}

let features: Features | undefined;

/** Probes once; later calls return the same answer. */
export function probeFeatures(): Features {
  features ??= { simd: WebAssembly.validate(SIMD), relaxedSimd: relaxedMaddWorks() };
  return features;
}

/** 3 · 5 + 7 and a case in which fused and unfused differ: both roundings are lawful, anything else is not. */
function relaxedMaddWorks(): boolean {
  if (!WebAssembly.validate(RELAXED)) return false;
  const { f } = new WebAssembly.Instance(new WebAssembly.Module(RELAXED)).exports as {
    f(a: number, b: number, c: number): number;
  };
  const x = 1 + 2 ** -12;
  const fused = 2 ** -24; // x² − (1 + 2⁻¹¹), exactly; 0 when the product is rounded first
  for (let call = 0; call < 2000; call++) {
    if (f(3, 5, 7) !== 22) return false;
    const difference = f(x, x, -(1 + 2 ** -11));
    if (difference !== fused && difference !== 0) return false;
  }
  return true;
}

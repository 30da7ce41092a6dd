/**
 * Rotary position embedding (Su et al. 2021, "RoFormer", §3.2): each pair (x, y) of a head's first rotaryDim columns is a point
 * in a plane, which is turned by an angle that grows with the position:
 *
 *   (x, y) → (x cos θ − y sin θ, y cos θ + x sin θ) · factor,   θ = position · frequency of the pair
 *
 *   half split   pair i is (i, i + rotaryDim / 2)    │ x x x x │ y y y y │ copied …   Llama, GPT-NeoX
 *   interleaved  pair i is (2 i, 2 i + 1)            │ x y x y   x y x y │ copied …   the paper, GPT-J
 *
 * Cosines and sines of a row are computed once, into scratch memory, and serve all heads:  │ cos [pairs] │ sin [pairs] │
 */
import * as op from './abi';
import { float, ptr, scratch, shareStart, size, word } from './interpreter/descriptor';
import { loadLanes, storeLanes } from './math/lanes';
import { sinCos64 } from './math/sin-cos';

/**
 * out = inp turned by positions[row] · frequencies, or out += … with ACCUMULATE; by the negative angle with INVERSE.
 * inp, out [rows, heads · headSize] with rows INP_LD and OUT_LD elements apart; out may be inp where these are the same.
 *
 * θ is rounded to f32, as transformers does: so a model computes what it was trained with, also at positions where the rounding
 * is large (2⁻⁵ radians at 10⁶). Cosine and sine of this θ: error ≤ 0.51 ULP for |θ| ≤ 1.6e6, then times FACTOR. Products and
 * their sum are rounded one by one in every binary: error ≤ 2.4e-7 · factor · √(x² + y²).
 * Scratch memory: ROTARY_SCRATCH_BYTES for each pair. Threads share rows.
 */
export function rotary(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.ROTARY_ROWS), heads = word(d, op.ROTARY_HEADS);
  const headBytes = <usize>word(d, op.ROTARY_HEAD_SIZE) << 2, half = <usize>word(d, op.ROTARY_DIM) << 1;
  const flags = word(d, op.ROTARY_FLAGS), accumulate = (flags & op.FLAG_ACCUMULATE) != 0;
  const positions = ptr(d, op.ROTARY_POSITIONS), cosines = scratch(ctx), sines = cosines + half;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const position = <f32>load<i32>(positions + (<usize>row << 2));
    const factor = float(d, op.ROTARY_FACTOR);
    fillTables(cosines, sines, ptr(d, op.ROTARY_FREQUENCIES), half, position, factor, (flags & op.FLAG_INVERSE) != 0);
    let inp = ptr(d, op.ROTARY_INP) + (<usize>word(d, op.ROTARY_INP_LD) << 2) * row;
    let out = ptr(d, op.ROTARY_OUT) + (<usize>word(d, op.ROTARY_OUT_LD) << 2) * row;
    for (let head = 0; head < heads; ++head) {
      if (flags & op.FLAG_INTERLEAVED) turnNeighbours(out, inp, cosines, sines, half, accumulate);
      else turnHalves(out, inp, cosines, sines, half, accumulate);
      passOn(out, inp, half << 1, headBytes, accumulate);
      inp += headBytes;
      out += headBytes;
    }
  }
}

/** factor · cos θ and ± factor · sin θ of every pair; `bytes` of each. */
function fillTables(
  cosines: usize, sines: usize, frequencies: usize, bytes: usize, position: f32, factor: f32, inverse: bool,
): void {
  const positions = f32x4.splat(position), cosineFactor = f32x4.splat(factor);
  const sineFactor = f32x4.splat(inverse ? -factor : factor);
  for (let i: usize = 0; i < bytes; ) {
    const whole = i + 8 <= bytes; // two pairs, or the last one
    const frequency = whole ? v128.load64_zero(frequencies + i) : v128.load32_zero(frequencies + i);
    const both = sinCos64(f64x2.promote_low_f32x4(f32x4.mul(positions, frequency))); // sin, sin, cos, cos as f32
    const sine = f32x4.mul(both, sineFactor), cosine = f32x4.mul(i64x2.shuffle(both, both, 1, 1), cosineFactor);
    if (whole) {
      v128.store64_lane(sines + i, sine, 0);
      v128.store64_lane(cosines + i, cosine, 0);
    } else {
      v128.store32_lane(sines + i, sine, 0);
      v128.store32_lane(cosines + i, cosine, 0);
    }
    i += whole ? 8 : 4;
  }
}

/** Pairs (i, i + half) of a head; `half` in bytes. */
function turnHalves(out: usize, inp: usize, cosines: usize, sines: usize, half: usize, accumulate: bool): void {
  for (let i: usize = 0; i < half; ) {
    const whole = i + 16 <= half;
    const x = loadLanes(inp + i, whole), y = loadLanes(inp + half + i, whole);
    const c = loadLanes(cosines + i, whole), s = loadLanes(sines + i, whole);
    storeSum(out + i, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)), accumulate, whole);
    storeSum(out + half + i, f32x4.add(f32x4.mul(y, c), f32x4.mul(x, s)), accumulate, whole);
    i += whole ? 16 : 4;
  }
}

/** Pairs (2 i, 2 i + 1) of a head; `half` in bytes. */
function turnNeighbours(out: usize, inp: usize, cosines: usize, sines: usize, half: usize, accumulate: bool): void {
  const signs = i64x2.splat(0x80000000); // of x: − y sin θ
  for (let i: usize = 0; i < half; ) {
    const whole = i + 8 <= half; // two pairs, or the last one
    const at = inp + (i << 1), to = out + (i << 1);
    const x = whole ? v128.load(at) : v128.load64_zero(at);
    const c = whole ? v128.load64_zero(cosines + i) : v128.load32_zero(cosines + i);
    const s = whole ? v128.load64_zero(sines + i) : v128.load32_zero(sines + i);
    const turned = f32x4.add(
      f32x4.mul(x, i32x4.shuffle(c, c, 0, 0, 1, 1)),
      f32x4.mul(i32x4.shuffle(x, x, 1, 0, 3, 2), v128.xor(i32x4.shuffle(s, s, 0, 0, 1, 1), signs)),
    );
    if (whole) storeSum(to, turned, accumulate, true);
    else v128.store64_lane(to, accumulate ? f32x4.add(v128.load64_zero(to), turned) : turned, 0);
    i += whole ? 8 : 4;
  }
}

/** Columns from `first` to `end` (bytes) of a head, which do not turn. */
function passOn(out: usize, inp: usize, first: usize, end: usize, accumulate: bool): void {
  if (accumulate) for (let i = first; i < end; i += 4) storeSum(out + i, loadLanes(inp + i, false), true, false);
  else if (out != inp && first < end) memory.copy(out + first, inp + first, end - first);
}

// @ts-ignore: decorator
@inline function storeSum(out: usize, value: v128, accumulate: bool, whole: bool): void {
  storeLanes(out, accumulate ? f32x4.add(loadLanes(out, whole), value) : value, whole);
}

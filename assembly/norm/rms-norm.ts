/**
 * RMS normalization (Zhang & Sennrich 2019): each row of inp is divided by its root mean square, then scaled by column.
 * x̂ = x · rstd, rstd = 1 / √(mean of x² + ε), out = x̂ · w, w = weight + offset. The offset is 1 for weights that are stored as
 * what they differ from 1 (Gemma), else 0.
 *
 * A row may be several groups of columns, each normalized on its own with the same weight, as are the heads of queries and keys
 * (Qwen 3, Gemma 3). To the kernels these are as many rows more.
 *
 * Order of sums. Along a row: that of row-sums.ts; backward 8 partial sums, element i in number i mod 8, leftovers four at a
 * time in the first four, below 4 in the first. Down a column: four rows, then their sum to the total.
 */
import * as op from '../abi';
import { float, ptr, shareStart, size, word } from '../interpreter/descriptor';
import { LINE_ELEMENTS, loadLanes, storeLanes } from '../math/lanes';
import { rowSquares } from '../math/row-sums';
import { horizontalSum, madd } from '../math/simd';

/**
 * out = inp · rstd · (weight + offset); inp, out [rows, cols], weight [cols], rstd [rows]. Overwrites out and rstd; out may be
 * inp. Threads share rows. Error ≤ 1e-6 relative, as long as Σ x² is a finite f32.
 */
export function rmsNorm(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.RMS_NORM_ROWS) * word(d, op.RMS_NORM_GROUPS), cols = size(d, ctx, op.RMS_NORM_COLS);
  const weight = ptr(d, op.RMS_NORM_WEIGHT);
  const epsilon = float(d, op.RMS_NORM_EPSILON), offset = f32x4.splat(float(d, op.RMS_NORM_OFFSET));
  const rowBytes = <usize>cols << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const inp = ptr(d, op.RMS_NORM_INP) + rowBytes * row, out = ptr(d, op.RMS_NORM_OUT) + rowBytes * row;
    const rstd = <f32>1 / sqrt<f32>(rowSquares(inp, rowBytes, 0) / <f32>cols + epsilon);
    store<f32>(ptr(d, op.RMS_NORM_RSTD) + (<usize>row << 2), rstd);
    const rstds = f32x4.splat(rstd);
    let i: usize = 0;
    for (; i + 16 <= rowBytes; i += 16) normalize(out + i, inp + i, weight + i, rstds, offset, true);
    for (; i < rowBytes; i += 4) normalize(out + i, inp + i, weight + i, rstds, offset, false);
  }
}

// @ts-ignore: decorator
@inline function normalize(out: usize, inp: usize, weight: usize, rstd: v128, offset: v128, whole: bool): void {
  const scale = f32x4.add(loadLanes(weight, whole), offset);
  storeLanes(out, f32x4.mul(f32x4.mul(loadLanes(inp, whole), rstd), scale), whole);
}

/**
 * With g = dout · w: dinp (+)= rstd · (g − x̂ · Σ (g · x̂) / C), the sum along the row; dweight += Σ dout · x̂, down the rows.
 * inp, dout, dinp [rows, cols]; weight, dweight [cols]. dinp accumulates by flag, or is absent; dweight accumulates, or is
 * absent. dinp is neither dout nor inp. Threads share rows of dinp and columns of dweight.
 */
export function rmsNormBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  if (ptr(d, op.RMS_NORM_BACKWARD_DINP)) inputGradient(d, ctx, thread, threads);
  if (ptr(d, op.RMS_NORM_BACKWARD_DWEIGHT)) weightGradient(d, ctx, thread, threads);
}

function inputGradient(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.RMS_NORM_BACKWARD_ROWS) * word(d, op.RMS_NORM_BACKWARD_GROUPS);
  const cols = size(d, ctx, op.RMS_NORM_BACKWARD_COLS);
  const weight = ptr(d, op.RMS_NORM_BACKWARD_WEIGHT), offset = f32x4.splat(float(d, op.RMS_NORM_BACKWARD_OFFSET));
  const accumulate = (word(d, op.RMS_NORM_BACKWARD_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  const rowBytes = <usize>cols << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const dout = ptr(d, op.RMS_NORM_BACKWARD_DOUT) + rowBytes * row;
    const inp = ptr(d, op.RMS_NORM_BACKWARD_INP) + rowBytes * row;
    const dinp = ptr(d, op.RMS_NORM_BACKWARD_DINP) + rowBytes * row;
    const rstd = v128.load32_splat(ptr(d, op.RMS_NORM_BACKWARD_RSTD) + (<usize>row << 2));
    const gx = gradientTimesInput(dout, inp, weight, offset, rowBytes);
    const scale = f32x4.extract_lane(rstd, 0);
    const gxMean = f32x4.splat(gx / <f32>cols * scale * scale); // Σ (g · x̂) / C · rstd
    let i: usize = 0;
    for (; i + 16 <= rowBytes; i += 16) {
      inputStep(dinp + i, dout + i, inp + i, weight + i, offset, rstd, gxMean, accumulate, true);
    }
    for (; i < rowBytes; i += 4) {
      inputStep(dinp + i, dout + i, inp + i, weight + i, offset, rstd, gxMean, accumulate, false);
    }
  }
}

/** Σ g · x of a row. */
function gradientTimesInput(dout: usize, inp: usize, weight: usize, offset: v128, rowBytes: usize): f32 {
  let s0 = f32x4.splat(0), s1 = s0;
  let i: usize = 0;
  for (; i + 32 <= rowBytes; i += 32) {
    const w0 = f32x4.add(v128.load(weight + i), offset), w1 = f32x4.add(v128.load(weight + i, 16), offset);
    s0 = madd(f32x4.mul(v128.load(dout + i), w0), v128.load(inp + i), s0);
    s1 = madd(f32x4.mul(v128.load(dout + i, 16), w1), v128.load(inp + i, 16), s1);
  }
  for (; i + 16 <= rowBytes; i += 16) {
    const w = f32x4.add(v128.load(weight + i), offset);
    s0 = madd(f32x4.mul(v128.load(dout + i), w), v128.load(inp + i), s0);
  }
  for (; i < rowBytes; i += 4) {
    const w = f32x4.add(v128.load32_splat(weight + i), offset);
    s0 = madd(f32x4.mul(v128.load32_zero(dout + i), w), v128.load32_splat(inp + i), s0);
  }
  return horizontalSum(f32x4.add(s0, s1));
}

// @ts-ignore: decorator
@inline function inputStep(
  dinp: usize, dout: usize, inp: usize, weight: usize,
  offset: v128, rstd: v128, gxMean: v128,
  accumulate: bool, whole: bool,
): void {
  const g = f32x4.mul(loadLanes(dout, whole), f32x4.add(loadLanes(weight, whole), offset));
  const gradient = f32x4.mul(rstd, f32x4.sub(g, f32x4.mul(loadLanes(inp, whole), gxMean)));
  storeLanes(dinp, accumulate ? f32x4.add(loadLanes(dinp, whole), gradient) : gradient, whole);
}

/** Rows summed in registers before they are added to dweight. */
const BLOCK_ROWS: u32 = 4;

function weightGradient(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = <u32>size(d, ctx, op.RMS_NORM_BACKWARD_ROWS) * <u32>word(d, op.RMS_NORM_BACKWARD_GROUPS);
  const cols = <u32>size(d, ctx, op.RMS_NORM_BACKWARD_COLS);
  const dweight = ptr(d, op.RMS_NORM_BACKWARD_DWEIGHT);
  const rowBytes = <usize>cols << 2;
  const first = <usize>shareStart(cols, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(cols, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (first == end) return;
  let dout = ptr(d, op.RMS_NORM_BACKWARD_DOUT), inp = ptr(d, op.RMS_NORM_BACKWARD_INP);
  let rstds = ptr(d, op.RMS_NORM_BACKWARD_RSTD);
  let row: u32 = 0;
  for (; row + BLOCK_ROWS <= rows; row += BLOCK_ROWS) {
    const r0 = v128.load32_splat(rstds), r1 = v128.load32_splat(rstds, 4);
    const r2 = v128.load32_splat(rstds, 8), r3 = v128.load32_splat(rstds, 12);
    for (let i = first; i < end; ) {
      const whole = i + 16 <= end;
      blockStep(dweight + i, dout + i, inp + i, rowBytes, r0, r1, r2, r3, whole);
      i += whole ? 16 : 4;
    }
    dout += rowBytes * BLOCK_ROWS;
    inp += rowBytes * BLOCK_ROWS;
    rstds += BLOCK_ROWS << 2;
  }
  for (; row < rows; ++row) {
    const rstd = v128.load32_splat(rstds);
    for (let i = first; i < end; ) {
      const whole = i + 16 <= end;
      const sum = madd(loadLanes(dout + i, whole), unit(inp + i, rstd, whole), loadLanes(dweight + i, whole));
      storeLanes(dweight + i, sum, whole);
      i += whole ? 16 : 4;
    }
    dout += rowBytes;
    inp += rowBytes;
    rstds += 4;
  }
}

// @ts-ignore: decorator
@inline function blockStep(
  dweight: usize, dout: usize, inp: usize, rowBytes: usize, r0: v128, r1: v128, r2: v128, r3: v128, whole: bool,
): void {
  let w = f32x4.mul(loadLanes(dout, whole), unit(inp, r0, whole));
  w = madd(loadLanes(dout + rowBytes, whole), unit(inp + rowBytes, r1, whole), w);
  w = madd(loadLanes(dout + rowBytes * 2, whole), unit(inp + rowBytes * 2, r2, whole), w);
  w = madd(loadLanes(dout + rowBytes * 3, whole), unit(inp + rowBytes * 3, r3, whole), w);
  storeLanes(dweight, f32x4.add(loadLanes(dweight, whole), w), whole);
}

/** x̂ = x · rstd. */
// @ts-ignore: decorator
@inline function unit(inp: usize, rstd: v128, whole: bool): v128 {
  return f32x4.mul(loadLanes(inp, whole), rstd);
}

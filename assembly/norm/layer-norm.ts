/**
 * Layer normalization (Ba, Kiros & Hinton 2016): each row of inp is brought to mean 0 and variance 1, then scaled and
 * shifted by column. x̂ = (x − mean) · rstd, rstd = 1 / √(variance + ε), out = x̂ · weight + bias.
 *
 * Order of sums. Along a row: that of row-sums.ts; backward 8 partial sums, element i in number i mod 8, leftovers four at a
 * time in the first four, below 4 in the first. Down a column: four rows, then their sum to the total.
 */
import * as op from '../abi';
import { float, ptr, shareStart, size, word } from '../interpreter/descriptor';
import { LINE_ELEMENTS, loadLanes, storeLanes } from '../math/lanes';
import { rowSquares, rowSum } from '../math/row-sums';
import { horizontalSum, madd } from '../math/simd';

/**
 * out = (inp − mean) · rstd · weight + bias; inp, out [rows, cols], weight, bias [cols]; mean, rstd [rows].
 * Overwrites out, mean, rstd; out may be inp. The variance is that of inp − mean, so a large mean cancels nothing.
 * Threads share rows. Error ≤ 1e-6 · (1 + |mean| · rstd) · |weight|.
 */
export function layerNorm(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.LAYER_NORM_ROWS), cols = size(d, ctx, op.LAYER_NORM_COLS);
  const weight = ptr(d, op.LAYER_NORM_WEIGHT), bias = ptr(d, op.LAYER_NORM_BIAS);
  const epsilon = float(d, op.LAYER_NORM_EPSILON);
  const rowBytes = <usize>cols << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const inp = ptr(d, op.LAYER_NORM_INP) + rowBytes * row, out = ptr(d, op.LAYER_NORM_OUT) + rowBytes * row;
    const mean = rowSum(inp, rowBytes) / <f32>cols;
    const rstd = <f32>1 / sqrt<f32>(rowSquares(inp, rowBytes, mean) / <f32>cols + epsilon);
    store<f32>(ptr(d, op.LAYER_NORM_MEAN) + (<usize>row << 2), mean);
    store<f32>(ptr(d, op.LAYER_NORM_RSTD) + (<usize>row << 2), rstd);
    const means = f32x4.splat(mean), rstds = f32x4.splat(rstd);
    let i: usize = 0;
    for (; i + 16 <= rowBytes; i += 16) normalize(out + i, inp + i, weight + i, bias + i, means, rstds, true);
    for (; i < rowBytes; i += 4) normalize(out + i, inp + i, weight + i, bias + i, means, rstds, false);
  }
}

// @ts-ignore: decorator
@inline function normalize(
  out: usize, inp: usize, weight: usize, bias: usize, mean: v128, rstd: v128, whole: bool,
): void {
  const unit = f32x4.mul(f32x4.sub(loadLanes(inp, whole), mean), rstd);
  storeLanes(out, madd(unit, loadLanes(weight, whole), loadLanes(bias, whole)), whole);
}

/**
 * With g = dout · weight: dinp (+)= rstd · (g − Σ g / C − x̂ · Σ (g · x̂) / C), sums along the row;
 * dweight += Σ dout · x̂, dbias += Σ dout, sums down the rows. inp, dout, dinp [rows, cols]; the others [cols].
 * dinp accumulates by flag, or is absent; dweight and dbias accumulate, or both are absent. dinp is neither dout nor inp.
 * Threads share rows of dinp and columns of dweight and dbias.
 */
export function layerNormBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  if (ptr(d, op.LAYER_NORM_BACKWARD_DINP)) inputGradient(d, ctx, thread, threads);
  if (ptr(d, op.LAYER_NORM_BACKWARD_DWEIGHT)) parameterGradients(d, ctx, thread, threads);
}

function inputGradient(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.LAYER_NORM_BACKWARD_ROWS), cols = size(d, ctx, op.LAYER_NORM_BACKWARD_COLS);
  const weight = ptr(d, op.LAYER_NORM_BACKWARD_WEIGHT);
  const accumulate = (word(d, op.LAYER_NORM_BACKWARD_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  const rowBytes = <usize>cols << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const dout = ptr(d, op.LAYER_NORM_BACKWARD_DOUT) + rowBytes * row;
    const inp = ptr(d, op.LAYER_NORM_BACKWARD_INP) + rowBytes * row;
    const dinp = ptr(d, op.LAYER_NORM_BACKWARD_DINP) + rowBytes * row;
    const mean = v128.load32_splat(ptr(d, op.LAYER_NORM_BACKWARD_MEAN) + (<usize>row << 2));
    const rstd = v128.load32_splat(ptr(d, op.LAYER_NORM_BACKWARD_RSTD) + (<usize>row << 2));

    let g0 = f32x4.splat(0), g1 = g0, gx0 = g0, gx1 = g0; // Σ g and Σ g · (x − mean)
    let i: usize = 0;
    for (; i + 32 <= rowBytes; i += 32) {
      const a = f32x4.mul(v128.load(dout + i), v128.load(weight + i));
      const b = f32x4.mul(v128.load(dout + i, 16), v128.load(weight + i, 16));
      g0 = f32x4.add(g0, a);
      g1 = f32x4.add(g1, b);
      gx0 = madd(a, f32x4.sub(v128.load(inp + i), mean), gx0);
      gx1 = madd(b, f32x4.sub(v128.load(inp + i, 16), mean), gx1);
    }
    for (; i + 16 <= rowBytes; i += 16) {
      const a = f32x4.mul(v128.load(dout + i), v128.load(weight + i));
      g0 = f32x4.add(g0, a);
      gx0 = madd(a, f32x4.sub(v128.load(inp + i), mean), gx0);
    }
    for (; i < rowBytes; i += 4) {
      const a = f32x4.mul(v128.load32_zero(dout + i), v128.load32_zero(weight + i));
      g0 = f32x4.add(g0, a);
      gx0 = madd(a, f32x4.sub(v128.load32_splat(inp + i), mean), gx0);
    }
    const scale = f32x4.extract_lane(rstd, 0);
    const gMean = f32x4.splat(horizontalSum(f32x4.add(g0, g1)) / <f32>cols);
    const gxMean = f32x4.splat(horizontalSum(f32x4.add(gx0, gx1)) / <f32>cols * scale * scale); // Σ (g · x̂) / C · rstd

    for (i = 0; i + 16 <= rowBytes; i += 16) {
      inputStep(dinp + i, dout + i, inp + i, weight + i, mean, rstd, gMean, gxMean, accumulate, true);
    }
    for (; i < rowBytes; i += 4) {
      inputStep(dinp + i, dout + i, inp + i, weight + i, mean, rstd, gMean, gxMean, accumulate, false);
    }
  }
}

// @ts-ignore: decorator
@inline function inputStep(
  dinp: usize, dout: usize, inp: usize, weight: usize,
  mean: v128, rstd: v128, gMean: v128, gxMean: v128,
  accumulate: bool, whole: bool,
): void {
  const g = f32x4.sub(f32x4.mul(loadLanes(dout, whole), loadLanes(weight, whole)), gMean);
  const gradient = f32x4.mul(rstd, f32x4.sub(g, f32x4.mul(f32x4.sub(loadLanes(inp, whole), mean), gxMean)));
  storeLanes(dinp, accumulate ? f32x4.add(loadLanes(dinp, whole), gradient) : gradient, whole);
}

/** Rows summed in registers before they are added to dweight and dbias. */
const BLOCK_ROWS: u32 = 4;

function parameterGradients(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = <u32>size(d, ctx, op.LAYER_NORM_BACKWARD_ROWS), cols = <u32>size(d, ctx, op.LAYER_NORM_BACKWARD_COLS);
  const dweight = ptr(d, op.LAYER_NORM_BACKWARD_DWEIGHT), dbias = ptr(d, op.LAYER_NORM_BACKWARD_DBIAS);
  const rowBytes = <usize>cols << 2;
  const first = <usize>shareStart(cols, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(cols, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (first == end) return;
  let dout = ptr(d, op.LAYER_NORM_BACKWARD_DOUT), inp = ptr(d, op.LAYER_NORM_BACKWARD_INP);
  let means = ptr(d, op.LAYER_NORM_BACKWARD_MEAN), rstds = ptr(d, op.LAYER_NORM_BACKWARD_RSTD);
  let row: u32 = 0;
  for (; row + BLOCK_ROWS <= rows; row += BLOCK_ROWS) {
    const m0 = v128.load32_splat(means), m1 = v128.load32_splat(means, 4);
    const m2 = v128.load32_splat(means, 8), m3 = v128.load32_splat(means, 12);
    const r0 = v128.load32_splat(rstds), r1 = v128.load32_splat(rstds, 4);
    const r2 = v128.load32_splat(rstds, 8), r3 = v128.load32_splat(rstds, 12);
    for (let i = first; i < end; ) {
      const whole = i + 16 <= end;
      blockStep(dweight + i, dbias + i, dout + i, inp + i, rowBytes, m0, m1, m2, m3, r0, r1, r2, r3, whole);
      i += whole ? 16 : 4;
    }
    dout += rowBytes * BLOCK_ROWS;
    inp += rowBytes * BLOCK_ROWS;
    means += BLOCK_ROWS << 2;
    rstds += BLOCK_ROWS << 2;
  }
  for (; row < rows; ++row) {
    const mean = v128.load32_splat(means), rstd = v128.load32_splat(rstds);
    let i = first;
    for (; i + 16 <= end; i += 16) rowStep(dweight + i, dbias + i, dout + i, inp + i, mean, rstd, true);
    for (; i < end; i += 4) rowStep(dweight + i, dbias + i, dout + i, inp + i, mean, rstd, false);
    dout += rowBytes;
    inp += rowBytes;
    means += 4;
    rstds += 4;
  }
}

// @ts-ignore: decorator
@inline function blockStep(
  dweight: usize, dbias: usize, dout: usize, inp: usize, rowBytes: usize,
  m0: v128, m1: v128, m2: v128, m3: v128, r0: v128, r1: v128, r2: v128, r3: v128,
  whole: bool,
): void {
  const g0 = loadLanes(dout, whole), g1 = loadLanes(dout + rowBytes, whole);
  const g2 = loadLanes(dout + rowBytes * 2, whole), g3 = loadLanes(dout + rowBytes * 3, whole);
  let w = f32x4.mul(g0, unit(inp, m0, r0, whole));
  w = madd(g1, unit(inp + rowBytes, m1, r1, whole), w);
  w = madd(g2, unit(inp + rowBytes * 2, m2, r2, whole), w);
  w = madd(g3, unit(inp + rowBytes * 3, m3, r3, whole), w);
  storeLanes(dweight, f32x4.add(loadLanes(dweight, whole), w), whole);
  const b = f32x4.add(f32x4.add(f32x4.add(g0, g1), g2), g3);
  storeLanes(dbias, f32x4.add(loadLanes(dbias, whole), b), whole);
}

// @ts-ignore: decorator
@inline function rowStep(
  dweight: usize, dbias: usize, dout: usize, inp: usize, mean: v128, rstd: v128, whole: bool,
): void {
  const g = loadLanes(dout, whole);
  storeLanes(dweight, madd(g, unit(inp, mean, rstd, whole), loadLanes(dweight, whole)), whole);
  storeLanes(dbias, f32x4.add(loadLanes(dbias, whole), g), whole);
}

/** x̂ = (x − mean) · rstd. */
// @ts-ignore: decorator
@inline function unit(inp: usize, mean: v128, rstd: v128, whole: bool): v128 {
  return f32x4.mul(f32x4.sub(loadLanes(inp, whole), mean), rstd);
}

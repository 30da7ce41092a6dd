/** Sums in an order that does not depend on the threads. */
import * as op from './abi';
import { float, ptr, shareStart, size, word } from './interpreter/descriptor';
import { addLanes, LINE_ELEMENTS, loadLanes, storeLanes } from './math/lanes';
import { squares64, sum64 } from './math/sum64';

/** Rows summed in registers before they are added to the total. */
const BLOCK_ROWS: u32 = 8;

/**
 * out[cols] = Σ_row inp[row, :], or += with ACCUMULATE; inp [rows, cols] with rows `ld` apart. Threads share columns.
 * Order: eight rows, then their sum to the total. Error ≤ (rows / 8 + 8) · 2⁻²⁴ · Σ |inp|.
 */
export function columnSum(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = <u32>size(d, ctx, op.COLUMN_SUM_ROWS), cols = <u32>size(d, ctx, op.COLUMN_SUM_COLS);
  const rowBytes = <usize>size(d, ctx, op.COLUMN_SUM_LD) << 2;
  const out = ptr(d, op.COLUMN_SUM_OUT);
  const first = <usize>shareStart(cols, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(cols, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (first == end) return;
  if (!(word(d, op.COLUMN_SUM_FLAGS) & op.FLAG_ACCUMULATE)) memory.fill(out + first, 0, end - first);
  let inp = ptr(d, op.COLUMN_SUM_INP);
  let row: u32 = 0;
  for (; row + BLOCK_ROWS <= rows; row += BLOCK_ROWS) {
    let i = first;
    for (; i + 16 <= end; i += 16) blockStep(out + i, inp + i, rowBytes, true);
    for (; i < end; i += 4) blockStep(out + i, inp + i, rowBytes, false);
    inp += rowBytes * BLOCK_ROWS;
  }
  for (; row < rows; ++row) {
    let i = first;
    for (; i + 16 <= end; i += 16) addLanes(out + i, out + i, inp + i, true);
    for (; i < end; i += 4) addLanes(out + i, out + i, inp + i, false);
    inp += rowBytes;
  }
}

// @ts-ignore: decorator
@inline function blockStep(out: usize, inp: usize, rowBytes: usize, whole: bool): void {
  let s = f32x4.add(loadLanes(inp, whole), loadLanes(inp + rowBytes, whole));
  let t = f32x4.add(loadLanes(inp + rowBytes * 2, whole), loadLanes(inp + rowBytes * 3, whole));
  s = f32x4.add(s, loadLanes(inp + rowBytes * 4, whole));
  t = f32x4.add(t, loadLanes(inp + rowBytes * 5, whole));
  s = f32x4.add(s, loadLanes(inp + rowBytes * 6, whole));
  t = f32x4.add(t, loadLanes(inp + rowBytes * 7, whole));
  storeLanes(out, f32x4.add(loadLanes(out, whole), f32x4.add(s, t)), whole);
}

/** out (one f32) = Σ inp[rows · cols], added in f64, rounded once at the end. Thread 0 alone. */
export function sum(d: usize, ctx: usize, thread: u32, threads: u32): void {
  if (thread) return;
  const bytes = <usize>(size(d, ctx, op.SUM_ROWS) * size(d, ctx, op.SUM_COLS)) << 2;
  store<f32>(ptr(d, op.SUM_OUT), <f32>sum64(ptr(d, op.SUM_INP), bytes));
}

/**
 * partials[i] (f64) = Σ of squares of chunk i of NORM_CHUNK elements; the last chunk may be short. Squares and sums are
 * f64: no overflow, error ≤ 1e-12 relative. Threads share chunks.
 */
export function squares(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = <u32>size(d, ctx, op.SQUARES_COUNT);
  const inp = ptr(d, op.SQUARES_INP), partials = ptr(d, op.SQUARES_PARTIALS);
  const end = shareStart(count, op.NORM_CHUNK, thread + 1, threads);
  for (let i = shareStart(count, op.NORM_CHUNK, thread, threads); i < end; i += op.NORM_CHUNK) {
    const bytes = <usize>min<u32>(op.NORM_CHUNK, count - i) << 2;
    store<f64>(partials + <usize>(i / op.NORM_CHUNK) * 8, squares64(inp + (<usize>i << 2), bytes));
  }
}

/**
 * out[0] = √Σ partials (the norm), out[1] = min(1, limit / (norm + 1e-6)), as PyTorch's clip_grad_norm_; 1 for limit 0.
 * `count` partials in f64, added in order. Where the norm is not a finite f32, out[1] is NaN: no update.
 * Thread 0 alone.
 */
export function clip(d: usize, ctx: usize, thread: u32, threads: u32): void {
  if (thread) return;
  const count = size(d, ctx, op.CLIP_COUNT), out = ptr(d, op.CLIP_OUT);
  const limit = float(d, op.CLIP_LIMIT);
  let total: f64 = 0;
  for (let i = 0; i < count; ++i) total += load<f64>(ptr(d, op.CLIP_PARTIALS) + (<usize>i << 3));
  const norm = sqrt<f64>(total);
  store<f32>(out, <f32>norm);
  const factor: f32 = limit == 0 ? 1 : <f32>min<f64>(1, <f64>limit / (norm + 1e-6));
  store<f32>(out, isFinite(<f32>norm) ? factor : NaN, 4);
}

/**
 * Sums, products, copies, fills, multiples: one output element from one element of each input.
 * Threads share the elements, a cache line at a time.
 */
import * as op from '../abi';
import { float, ptr, shareStart, size, word } from '../interpreter/descriptor';
import { addLanes, LINE_ELEMENTS, loadLanes, storeLanes, storeProduct } from '../math/lanes';

/** out = a + b, [rows, cols]. Overwrites; out may be a or b. Rounded once. */
export function add(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.ADD_ROWS) * size(d, ctx, op.ADD_COLS);
  const out = ptr(d, op.ADD_OUT), a = ptr(d, op.ADD_A), b = ptr(d, op.ADD_B);
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  for (; i + 16 <= end; i += 16) addLanes(out + i, a + i, b + i, true);
  for (; i < end; i += 4) addLanes(out + i, a + i, b + i, false);
}

/** out = a · b, or out += … with ACCUMULATE; [rows, cols]. out may be a or b. The product is rounded, then the sum. */
export function multiply(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.MULTIPLY_ROWS) * size(d, ctx, op.MULTIPLY_COLS);
  const out = ptr(d, op.MULTIPLY_OUT), a = ptr(d, op.MULTIPLY_A), b = ptr(d, op.MULTIPLY_B);
  const accumulate = (word(d, op.MULTIPLY_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  for (; i + 16 <= end; i += 16) storeProduct(out + i, loadLanes(a + i, true), loadLanes(b + i, true), accumulate, true);
  for (; i < end; i += 4) storeProduct(out + i, loadLanes(a + i, false), loadLanes(b + i, false), accumulate, false);
}

/** out = inp, or out += inp with ACCUMULATE; [rows, cols]. out may be inp. */
export function copy(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.COPY_ROWS) * size(d, ctx, op.COPY_COLS);
  const out = ptr(d, op.COPY_OUT), inp = ptr(d, op.COPY_INP);
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (word(d, op.COPY_FLAGS) & op.FLAG_ACCUMULATE) {
    for (; i + 16 <= end; i += 16) addLanes(out + i, out + i, inp + i, true);
    for (; i < end; i += 4) addLanes(out + i, out + i, inp + i, false);
  } else if (i < end) {
    memory.copy(out + i, inp + i, end - i);
  }
}

/** out = value, [rows, cols]. The bits of value are kept. */
export function fill(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.FILL_ROWS) * size(d, ctx, op.FILL_COLS);
  const out = ptr(d, op.FILL_OUT), value = i32x4.splat(word(d, op.FILL_VALUE));
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  for (; i + 16 <= end; i += 16) storeLanes(out + i, value, true);
  for (; i < end; i += 4) storeLanes(out + i, value, false);
}

/** out = factor · inp, or out += … with ACCUMULATE; [rows, cols]. out may be inp. The product is rounded, then the sum. */
export function scale(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const count = size(d, ctx, op.SCALE_ROWS) * size(d, ctx, op.SCALE_COLS);
  const out = ptr(d, op.SCALE_OUT), inp = ptr(d, op.SCALE_INP), factor = f32x4.splat(float(d, op.SCALE_FACTOR));
  let i = <usize>shareStart(count, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(count, LINE_ELEMENTS, thread + 1, threads) << 2;
  const accumulate = (word(d, op.SCALE_FLAGS) & op.FLAG_ACCUMULATE) != 0;
  for (; i + 16 <= end; i += 16) storeProduct(out + i, loadLanes(inp + i, true), factor, accumulate, true);
  for (; i < end; i += 4) storeProduct(out + i, loadLanes(inp + i, false), factor, accumulate, false);
}

/**
 * Where the blocks of encoded weights stand, and moving them from and to floats.
 *
 *   columns (outputs)   0 … 15                16 … 31
 *                      ┌────────┬────────┬── ┈ ┬────────┬── ┈
 *                      │ block 0│ block 1│     │ block 0│             block: 64 (q8) or 32 (q4) steps (inputs) of 16 columns
 *                      └────────┴────────┴── ┈ ┴────────┴── ┈
 *
 * A panel of q8 or q4 has k steps, filled up with zeros to a multiple of 32; a panel of floats has k steps of 16 columns. The last
 * panel is filled up with zeros. What a block looks like: q8.ts, q4.ts.
 */
import * as op from '../abi';
import { ptr, scratch, shareStart, size, word } from '../interpreter/descriptor';
import { decodeBf16, encodeBf16, valueBf16 } from './bf16';
import { decodeF16, encodeF16, valueF16 } from './f16';
import { decodeQ4, encodeQ4, valueQ4 } from './q4';
import { decodeQ8, encodeQ8, valueQ8 } from './q8';

/** Bytes from the start of a panel to step `step`, where a block starts; also the bytes of a panel of `step` steps, any number. */
export function stepBytes(encoding: i32, step: i32): usize {
  if (encoding == op.ENCODING_PACKED) return <usize>step << 6;
  if (encoding == op.ENCODING_F16 || encoding == op.ENCODING_BF16) return <usize>step << 5;
  const chunks = <usize>chunksOf(step);
  return encoding == op.ENCODING_Q8
    ? <usize>((step + op.Q8_BLOCK - 1) / op.Q8_BLOCK) * op.Q8_HEAD_BYTES + chunks * op.Q8_CHUNK_BYTES
    : chunks * (op.Q4_HEAD_BYTES + op.Q4_CHUNK_BYTES);
}

/** Chunks of k steps. */
// @ts-ignore: decorator
@inline export function chunksOf(k: i32): i32 {
  return (k + op.ENCODING_CHUNK - 1) / op.ENCODING_CHUNK;
}

/** k that share a scale; of floats as many, to be moved together. */
// @ts-ignore: decorator
@inline export function blockSteps(encoding: i32): i32 {
  return encoding == op.ENCODING_Q4 ? op.Q4_BLOCK : op.Q8_BLOCK;
}

/** dst[steps][16] = steps [step, step + steps) of a panel as floats; a block starts at `step`. Writes whole chunks. */
export function decodePanel(dst: usize, panel: usize, encoding: i32, step: i32, steps: i32): void {
  let src = panel + stepBytes(encoding, step);
  if (encoding == op.ENCODING_PACKED) memory.copy(dst, src, <usize>steps << 6);
  else if (encoding == op.ENCODING_F16) decodeF16(dst, src, steps << 4);
  else if (encoding == op.ENCODING_BF16) decodeBf16(dst, src, steps << 4);
  else {
    const block = blockSteps(encoding), blockBytes = stepBytes(encoding, block);
    for (; steps > 0; steps -= block) {
      if (encoding == op.ENCODING_Q8) decodeQ8(dst, src, min(steps, block));
      else decodeQ4(dst, src);
      dst += <usize>block << 6;
      src += blockBytes;
    }
  }
}

/** dst[k] = one column of encoded weights as floats: the embedding of a token. */
export function decodeColumn(dst: usize, weights: usize, encoding: i32, column: u32, k: i32): void {
  const panel = weights + <usize>(column >> 4) * stepBytes(encoding, k), lane = <usize>(column & 15);
  for (let step: usize = 0; step < <usize>k; step++) {
    let value: f32;
    if (encoding == op.ENCODING_PACKED) value = load<f32>(panel + (step << 6) + (lane << 2));
    else if (encoding == op.ENCODING_F16) value = valueF16(panel + (step << 5) + (lane << 1));
    else if (encoding == op.ENCODING_BF16) value = valueBf16(panel + (step << 5) + (lane << 1));
    else if (encoding == op.ENCODING_Q8) value = valueQ8(panel + stepBytes(encoding, <i32>(step & -op.Q8_BLOCK)), lane, step & (op.Q8_BLOCK - 1));
    else value = valueQ4(panel + stepBytes(encoding, <i32>(step & -op.Q4_BLOCK)), lane, step & (op.Q4_BLOCK - 1));
    store<f32>(dst + (step << 2), value);
  }
}

/** OP_ENCODE: floats → panels. */
export function encode(d: usize, ctx: usize, thread: u32, threads: u32): void {
  recode(d, ctx, thread, threads, true);
}

/** OP_DECODE: panels → floats. */
export function decode(d: usize, ctx: usize, thread: u32, threads: u32): void {
  recode(d, ctx, thread, threads, false);
}

/** Both directions, block by block through a tile of floats. Threads share panels. */
function recode(d: usize, ctx: usize, thread: u32, threads: u32, encoding: bool): void {
  const code = word(d, op.ENCODE_ENCODING), tile = scratch(ctx);
  const stepStride = <usize>word(d, op.ENCODE_STEP_STRIDE) << 2, columnStride = <usize>word(d, op.ENCODE_COLUMN_STRIDE) << 2;
  const firstStep = size(d, ctx, op.ENCODE_FIRST_STEP), steps = size(d, ctx, op.ENCODE_STEPS);
  const firstColumn = size(d, ctx, op.ENCODE_FIRST_COLUMN), columns = size(d, ctx, op.ENCODE_COLUMNS);
  const panels = ptr(d, encoding ? op.ENCODE_OUT : op.ENCODE_INP), floats = ptr(d, encoding ? op.ENCODE_INP : op.ENCODE_OUT);
  const panelBytes = stepBytes(code, word(d, op.ENCODE_K)), block = blockSteps(code);
  const end = <i32>shareStart(columns, 16, thread + 1, threads);
  let fits = true;
  for (let column = <i32>shareStart(columns, 16, thread, threads); column < end; column += 16) {
    const panel = panels + <usize>((firstColumn + column) >> 4) * panelBytes, lanes = min(16, columns - column);
    for (let step = 0; step < steps; step += block) {
      const at = floats + <usize>column * columnStride + <usize>step * stepStride;
      const count = min(block, steps - step);
      if (encoding) {
        if (count < block || lanes < 16) memory.fill(tile, 0, <usize>block << 6);
        move(tile, 64, 4, at, stepStride, columnStride, count, lanes);
        fits = encodeTile(panel + stepBytes(code, firstStep + step), tile, code, count) && fits;
      } else {
        decodePanel(tile, panel, code, firstStep + step, count);
        move(at, stepStride, columnStride, tile, 64, 4, count, lanes);
      }
    }
  }
  if (!fits) store<i32>(ptr(d, op.ENCODE_FAULT), 1);
}

/** A tile of `steps` rows of 16 floats, with zeros after them, → a block. Returns whether all values have a place in it. */
function encodeTile(block: usize, tile: usize, code: i32, steps: i32): bool {
  if (code == op.ENCODING_Q8) return encodeQ8(block, tile, chunksOf(steps) * op.ENCODING_CHUNK);
  if (code == op.ENCODING_Q4) return encodeQ4(block, tile);
  if (code == op.ENCODING_F16) return encodeF16(block, tile, steps << 4);
  if (code == op.ENCODING_BF16) encodeBf16(block, tile, steps << 4);
  else memory.copy(block, tile, <usize>steps << 6);
  return true;
}

/** steps × lanes floats from and to memory of any strides. */
function move(
  dst: usize, dstStep: usize, dstLane: usize, src: usize, srcStep: usize, srcLane: usize, steps: i32, lanes: i32,
): void {
  for (; steps > 0; steps--) {
    if (lanes == 16 && dstLane == 4 && srcLane == 4) {
      v128.store(dst, v128.load(src));
      v128.store(dst, v128.load(src, 16), 16);
      v128.store(dst, v128.load(src, 32), 32);
      v128.store(dst, v128.load(src, 48), 48);
    } else {
      for (let lane: usize = 0; lane < <usize>lanes; lane++) store<f32>(dst + lane * dstLane, load<f32>(src + lane * srcLane));
    }
    dst += dstStep;
    src += srcStep;
  }
}

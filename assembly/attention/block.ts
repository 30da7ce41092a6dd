/**
 * Attention of a block of up to BLOCK_ROWS queries over the keys of one head:
 *
 *   S = Q · Kᵀ            [rows][keys]   register tiles into scratch
 *   P = softmax(scale·S)  row by row     (dropout on P)
 *   O = P · V / Σ P       [rows][headSize]
 *
 * No matrix of all queries by all keys exists; scratch grows with keys. Every element is summed over d, or over
 * keys, in order, and only over the keys its row may see, but for a few before its window that count 0 (head.ts). A row has the
 * same bits whatever block it was computed in, and nothing of a later key, not even a NaN, reaches it.
 */
import { IS_FULL } from '../build';
import { logScalar } from '../math/math';
import { MR, tileStrided } from '../gemm/tile';
import { Head, hideKeys, windowStart } from './head';
import { copyRow } from './pack';
import { rowTimesPanels, rowTimesValues } from './row';
import { dropRow, softmaxRow } from './softmax';

/**
 * out [rows, headSize] and, unless `lse` is 0, lse [rows] are overwritten. Row r sees the last `window` of the first keys + r · step
 * keys; head.keys and head.values hold them from windowStart(keys, window) on, at the places that they would have if all were there.
 * q and out rows are ldq and ldOut bytes apart, lse lines ldLse. `dropoutRow` + r · dropoutStep names a row to the
 * random generator. rows is 1 … BLOCK_ROWS.
 * Error of out: (keys + headSize · |scale · q|·|k| + 8) · 2⁻²³ · max |v|, to first order.
 */
export function attendBlock(
  head: Head,
  out: usize, ldOut: usize,
  lse: usize, ldLse: usize,
  q: usize, ldq: usize,
  rows: i32, keys: i32, step: i32, window: i32,
  dropoutRow: u32, dropoutStep: u32,
): void {
  const headSize = head.headSize;
  const scores = head.scores, scoreStride = head.scoreStride;
  const start = windowStart(keys, window), firstPanel = start >> 3, startBytes = <usize>start << 2;
  const panels = (keys + (rows - 1) * step + 7) >> 3;
  const full = rows == MR;
  const firstKeys = head.keys + <usize>firstPanel * head.panelStride;

  if (full) {
    let panel = firstKeys;
    for (let i = firstPanel; i < panels; i++) {
      tileStrided(scores + (<usize>i << 5), scoreStride, q, ldq, 4, panel, 32, headSize, false);
      panel += head.panelStride;
    }
  } else {
    for (let r = 0; r < rows; r++) {
      const row = scores + <usize>r * scoreStride + startBytes, rowPanels = ((keys + r * step + 7) >> 3) - firstPanel;
      rowTimesPanels(row, q + <usize>r * ldq, firstKeys, head.panelStride, rowPanels, headSize);
    }
  }

  for (let r = 0; r < rows; r++) {
    const row = scores + <usize>r * scoreStride, rowKeys = keys + r * step;
    hideKeys(row, start, rowKeys - window);
    softmaxRow(head, row + startBytes, rowKeys - start);
    store<f32>(head.inverses + (<usize>r << 2), 1 / head.sum);
    if (IS_FULL) {
      if (lse) store<f32>(lse + <usize>r * ldLse, head.max + logScalar(head.sum));
      if (head.threshold) dropRow(head, row + startBytes, start, rowKeys, dropoutRow + <u32>r * dropoutStep);
    }
  }

  const groups = headSize < 8 ? 1 : headSize >> 3;
  const valueStep = head.valueStep, valuesLast = head.valuesLast, startValues = <usize>start * valueStep;
  const sums = head.sums, sumStride = head.sumStride;
  const lastSums = <usize>groups << 5;
  if (full) {
    let group = head.values + startValues;
    const p = scores + startBytes, count = keys - start;
    for (let i = 0; i < groups; i++) {
      tileStrided(sums + (<usize>i << 5), sumStride, p, scoreStride, 4, group, valueStep, count, false);
      group += head.valueGroupStride;
    }
    if (valuesLast) tileStrided(sums + lastSums, sumStride, p, scoreStride, 4, valuesLast + startValues, valueStep, count, false);
  }
  for (let r = 0; r < rows; r++) {
    // What the tile left: the keys that only later rows of the block see, or all keys.
    const from = full ? keys : start;
    const count = keys + r * step - from;
    const sum = sums + <usize>r * sumStride;
    if (count > 0) {
      const p = scores + <usize>r * scoreStride + (<usize>from << 2);
      const skipped = <usize>from * valueStep;
      rowTimesValues(sum, p, head.values + skipped, head.valueGroupStride, valueStep, groups, count, full);
      if (valuesLast) rowTimesValues(sum + lastSums, p, valuesLast + skipped, 0, valueStep, 1, count, full);
    }
    const inverse = load<f32>(head.inverses + (<usize>r << 2));
    const line = out + <usize>r * ldOut;
    copyRow(line, sum, min(headSize, groups << 3), inverse);
    if (valuesLast) copyRow(line + (<usize>(headSize - 8) << 2), sum + lastSums, 8, inverse);
  }
}

/** What decoding does with the scores and sums of several heads of one row, whatever its cache is. */
import { Head, hideKeys, windowStart } from './head';
import { copyRow } from './pack';
import { softmaxRow } from './softmax';

/**
 * Scores of `heads` heads of the last `window` of `keys` keys → probabilities, not yet divided by their sums; the inverse sums go
 * after the sums of each head.
 */
export function softmaxHeads(head: Head, heads: i32, keys: i32, window: i32): void {
  const start = windowStart(keys, window);
  let scores = head.scores, inverse = head.sums + head.sumStride - 4;
  for (; heads > 0; heads--) {
    hideKeys(scores, start, keys - window);
    softmaxRow(head, scores + (<usize>start << 2), keys - start);
    store<f32>(inverse, 1 / head.sum);
    scores += head.scoreStride;
    inverse += head.sumStride;
  }
}

/** out [heads, headSize] = sums · inverse sums, overwritten; the columns that make no whole group of 8 stand after the groups. */
export function storeHeads(head: Head, out: usize, heads: i32): void {
  const whole = head.headSize & ~7, headBytes = <usize>head.headSize << 2;
  for (let sums = head.sums; heads > 0; heads--) {
    const factor = load<f32>(sums + head.sumStride - 4);
    copyRow(out, sums, whole, factor);
    if (head.headSize & 7) copyRow(out + headBytes - 32, sums + (<usize>whole << 2), 8, factor);
    out += headBytes;
    sums += head.sumStride;
  }
}

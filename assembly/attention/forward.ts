/**
 * OP_ATTENTION: attention of each segment over itself.
 *
 *   out[i, h] = Σ_j softmax_j(scale · q[i, h] · k[j, g]) · v[j, g]   g = floor(h / group)
 *   lse[i, h] = log Σ_j exp(scale · q[i, h] · k[j, g])               i − window < j ≤ i with CAUSAL, all rows of the segment without
 *
 * A thread's share is a run of blocks of queries in the order (segment, head, row), cut so that all shares cost about
 * the same: with CAUSAL, later rows see more keys. For each key-value head it touches, the thread packs the keys and values that its
 * rows can see, and keeps them for the next query head of the group; then it goes block by block (block.ts).
 *
 * Scratch memory of a thread (src/graph/attention-scratch.ts):
 *
 *   │ record │ 1 / Σ p [4] │ constants of exp │ sums [4][headSize + 8] │ scores [4][keys + 16] │
 *   │ key panels [keys / 8][headSize][8] │ value groups [headSize / 8][keys][8] │              sizes rounded up to 8
 */
import * as op from '../abi';
import { float, ptr, scratch, size, word } from '../interpreter/descriptor';
import { attendBlock } from './block';
import { EXP_BYTES, writeExp } from './exp';
import { BLOCK_ROWS, Head, RECORD_BYTES, costOfRows, costStart, readDropout, rowAtCost, segment, windowOf, windowStart } from './head';
import { packGroups, packPanels } from './pack';

/** The record of head.ts at the start of `scratch`, and the scratch areas of `rows` rows of up to `keys` keys. */
export function openHead(at: usize, headSize: i32, keys: i32, rows: i32, scale: f32): Head {
  const head = changetype<Head>(at);
  head.headSize = headSize;
  head.scale = scale;
  head.threshold = 0;
  head.inverses = at + RECORD_BYTES;
  head.exp = head.inverses + 64;
  writeExp(head.exp);
  head.sums = head.exp + EXP_BYTES;
  head.sumStride = <usize>((headSize + 15) & ~7) << 2;
  head.scores = head.sums + <usize>rows * head.sumStride;
  // Not a power of two: the rows of a block would fall on the same lines of the first-level cache.
  head.scoreStride = <usize>(((keys + 7) & ~7) + 16) << 2;
  head.end = head.scores + <usize>rows * head.scoreStride;
  head.panelStride = <usize>headSize << 5;
  return head;
}

/** Points the record to `keys` values that packGroups writes to `out`. */
export function placeValues(head: Head, out: usize, keys: i32): void {
  const headSize = head.headSize;
  head.values = out;
  head.valueGroupStride = <usize>keys << 5;
  head.valueStep = 32;
  head.valuesLast = headSize > 8 && (headSize & 7) ? out + <usize>(headSize >> 3) * head.valueGroupStride : 0;
}

/** out [rows, heads · headSize] and lse [rows, heads], where a segment has rows, are overwritten. Errors: block.ts. */
export function attentionForward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const out = ptr(d, op.ATTENTION_OUT), lse = ptr(d, op.ATTENTION_LSE);
  const queries = ptr(d, op.ATTENTION_Q), allKeys = ptr(d, op.ATTENTION_K), allValues = ptr(d, op.ATTENTION_V);
  const ldq = <usize>word(d, op.ATTENTION_LDQ) << 2, ldk = <usize>word(d, op.ATTENTION_LDK) << 2, ldv = <usize>word(d, op.ATTENTION_LDV) << 2;
  const segments = ptr(d, op.ATTENTION_SEGMENTS), count = size(d, ctx, op.ATTENTION_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_HEADS), headSize = word(d, op.ATTENTION_HEAD_SIZE);
  const group = heads / word(d, op.ATTENTION_KEY_VALUE_HEADS);
  const step = word(d, op.ATTENTION_FLAGS) & op.FLAG_CAUSAL ? 1 : 0, window = windowOf(d);
  const headBytes = <usize>headSize << 2, ldOut = <usize>heads * headBytes, ldLse = <usize>heads << 2;

  let total: u64 = 0, longest = 0;
  for (let s = 0; s < count; s++) {
    const rows = segment(segments, s, op.SEGMENT_ROWS);
    total += costOfRows(rows, step ? 1 : rows, step, window) * heads;
    longest = max(longest, rows);
  }
  const head = openHead(scratch(ctx), headSize, longest, BLOCK_ROWS, float(d, op.ATTENTION_SCALE));
  readDropout(head, d);
  const keyPanels = head.end;
  head.keys = keyPanels;

  // Costs of this share's bounds, from the start of the current head.
  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const firstRow = segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const firstKeys = step ? 1 : rows;
    const cost = <i64>costOfRows(rows, firstKeys, step, window);
    let packed = -1, packedStart = 0, packedEnd = 0; // which key-value head, and which of its keys
    for (let h = 0; h < heads; h++) {
      const first = rowAtCost(from, rows, firstKeys, step, window, BLOCK_ROWS);
      const last = rowAtCost(to, rows, firstKeys, step, window, BLOCK_ROWS);
      from -= cost;
      to -= cost;
      if (first == last) continue;
      const q = queries + <usize>firstRow * ldq + <usize>h * headBytes, keyValue = h / group;
      const start = windowStart(firstKeys + first * step, window), keys = step ? last : rows;
      if (packed != keyValue || start < packedStart || keys > packedEnd) {
        packed = keyValue;
        packedStart = start;
        packedEnd = keys;
        const row = <usize>(firstRow + start), column = <usize>keyValue * headBytes;
        packPanels(keyPanels + <usize>start * headBytes, allKeys + row * ldk + column, ldk, keys - start, headSize);
        placeValues(head, keyPanels + <usize>((keys + 7) & ~7) * headBytes, keys);
        packGroups(head.values + (<usize>start << 5), head.valueGroupStride, allValues + row * ldv + column, ldv, keys - start, headSize);
      }
      for (let i = first; i < last; i += BLOCK_ROWS) {
        const row = <usize>(firstRow + i);
        attendBlock(
          head,
          out + row * ldOut + <usize>h * headBytes, ldOut,
          lse ? lse + row * ldLse + (<usize>h << 2) : 0, ldLse,
          q + <usize>i * ldq, ldq,
          min(BLOCK_ROWS, last - i), firstKeys + i * step, step, window,
          <u32>(row * heads + h), heads,
        );
      }
    }
  }
}

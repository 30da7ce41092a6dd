/**
 * What the kernels of this folder know about one head of one segment while they work on it: a record at the start of
 * the thread's scratch memory (src/graph/attention-scratch.ts sizes it), instead of twenty arguments.
 *
 * A segment (src/abi/operations.ts) is a run of rows of one sequence. Its queries, keys and values are column groups:
 *
 *   qkv [rows, 3·C]   row: │ q head 0 │ q head 1 │ … │ k head 0 │ k head 1 │ … │ v head 0 │ v head 1 │ … │
 *
 * Products want their right operand as rows of 8 contiguous floats (gemm/tile.ts). For that, keys lie in panels
 *
 *   keys    [key / 8][headSize][8]     S[i, key] = Σ_d Q[i, d] · K[d, key]     8 keys side by side, d after d
 *
 * and values in groups of 8 columns, which are either packed or left where they are (`valueGroupStride`, `valueStep`):
 *
 *   values  [headSize / 8][key][8]     O[i, d] = Σ_key P[i, key] · V[key, d]   8 columns side by side, key after key
 *
 * When headSize is not a multiple of 8 the last group starts at column headSize − 8 (`valuesLast`): it computes a few
 * columns a second time, to the same bits, and needs no padding. Heads narrower than 8 are padded to one group.
 */
import { word } from '../descriptor';
import { philox } from '../philox';
import * as op from '../abi';

/** Rows of a block of queries: those of the register tile. */
export const BLOCK_ROWS: i32 = 4;

/**
 * Heads that lie together in a key-value cache (cache.ts), and whose scores are made side by side: the sums of one alone would wait
 * for each other longer than bytes of bf16 take to come.
 */
export const RUN_HEADS: i32 = 4;

/** Bytes that the record takes at the start of scratch memory. */
export const RECORD_BYTES: usize = 128;

// @ts-ignore: decorator
@unmanaged export class Head {
  keys: usize; // panels
  panelStride: usize; // bytes from one panel to the next
  values: usize;
  valuesLast: usize; // the last group, or 0 when headSize is a multiple of 8
  valueGroupStride: usize; // bytes from one group to the next
  valueStep: usize; // bytes from one key to the next
  scores: usize; // [BLOCK_ROWS][scoreStride], scratch
  scoreStride: usize; // bytes
  sums: usize; // [BLOCK_ROWS][sumStride], scratch: a column group after the other, the last one at the end
  sumStride: usize; // bytes
  inverses: usize; // [BLOCK_ROWS], scratch: 1 / Σ p
  exp: usize; // constants (exp.ts)
  end: usize; // of the scratch memory that the record speaks of
  headSize: i32;
  scale: f32;
  // Dropout of probabilities; threshold 0 means none.
  threshold: u32;
  dropoutScale: f32;
  seed0: u32;
  seed1: u32;
  seed2: u32;
  stream: u32;
  // Statistics of the row that softmaxRow saw last.
  sum: f32;
  max: f32;
}

/** Reads the dropout fields, which stand at `shift` words past those of OP_ATTENTION. */
export function readDropout(head: Head, d: usize, shift: i32): void {
  head.threshold = <u32>word(d, op.ATTENTION_DROPOUT_THRESHOLD + shift);
  if (head.threshold == 0) return;
  head.dropoutScale = reinterpret<f32>(word(d, op.ATTENTION_DROPOUT_SCALE + shift));
  const seed = <usize><u32>word(d, op.ATTENTION_SEED + shift);
  head.seed0 = load<u32>(seed);
  head.seed1 = load<u32>(seed, 4);
  head.seed2 = load<u32>(seed, 8);
  head.stream = <u32>word(d, op.ATTENTION_STREAM + shift);
}

/** What P of keys 4·group … 4·group + 3 is multiplied by: 0 or 1 / (1 − p). `row`: row · heads + head. */
// @ts-ignore: decorator
@inline export function dropoutFactors(head: Head, group: u32, row: u32): v128 {
  const random = philox(group, row, head.stream, head.seed2, head.seed0, head.seed1);
  return v128.and(i32x4.ge_u(random, i32x4.splat(head.threshold)), f32x4.splat(head.dropoutScale));
}

// ── Segments ──────────────────────────────────────────────────────────────────────────────────────────────────
/** Word `field` of segment `index`. */
// @ts-ignore: decorator
@inline export function segment(segments: usize, index: i32, field: i32): i32 {
  return load<i32>(segments + <usize>(((index * op.SEGMENT_WORDS) + field) << 2));
}

// ── Sharing the rows of heads among threads ───────────────────────────────────────────────────────────────────
/** What a row costs beside its keys, in keys: reading q, writing out. A guess. */
const ROW_COST: u64 = 16;

/** Cost of the first `rows` rows when row r sees keys + r · step keys. */
export function costOfRows(rows: i32, keys: i32, step: i32): u64 {
  const r = <u64>max(rows, 0);
  const earlierRows = step && r > 0 ? (r * (r - 1)) >> 1 : 0;
  return r * (<u64>keys + ROW_COST) + earlierRows;
}

/** The first multiple of `quantum` (or `rows` itself) whose rows before it cost at least `cost`. */
export function rowAtCost(cost: i64, rows: i32, keys: i32, step: i32, quantum: i32): i32 {
  if (cost <= 0) return 0;
  let low = 0, high = (rows + quantum - 1) / quantum;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (costOfRows(middle * quantum, keys, step) >= <u64>cost) high = middle;
    else low = middle + 1;
  }
  return min(low * quantum, rows);
}

/** Where the share of `thread` begins when work of cost `total` is dealt to `threads`. */
// @ts-ignore: decorator
@inline export function costStart(total: u64, thread: u32, threads: u32): u64 {
  return (total * thread) / threads;
}

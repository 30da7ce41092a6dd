/**
 * What the kernels of this folder need for one head of one segment: a record at the start of the thread's scratch memory
 * (src/graph/attention-scratch.ts sizes it), instead of twenty arguments.
 *
 * A segment (src/abi/operations.ts) is a run of rows of one sequence. Queries have `heads` heads side by side, keys and values
 * `keyValueHeads`; a key-value head and the `group` = heads / keyValueHeads query heads that read it follow each other:
 *
 *   queries       │ head 0 │ head 1 │ head 2 │ head 3 │ head 4 │ head 5 │      here heads 6, keyValueHeads 2, group 3
 *   keys, values  │ head 0                   │ head 1                   │
 *
 * Products read their right operand as rows of 8 contiguous floats (gemm/tile.ts). For that, keys lie in panels
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
import { word } from '../interpreter/descriptor';
import { philox } from '../math/philox';
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
  end: usize; // of the scratch memory that these fields point to
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

/** Reads the dropout fields. */
export function readDropout(head: Head, d: usize): void {
  head.threshold = <u32>word(d, op.ATTENTION_DROPOUT_THRESHOLD);
  if (head.threshold == 0) return;
  head.dropoutScale = reinterpret<f32>(word(d, op.ATTENTION_DROPOUT_SCALE));
  const seed = <usize><u32>word(d, op.ATTENTION_SEED);
  head.seed0 = load<u32>(seed);
  head.seed1 = load<u32>(seed, 4);
  head.seed2 = load<u32>(seed, 8);
  head.stream = <u32>word(d, op.ATTENTION_STREAM);
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

// ── Windows ───────────────────────────────────────────────────────────────────────────────────────────────────
/** The window of an operation without one: more keys than there are, and sums with a row or a key stay below 2³¹. */
const NO_WINDOW: i32 = 1 << 30;

/** Of the keys up to its own, a row sees the last ones: so many. */
export function windowOf(d: usize): i32 {
  const window = word(d, op.ATTENTION_WINDOW);
  return window ? window : NO_WINDOW;
}

/**
 * The first key of the panel in which the window begins, for a row with `keys` keys up to its own. Rows are computed from there on;
 * what the panel holds of earlier keys gets probability 0, and their values must be finite.
 */
// @ts-ignore: decorator
@inline export function windowStart(keys: i32, window: i32): i32 {
  return max(0, keys - window) & ~7;
}

/** Scores [from, to) of the row at `scores` = −∞: their probabilities will be 0. */
// @ts-ignore: decorator
@inline export function hideKeys(scores: usize, from: i32, to: i32): void {
  for (; from < to; from++) store<f32>(scores + (<usize>from << 2), -Infinity);
}

// ── Sharing the rows of heads among threads ───────────────────────────────────────────────────────────────────
/** What a row costs beside its keys, in keys: reading q, writing out. A guess. */
const ROW_COST: u64 = 16;

/** Cost of the first `rows` rows when row r sees the last `window` of keys + r · step keys. */
export function costOfRows(rows: i32, keys: i32, step: i32, window: i32): u64 {
  const r = <u64>max(rows, 0);
  if (keys >= window) return r * (<u64>window + ROW_COST);
  const growing = step ? min(r, <u64>(window - keys)) : r; // rows whose windows hold all there is
  const earlierRows = step && growing > 0 ? (growing * (growing - 1)) >> 1 : 0;
  return growing * <u64>keys + earlierRows + (r - growing) * <u64>window + r * ROW_COST;
}

/** The first multiple of `quantum` (or `rows` itself) whose rows before it cost at least `cost`. */
export function rowAtCost(cost: i64, rows: i32, keys: i32, step: i32, window: i32, quantum: i32): i32 {
  if (cost <= 0) return 0;
  let low = 0, high = (rows + quantum - 1) / quantum;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (costOfRows(middle * quantum, keys, step, window) >= <u64>cost) high = middle;
    else low = middle + 1;
  }
  return min(low * quantum, rows);
}

/** Where the share of `thread` begins when work of cost `total` is distributed over `threads`. */
// @ts-ignore: decorator
@inline export function costStart(total: u64, thread: u32, threads: u32): u64 {
  return (total * thread) / threads;
}

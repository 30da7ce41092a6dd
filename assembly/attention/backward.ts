/**
 * OP_ATTENTION_BACKWARD: gradients of attention, the probabilities recomputed from each row's log-sum-exp.
 *
 *   P[i, j]  = exp(scale · q_i · k_j − lse_i)         M[i, j] = keep / (1 − p) with dropout, 1 without
 *   D[i]     = dout_i · out_i                         = Σ_j P M[i, j] · (dout_i · v_j)
 *   dS[i, j] = P[i, j] · (M[i, j] · dout_i · v_j − D[i])
 *   dV_j = Σ_i P M[i, j] · dout_i        dK_j = scale · Σ_i dS[i, j] · q_i        dQ_i = scale · Σ_j dS[i, j] · k_j
 *
 * For one key-value head of one segment and each query head of its group, block by block: QUERY_BLOCK queries × KEY_BLOCK keys of S
 * and P live in scratch memory. dK and dV are added up over the group, head after head.
 *
 *                keys ──►                        Each block: two products into P and dS (Q·Kᵀ, dO·Vᵀ), one pass
 *               ┌────┬────┬────┐                 over the elements, and three products out of them, added to dQ of
 *   queries     │ 00 │    ·    │ · above the     the block's rows and to dK and dV of its keys.
 *      │        ├────┼────┐    │ diagonal:       The order of all sums is that of blocks from the first key of the
 *      ▼        │ 10 │ 11 │ ·  │ skipped with    first query, the same for whatever part a thread computes.
 *               ├────┼────┼────┤ CAUSAL
 *               │ 20 │ 21 │ 22 │                 Blocks that lie before the window of all their queries are skipped too.
 *
 * Sharing: key-value heads are distributed over threads by cost. A thread whose share ends inside one owns some of its query blocks
 * (dQ, in each head of the group) and some of its key blocks (dK, dV), and computes the blocks in which it owns one or the other.
 *
 * Scratch memory of a thread (src/graph/attention-scratch.ts), W = headSize rounded up to 8, T = rows rounded up to 8:
 *
 *   │ records, constants of exp │ lse, D [QUERY_BLOCK] │ q, dO, dQ [QUERY_BLOCK][W] │ P, dS [QUERY_BLOCK][KEY_BLOCK]
 *   │ K, V panels [T / 8][headSize][8] │ K, dK, dV [T][W] │
 *
 * Source: T. Dao, D. Fu, S. Ermon, A. Rudra, C. Ré, "FlashAttention: fast and memory-efficient exact attention with
 * IO-awareness", NeurIPS 2022, section 3.1 and appendix B: recomputation, and D.
 */
import * as op from '../abi';
import { float, ptr, scratch, size, word } from '../interpreter/descriptor';
import { tileStrided } from '../gemm/tile';
import { horizontalSum, madd } from '../math/simd';
import { EXP_BYTES, softmaxExp, writeExp } from './exp';
import { Head, RECORD_BYTES, costOfRows, costStart, dropoutFactors, readDropout, segment, windowOf } from './head';
import { copyRow, packPanels } from './pack';
import { firstLanes } from './softmax';

export const QUERY_BLOCK: i32 = 32;
export const KEY_BLOCK: i32 = 64;
const BLOCK_STRIDE: usize = <usize>KEY_BLOCK << 2;
/** Bytes that the record below takes. */
const GRADIENT_BYTES: usize = 192;

/** Where a key-value head's rows lie, and the thread's scratch areas. Stands after the record of head.ts, of which it uses a part. */
// @ts-ignore: decorator
@unmanaged class Gradient {
  head: Head;
  // Arguments, at the first row and the current head. Strides in bytes.
  q: usize;
  k: usize;
  v: usize;
  dq: usize;
  dk: usize;
  dv: usize;
  out: usize;
  dout: usize;
  lse: usize;
  ldq: usize;
  ldk: usize;
  ldv: usize;
  lddq: usize;
  lddk: usize;
  lddv: usize;
  ldOut: usize;
  ldLse: usize;
  rows: i32;
  group: i32; // query heads
  causal: i32;
  window: i32;
  dropoutRow: u32;
  dropoutStep: u32;
  // Scratch memory.
  width: usize; // bytes of a row of W floats
  lseBlock: usize;
  deltaBlock: usize;
  qBlock: usize;
  doutBlock: usize;
  dqBlock: usize;
  p: usize;
  ds: usize;
  keyPanels: usize;
  valuePanels: usize;
  keyRows: usize;
  dkeyRows: usize;
  dvalueRows: usize;
}

/**
 * dq, dk and dv, where a segment has rows, are overwritten.
 * Error: (group · rows + headSize + |lse| + 8) · 2⁻²³ of the sums of magnitudes; |lse| because P = exp(s − lse).
 */
export function attentionBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const segments = ptr(d, op.ATTENTION_SEGMENTS), count = size(d, ctx, op.ATTENTION_SEGMENT_COUNT);
  const heads = word(d, op.ATTENTION_HEADS), keyValueHeads = word(d, op.ATTENTION_KEY_VALUE_HEADS), group = heads / keyValueHeads;
  const headSize = word(d, op.ATTENTION_HEAD_SIZE), headBytes = <usize>headSize << 2;
  const causal = word(d, op.ATTENTION_FLAGS) & op.FLAG_CAUSAL ? 1 : 0, window = windowOf(d);

  let total: u64 = 0, longest = 0;
  for (let s = 0; s < count; s++) {
    const rows = segment(segments, s, op.SEGMENT_ROWS);
    total += costOfRows(rows, causal ? 1 : rows, causal, window) * keyValueHeads;
    longest = max(longest, rows);
  }
  const g = openGradient(scratch(ctx), headSize, longest);
  g.head.scale = float(d, op.ATTENTION_SCALE);
  readDropout(g.head, d);
  g.group = group;
  g.causal = causal;
  g.window = window;
  g.ldq = stride(d, op.ATTENTION_LDQ);
  g.ldk = stride(d, op.ATTENTION_LDK);
  g.ldv = stride(d, op.ATTENTION_LDV);
  g.lddq = stride(d, op.ATTENTION_LDDQ);
  g.lddk = stride(d, op.ATTENTION_LDDK);
  g.lddv = stride(d, op.ATTENTION_LDDV);
  g.ldOut = <usize>heads * headBytes;
  g.ldLse = <usize>heads << 2;
  g.dropoutStep = heads;

  let from = <i64>costStart(total, thread, threads), to = <i64>costStart(total, thread + 1, threads);
  for (let s = 0; s < count; s++) {
    const row = <usize>segment(segments, s, op.SEGMENT_ROW), rows = segment(segments, s, op.SEGMENT_ROWS);
    const cost = <i64>costOfRows(rows, causal ? 1 : rows, causal, window);
    for (let keyValue = 0; keyValue < keyValueHeads; keyValue++) {
      if (from < cost && to > 0) {
        const h = keyValue * group, column = <usize>h * headBytes, keyColumn = <usize>keyValue * headBytes;
        g.rows = rows;
        g.q = ptr(d, op.ATTENTION_Q) + row * g.ldq + column;
        g.k = ptr(d, op.ATTENTION_K) + row * g.ldk + keyColumn;
        g.v = ptr(d, op.ATTENTION_V) + row * g.ldv + keyColumn;
        g.dq = ptr(d, op.ATTENTION_DQ) + row * g.lddq + column;
        g.dk = ptr(d, op.ATTENTION_DK) + row * g.lddk + keyColumn;
        g.dv = ptr(d, op.ATTENTION_DV) + row * g.lddv + keyColumn;
        g.out = ptr(d, op.ATTENTION_OUT) + row * g.ldOut + column;
        g.dout = ptr(d, op.ATTENTION_DOUT) + row * g.ldOut + column;
        g.lse = ptr(d, op.ATTENTION_LSE) + row * g.ldLse + (<usize>h << 2);
        g.dropoutRow = <u32>row * heads + h;
        const start = <f64>from / <f64>cost, end = <f64>to / <f64>cost;
        const rises = causal != 0 && window >= rows; // later rows see more keys
        headBackward(
          g,
          queryAt(start, rows, rises), queryAt(end, rows, rises),
          keyAt(start, rows, rises), keyAt(end, rows, rises),
        );
      }
      from -= cost;
      to -= cost;
    }
  }
}

/** A leading dimension, in bytes. */
// @ts-ignore: decorator
@inline function stride(d: usize, field: i32): usize {
  return <usize>word(d, field) << 2;
}

/** The query block boundary next to which `fraction` of all (query, key) pairs lie before. */
function queryAt(fraction: f64, rows: i32, rises: bool): i32 {
  const share = min(max(fraction, 0), 1);
  return boundary(rises ? sqrt(share) : share, rows, QUERY_BLOCK);
}

/** The same for keys, of which the first are seen by the most queries. */
function keyAt(fraction: f64, rows: i32, rises: bool): i32 {
  const share = min(max(fraction, 0), 1);
  return boundary(rises ? 1 - sqrt(1 - share) : share, rows, KEY_BLOCK);
}

// @ts-ignore: decorator
@inline function boundary(fraction: f64, rows: i32, block: i32): i32 {
  return fraction == 1 ? rows : min(rows, <i32>(fraction * rows / block + 0.5) * block);
}

function openGradient(at: usize, headSize: i32, rows: i32): Gradient {
  const g = changetype<Gradient>(at + RECORD_BYTES);
  const width = <usize>((headSize + 7) & ~7) << 2;
  const length = <usize>((rows + 7) & ~7);
  g.head = changetype<Head>(at);
  g.head.headSize = headSize;
  g.width = width;
  g.head.exp = at + RECORD_BYTES + GRADIENT_BYTES;
  writeExp(g.head.exp);
  g.lseBlock = g.head.exp + EXP_BYTES;
  g.deltaBlock = g.lseBlock + (QUERY_BLOCK << 2);
  g.qBlock = g.deltaBlock + (QUERY_BLOCK << 2);
  g.doutBlock = g.qBlock + <usize>QUERY_BLOCK * width;
  g.dqBlock = g.doutBlock + <usize>QUERY_BLOCK * width;
  g.p = g.dqBlock + <usize>QUERY_BLOCK * width;
  g.ds = g.p + <usize>QUERY_BLOCK * BLOCK_STRIDE;
  g.keyPanels = g.ds + <usize>QUERY_BLOCK * BLOCK_STRIDE;
  g.valuePanels = g.keyPanels + length * (<usize>headSize << 2);
  g.keyRows = g.valuePanels + length * (<usize>headSize << 2);
  g.dkeyRows = g.keyRows + length * width;
  g.dvalueRows = g.dkeyRows + length * width;
  return g;
}

/** The key block in which the window of query i begins. */
// @ts-ignore: decorator
@inline function firstSeen(g: Gradient, i: i32): i32 {
  return max(0, i + 1 - g.window) & -KEY_BLOCK;
}

/** dQ of queries [firstQuery, lastQuery) of each head of a group, dK and dV of its keys [firstKey, lastKey). */
function headBackward(g: Gradient, firstQuery: i32, lastQuery: i32, firstKey: i32, lastKey: i32): void {
  if (firstQuery == lastQuery && firstKey == lastKey) return;
  const headSize = g.head.headSize, scale = g.head.scale, rows = g.rows, causal = g.causal;
  const width = g.width, headBytes = <usize>headSize << 2;
  // Keys that matter here: its own, and those its own queries see.
  const start = min(firstKey == lastKey ? rows : firstKey, firstQuery == lastQuery ? rows : firstSeen(g, firstQuery));
  const keys = max(lastKey, firstQuery == lastQuery ? 0 : causal ? lastQuery : rows) - start;
  const keyRow = g.k + <usize>start * g.ldk, panelOffset = <usize>start * headBytes;
  packPanels(g.keyPanels + panelOffset, keyRow, g.ldk, keys, headSize);
  packPanels(g.valuePanels + panelOffset, g.v + <usize>start * g.ldv, g.ldv, keys, headSize);
  copyRows(g.keyRows + <usize>start * width, width, keyRow, g.ldk, keys, headSize, 1);
  const keyBytes = <usize>(((lastKey + 7) & ~7) - firstKey) * width;
  memory.fill(g.dkeyRows + <usize>firstKey * width, 0, keyBytes);
  memory.fill(g.dvalueRows + <usize>firstKey * width, 0, keyBytes);

  for (let member = g.group; member > 0; member--) {
    for (let i = 0; i < rows; i += QUERY_BLOCK) {
      const ownQueries = i >= firstQuery && i < lastQuery;
      const end = min(i + QUERY_BLOCK, rows);
      const first = firstSeen(g, i), seen = causal ? end : rows;
      if (!ownQueries && (firstKey == lastKey || seen <= firstKey || first >= lastKey)) continue;
      openQueries(g, i, end - i);
      for (let j = first; j < seen; j += KEY_BLOCK) {
        const ownKeys = j >= firstKey && j < lastKey;
        if (!ownQueries && !ownKeys) continue;
        const blockKeys = min(KEY_BLOCK, seen - j);
        probabilities(g, i, end - i, j, blockKeys);
        if (ownKeys) keyGradients(g, i, end - i, j, blockKeys);
        if (ownQueries) queryGradients(g, i, end - i, j, blockKeys);
      }
      if (ownQueries) copyRows(g.dq + <usize>i * g.lddq, g.lddq, g.dqBlock, width, end - i, headSize, scale);
    }
    g.q += headBytes;
    g.dq += headBytes;
    g.out += headBytes;
    g.dout += headBytes;
    g.lse += 4;
    g.dropoutRow++;
  }
  const own = lastKey - firstKey, offset = <usize>firstKey * width;
  copyRows(g.dk + <usize>firstKey * g.lddk, g.lddk, g.dkeyRows + offset, width, own, headSize, scale);
  copyRows(g.dv + <usize>firstKey * g.lddv, g.lddv, g.dvalueRows + offset, width, own, headSize, 1);
}

/** Copies q and dout of `count` queries from `first` on into their blocks, with lse and D; dQ of the block = 0. */
function openQueries(g: Gradient, first: i32, count: i32): void {
  const headSize = g.head.headSize;
  const dout = g.dout + <usize>first * g.ldOut, out = g.out + <usize>first * g.ldOut;
  copyRows(g.qBlock, g.width, g.q + <usize>first * g.ldq, g.ldq, count, headSize, 1);
  copyRows(g.doutBlock, g.width, dout, g.ldOut, count, headSize, 1);
  memory.fill(g.dqBlock, 0, <usize>((count + 3) & ~3) * g.width);
  for (let r: usize = 0; r < <usize>count; r++) {
    store<f32>(g.lseBlock + (r << 2), load<f32>(g.lse + (<usize>first + r) * g.ldLse));
    store<f32>(g.deltaBlock + (r << 2), dot(dout + r * g.ldOut, out + r * g.ldOut, headSize));
  }
}

/**
 * P (times dropout) and dS of `queries` × `keys`, from query i and key j on. Elements that the mask forbids are 0, as
 * far as the keys and rows of the tiles that read them reach.
 */
function probabilities(g: Gradient, i: i32, queries: i32, j: i32, keys: i32): void {
  const headSize = g.head.headSize, window = g.window;
  const width = g.width, panelBytes = <usize>headSize << 5;
  const keyPanel = g.keyPanels + <usize>(j >> 3) * panelBytes;
  const valuePanel = g.valuePanels + <usize>(j >> 3) * panelBytes;
  for (let c = 0; c < keys; c += 8) {
    const panel = <usize>(c >> 3) * panelBytes;
    for (let r = 0; r < queries; r += 4) {
      if (g.causal && j + c > i + r + 3) continue; // above the diagonal
      if (j + c + 7 <= i + r - window) continue; // before the windows
      const at = <usize>r * BLOCK_STRIDE + (<usize>c << 2), row = <usize>r * width;
      tileStrided(g.p + at, BLOCK_STRIDE, g.qBlock + row, width, 4, keyPanel + panel, 32, headSize, false);
      tileStrided(g.ds + at, BLOCK_STRIDE, g.doutBlock + row, width, 4, valuePanel + panel, 32, headSize, false);
    }
  }
  const scale = f32x4.splat(g.head.scale), exp = g.head.exp;
  for (let r = 0; r < queries; r++) {
    const lse = f32x4.splat(-load<f32>(g.lseBlock + (<usize>r << 2)));
    const delta = f32x4.splat(load<f32>(g.deltaBlock + (<usize>r << 2)));
    const visible = g.causal ? min(keys, max(i + r + 1 - j, 0)) : keys;
    const row = g.dropoutRow + <u32>(i + r) * g.dropoutStep;
    let p = g.p + <usize>r * BLOCK_STRIDE, ds = g.ds + <usize>r * BLOCK_STRIDE;
    const hidden = max(0, min(i + r + 1 - window - j, visible)), before = p, beforeDs = ds;
    let c = hidden & ~3;
    p += <usize>c << 2;
    ds += <usize>c << 2;
    for (; c < visible; c += 4) {
      let probability = softmaxExp(madd(v128.load(p), scale, lse), exp);
      let gradient = v128.load(ds);
      let dropped = probability;
      if (g.head.threshold) {
        const factors = dropoutFactors(g.head, <u32>(j + c) >> 2, row);
        gradient = f32x4.mul(gradient, factors);
        dropped = f32x4.mul(probability, factors);
      }
      gradient = f32x4.mul(probability, f32x4.sub(gradient, delta));
      if (visible - c < 4) {
        const mask = firstLanes(visible - c);
        dropped = v128.and(dropped, mask);
        gradient = v128.and(gradient, mask);
      }
      v128.store(p, dropped);
      v128.store(ds, gradient);
      p += 16;
      ds += 16;
    }
    for (; c < keys; c += 4) {
      v128.store(p, f32x4.splat(0));
      v128.store(ds, f32x4.splat(0));
      p += 16;
      ds += 16;
    }
    if (hidden > 0) {
      memory.fill(before, 0, <usize>hidden << 2);
      memory.fill(beforeDs, 0, <usize>hidden << 2);
    }
  }
}

/**
 * dV += Pᵀ · dout and dK += dSᵀ · q for the keys of a block. With CAUSAL rows before a tile's first key are 0, and those whose windows
 * begin after its last.
 */
function keyGradients(g: Gradient, i: i32, queries: i32, j: i32, keys: i32): void {
  const width = g.width;
  for (let c = 0; c < keys; c += 4) {
    const first = g.causal ? max(j + c - i, 0) : 0;
    const count = min(queries, j + c + 3 + g.window - i) - first;
    if (count <= 0) continue;
    const at = <usize>first * BLOCK_STRIDE + (<usize>c << 2);
    const target = <usize>(j + c) * width, source = <usize>first * width;
    for (let column: usize = 0; column < width; column += 32) {
      const dvalue = g.dvalueRows + target + column, dkey = g.dkeyRows + target + column;
      const dout = g.doutBlock + source + column, q = g.qBlock + source + column;
      tileStrided(dvalue, width, g.p + at, 4, BLOCK_STRIDE, dout, width, count, true);
      tileStrided(dkey, width, g.ds + at, 4, BLOCK_STRIDE, q, width, count, true);
    }
  }
}

/** dQ += dS · K for the queries of a block; with CAUSAL keys past a tile's last query are 0, and those before its first one's window. */
function queryGradients(g: Gradient, i: i32, queries: i32, j: i32, keys: i32): void {
  const width = g.width;
  for (let r = 0; r < queries; r += 4) {
    const first = max(0, i + r + 1 - g.window - j);
    const count = (g.causal ? min(keys, i + r + 4 - j) : keys) - first;
    if (count <= 0) continue;
    const keyRows = g.keyRows + <usize>(j + first) * width;
    const ds = g.ds + <usize>r * BLOCK_STRIDE + (<usize>first << 2), target = g.dqBlock + <usize>r * width;
    for (let column: usize = 0; column < width; column += 32) {
      tileStrided(target + column, width, ds, BLOCK_STRIDE, 4, keyRows + column, width, count, true);
    }
  }
}

/** Σ a · b of `count` floats: four lanes, added at the end, then the tail. */
function dot(a: usize, b: usize, count: i32): f32 {
  let sums = f32x4.splat(0);
  for (; count >= 4; count -= 4) {
    sums = madd(v128.load(a), v128.load(b), sums);
    a += 16;
    b += 16;
  }
  let sum = horizontalSum(sums);
  for (; count > 0; count--) {
    sum += load<f32>(a) * load<f32>(b);
    a += 4;
    b += 4;
  }
  return sum;
}

/** out[row, 0..cols) = inp[row, 0..cols) · factor, overwritten. */
function copyRows(out: usize, ldOut: usize, inp: usize, ldInp: usize, rows: i32, cols: i32, factor: f32): void {
  for (; rows > 0; rows--) {
    copyRow(out, inp, cols, factor);
    out += ldOut;
    inp += ldInp;
  }
}

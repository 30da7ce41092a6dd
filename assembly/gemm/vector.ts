/**
 * A few rows times a matrix: decoding. Every weight is read once, and memory sets the pace, so what matters is the order
 * in which lines of B are asked for (measured on Zen 4, bench/README.md): front to back without a gap 27 GB/s; pieces of
 * rows, one row after the other, 8; sixteen rows side by side, a line of each in turn, 12 … 20.
 *
 *   `rowsTimesMatrix`      B stored [k, n]: S[rows, n] = Σ_k a[:, k] ⊗ B[k, :], in order of k from 0, as in the tile.
 *                          The sums wait in scratch memory (cache) while B goes by.
 *
 *                            B  ┌────┬────┬┈        VISIT rows at a time, LINE columns of them at a time
 *                               │ 1  │ 2  │  VISIT
 *                               ├────┼────┼┈
 *
 *   `rowsTimesTransposed`  B stored [n, k]: C[rows, n] = from + dot(a[row, :], B[j, :]), one row of B at a time.
 *                          Element k of a dot product goes to sum k mod 8 of eight, which are then added: the order is
 *                          not the tile's, but the same for any number of rows that come here.
 *
 * What is elsewhere: blocks of k, bias and accumulation of `rowsTimesMatrix` in gemm.ts.
 */
import { horizontalSum, madd } from '../simd';

/** Rows of A that these functions take at most. */
export const FEW_ROWS = 8;
/** Rows of B side by side; half of them when all would fall into one set of the first-level cache (8 × 4,096 bytes). */
const VISIT = 16;
/** Columns of B side by side: 64 bytes. */
const LINE = 16;

/**
 * sums[row][0..n) = Σ_k a[row, k] · B[k, 0..n), overwrites.
 *   sums  rows of n floats, `sumsRow` bytes apart
 *   a     element (row, k) at a + row·aRow + k·aStep bytes
 *   b     row k at b + k·bStep bytes, n contiguous floats
 */
export function rowsTimesMatrix(
  sums: usize, sumsRow: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize,
  rows: i32, n: i32, k: i32,
): void {
  for (let row = 0; row < rows; row++) memory.fill(sums + <usize>row * sumsRow, 0, <usize>n << 2);
  if (rows == 1 && bStep == <usize>n << 2) { // B has no gaps
    for (; k > 0; k--) {
      addRow(sums, load<f32>(a), b, n);
      a += aStep;
      b += bStep;
    }
    return;
  }
  const visit = bStep & 4095 ? VISIT : VISIT / 2;
  for (; k > 0; k -= visit) {
    const steps = min(k, visit);
    let j: usize = 0;
    for (const end = <usize>(n & -LINE) << 2; j < end; j += LINE << 2) {
      let s = sums + j, x = a, row = rows;
      for (; row >= 4; row -= 4) {
        addTile4x8(s, sumsRow, x, aRow, aStep, b + j, bStep, steps);
        addTile4x8(s + 32, sumsRow, x, aRow, aStep, b + j + 32, bStep, steps);
        s += 4 * sumsRow;
        x += 4 * aRow;
      }
      if (row >= 2) {
        addTile2x16(s, sumsRow, x, aRow, aStep, b + j, bStep, steps);
        s += 2 * sumsRow;
        x += 2 * aRow;
      }
      if (row & 1) addTile1x16(s, x, aStep, b + j, bStep, steps);
    }
    for (const end = <usize>n << 2; j < end; j += 4) {
      let s = sums + j, x = a;
      for (let row = 0; row < rows; row++) {
        addElement(s, x, aStep, b + j, bStep, steps);
        s += sumsRow;
        x += aRow;
      }
    }
    a += aStep * visit;
    b += bStep * visit;
  }
}

/** sums[n] += x · b[n]. Loads of a cache line stand together: 24 GB/s where two vectors at a time read 22 (Node 26, relaxed). */
function addRow(sums: usize, x: f32, b: usize, n: i32): void {
  const x0 = f32x4.splat(x);
  for (; n >= 16; n -= 16) {
    const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
    v128.store(sums, madd(x0, b0, v128.load(sums)));
    v128.store(sums, madd(x0, b1, v128.load(sums, 16)), 16);
    v128.store(sums, madd(x0, b2, v128.load(sums, 32)), 32);
    v128.store(sums, madd(x0, b3, v128.load(sums, 48)), 48);
    sums += 64;
    b += 64;
  }
  for (; n > 0; n--) {
    v128.store_lane<f32>(sums, madd(x0, v128.load32_zero(b), v128.load32_zero(sums)), 0);
    sums += 4;
    b += 4;
  }
}

/** sums[1, 16] goes on with `steps` steps of k. */
function addTile1x16(sums: usize, a: usize, aStep: usize, b: usize, bStep: usize, steps: i32): void {
  let c0 = v128.load(sums), c1 = v128.load(sums, 16), c2 = v128.load(sums, 32), c3 = v128.load(sums, 48);
  for (; steps > 0; steps--) {
    const x = v128.load32_splat(a);
    c0 = madd(x, v128.load(b), c0);
    c1 = madd(x, v128.load(b, 16), c1);
    c2 = madd(x, v128.load(b, 32), c2);
    c3 = madd(x, v128.load(b, 48), c3);
    a += aStep;
    b += bStep;
  }
  v128.store(sums, c0);
  v128.store(sums, c1, 16);
  v128.store(sums, c2, 32);
  v128.store(sums, c3, 48);
}

/** sums[2, 16] goes on. */
function addTile2x16(
  sums: usize, sumsRow: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize,
  steps: i32,
): void {
  const sums1 = sums + sumsRow;
  let c00 = v128.load(sums), c01 = v128.load(sums, 16), c02 = v128.load(sums, 32), c03 = v128.load(sums, 48);
  let c10 = v128.load(sums1), c11 = v128.load(sums1, 16), c12 = v128.load(sums1, 32), c13 = v128.load(sums1, 48);
  for (; steps > 0; steps--) {
    const x0 = v128.load32_splat(a), x1 = v128.load32_splat(a + aRow);
    const b0 = v128.load(b);
    c00 = madd(x0, b0, c00);
    c10 = madd(x1, b0, c10);
    const b1 = v128.load(b, 16);
    c01 = madd(x0, b1, c01);
    c11 = madd(x1, b1, c11);
    const b2 = v128.load(b, 32);
    c02 = madd(x0, b2, c02);
    c12 = madd(x1, b2, c12);
    const b3 = v128.load(b, 48);
    c03 = madd(x0, b3, c03);
    c13 = madd(x1, b3, c13);
    a += aStep;
    b += bStep;
  }
  v128.store(sums, c00);
  v128.store(sums, c01, 16);
  v128.store(sums, c02, 32);
  v128.store(sums, c03, 48);
  v128.store(sums1, c10);
  v128.store(sums1, c11, 16);
  v128.store(sums1, c12, 32);
  v128.store(sums1, c13, 48);
}

/** sums[4, 8] goes on. */
function addTile4x8(
  sums: usize, sumsRow: usize, a: usize, aRow: usize, aStep: usize, b: usize, bStep: usize,
  steps: i32,
): void {
  const sums1 = sums + sumsRow, sums2 = sums1 + sumsRow, sums3 = sums2 + sumsRow;
  let a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
  let c00 = v128.load(sums), c01 = v128.load(sums, 16);
  let c10 = v128.load(sums1), c11 = v128.load(sums1, 16);
  let c20 = v128.load(sums2), c21 = v128.load(sums2, 16);
  let c30 = v128.load(sums3), c31 = v128.load(sums3, 16);
  for (; steps > 0; steps--) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const x0 = v128.load32_splat(a);
    c00 = madd(x0, b0, c00);
    c01 = madd(x0, b1, c01);
    const x1 = v128.load32_splat(a1);
    c10 = madd(x1, b0, c10);
    c11 = madd(x1, b1, c11);
    const x2 = v128.load32_splat(a2);
    c20 = madd(x2, b0, c20);
    c21 = madd(x2, b1, c21);
    const x3 = v128.load32_splat(a3);
    c30 = madd(x3, b0, c30);
    c31 = madd(x3, b1, c31);
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    b += bStep;
  }
  v128.store(sums, c00);
  v128.store(sums, c01, 16);
  v128.store(sums1, c10);
  v128.store(sums1, c11, 16);
  v128.store(sums2, c20);
  v128.store(sums2, c21, 16);
  v128.store(sums3, c30);
  v128.store(sums3, c31, 16);
}

/** One sum goes on, by the instructions that the vectors use. */
function addElement(sum: usize, a: usize, aStep: usize, b: usize, bStep: usize, steps: i32): void {
  let c = v128.load32_zero(sum);
  for (; steps > 0; steps--) {
    c = madd(v128.load32_zero(a), v128.load32_zero(b), c);
    a += aStep;
    b += bStep;
  }
  v128.store_lane<f32>(sum, c, 0);
}

/**
 * C[row, j] = from[row, j] + Σ_k a[row, k] · B[j, k]; `from` absent: no addend.
 *   c, from  rows `ldc` and `fromStride` bytes apart
 *   a        rows of k contiguous floats, `aRow` bytes apart
 *   b        rows of k contiguous floats, `bCol` bytes apart
 */
export function rowsTimesTransposed(
  c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, aRow: usize, b: usize, bCol: usize,
  rows: i32, n: i32, k: i32,
): void {
  for (; n > 0; n--) {
    let row = rows, rowC = c, rowFrom = from, rowA = a;
    for (; row >= 4; row -= 4) {
      fourDots(rowC, ldc, rowFrom, fromStride, rowA, aRow, b, k);
      rowC += 4 * ldc;
      rowA += 4 * aRow;
      if (from) rowFrom += 4 * fromStride;
    }
    if (row >= 2) {
      twoDots(rowC, ldc, rowFrom, fromStride, rowA, aRow, b, k);
      rowC += 2 * ldc;
      rowA += 2 * aRow;
      if (from) rowFrom += 2 * fromStride;
    }
    if (row & 1) oneDot(rowC, rowFrom, rowA, b, k);
    c += 4;
    if (from) from += 4;
    b += bCol;
  }
}

function oneDot(c: usize, from: usize, a: usize, b: usize, k: i32): void {
  let even = f32x4.splat(0), odd = f32x4.splat(0);
  for (; k >= 8; k -= 8) {
    even = madd(v128.load(a), v128.load(b), even);
    odd = madd(v128.load(a, 16), v128.load(b, 16), odd);
    a += 32;
    b += 32;
  }
  if (k > 4) {
    even = madd(v128.load(a), v128.load(b), even);
    odd = madd(loadUpTo4(a + 16, k - 4), loadUpTo4(b + 16, k - 4), odd);
  } else if (k > 0) {
    even = madd(loadUpTo4(a, k), loadUpTo4(b, k), even);
  }
  finishDot(c, from, even, odd);
}

function twoDots(c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, aRow: usize, b: usize, k: i32): void {
  let even0 = f32x4.splat(0), odd0 = f32x4.splat(0);
  let even1 = f32x4.splat(0), odd1 = f32x4.splat(0);
  let a1 = a + aRow;
  for (; k >= 8; k -= 8) {
    const left = v128.load(b), right = v128.load(b, 16);
    even0 = madd(v128.load(a), left, even0);
    odd0 = madd(v128.load(a, 16), right, odd0);
    even1 = madd(v128.load(a1), left, even1);
    odd1 = madd(v128.load(a1, 16), right, odd1);
    a += 32;
    a1 += 32;
    b += 32;
  }
  if (k > 0) {
    const left = loadUpTo4(b, min(k, 4));
    even0 = madd(loadUpTo4(a, min(k, 4)), left, even0);
    even1 = madd(loadUpTo4(a1, min(k, 4)), left, even1);
    if (k > 4) {
      const right = loadUpTo4(b + 16, k - 4);
      odd0 = madd(loadUpTo4(a + 16, k - 4), right, odd0);
      odd1 = madd(loadUpTo4(a1 + 16, k - 4), right, odd1);
    }
  }
  finishDot(c, from, even0, odd0);
  finishDot(c + ldc, from ? from + fromStride : 0, even1, odd1);
}

function fourDots(c: usize, ldc: usize, from: usize, fromStride: usize, a: usize, aRow: usize, b: usize, k: i32): void {
  let even0 = f32x4.splat(0), odd0 = f32x4.splat(0);
  let even1 = f32x4.splat(0), odd1 = f32x4.splat(0);
  let even2 = f32x4.splat(0), odd2 = f32x4.splat(0);
  let even3 = f32x4.splat(0), odd3 = f32x4.splat(0);
  let a1 = a + aRow, a2 = a1 + aRow, a3 = a2 + aRow;
  for (; k >= 8; k -= 8) {
    const left = v128.load(b), right = v128.load(b, 16);
    even0 = madd(v128.load(a), left, even0);
    odd0 = madd(v128.load(a, 16), right, odd0);
    even1 = madd(v128.load(a1), left, even1);
    odd1 = madd(v128.load(a1, 16), right, odd1);
    even2 = madd(v128.load(a2), left, even2);
    odd2 = madd(v128.load(a2, 16), right, odd2);
    even3 = madd(v128.load(a3), left, even3);
    odd3 = madd(v128.load(a3, 16), right, odd3);
    a += 32;
    a1 += 32;
    a2 += 32;
    a3 += 32;
    b += 32;
  }
  if (k > 0) {
    const left = loadUpTo4(b, min(k, 4));
    even0 = madd(loadUpTo4(a, min(k, 4)), left, even0);
    even1 = madd(loadUpTo4(a1, min(k, 4)), left, even1);
    even2 = madd(loadUpTo4(a2, min(k, 4)), left, even2);
    even3 = madd(loadUpTo4(a3, min(k, 4)), left, even3);
    if (k > 4) {
      const right = loadUpTo4(b + 16, k - 4);
      odd0 = madd(loadUpTo4(a + 16, k - 4), right, odd0);
      odd1 = madd(loadUpTo4(a1 + 16, k - 4), right, odd1);
      odd2 = madd(loadUpTo4(a2 + 16, k - 4), right, odd2);
      odd3 = madd(loadUpTo4(a3 + 16, k - 4), right, odd3);
    }
  }
  finishDot(c, from, even0, odd0);
  finishDot(c + ldc, from ? from + fromStride : 0, even1, odd1);
  finishDot(c + 2 * ldc, from ? from + 2 * fromStride : 0, even2, odd2);
  finishDot(c + 3 * ldc, from ? from + 3 * fromStride : 0, even3, odd3);
}

// @ts-ignore: decorator
@inline function finishDot(c: usize, from: usize, even: v128, odd: v128): void {
  const sum = horizontalSum(f32x4.add(even, odd));
  store<f32>(c, from ? load<f32>(from) + sum : sum);
}

/** The first `count` of four floats (1 … 4), zeros after them; nothing behind them is read. */
function loadUpTo4(at: usize, count: i32): v128 {
  if (count >= 4) return v128.load(at);
  let v = v128.load32_zero(at);
  if (count > 1) v = v128.load_lane<f32>(at + 4, v, 1);
  if (count > 2) v = v128.load_lane<f32>(at + 8, v, 2);
  return v;
}

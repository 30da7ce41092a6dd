/**
 * Rows looked up in tables, and their gradients. Looking up shares rows among threads. The gradients share columns and
 * walk the rows in order, so that a row named twice is summed in one order and no two threads write one element.
 * Indices are trusted: the host checks them before it writes them.
 */
import * as op from './abi';
import { ptr, shareStart, size, word } from './interpreter/descriptor';
import { addLanes, LINE_ELEMENTS } from './math/lanes';
import { decodeColumn } from './weights/panel';

/** Address of table[indices[row]]. */
// @ts-ignore: decorator
@inline function rowAt(table: usize, indices: usize, row: u32, cols: u32): usize {
  return table + <usize>load<u32>(indices + (<usize>row << 2)) * (<usize>cols << 2);
}

/** out[row] = tokenTable[tokens[row]] (+ positionTable[positions[row]]), [rows, cols]. Overwrites. Rounded once. */
export function embedding(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.EMBEDDING_ROWS), cols = size(d, ctx, op.EMBEDDING_COLS);
  const tokens = ptr(d, op.EMBEDDING_TOKENS), positions = ptr(d, op.EMBEDDING_POSITIONS);
  const tokenTable = ptr(d, op.EMBEDDING_TOKEN_TABLE), positionTable = ptr(d, op.EMBEDDING_POSITION_TABLE);
  const rowBytes = <usize>cols << 2, encoding = word(d, op.EMBEDDING_ENCODING);
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    const out = ptr(d, op.EMBEDDING_OUT) + rowBytes * row;
    let token = rowAt(tokenTable, tokens, row, cols);
    if (encoding) {
      decodeColumn(out, tokenTable, encoding, load<u32>(tokens + (<usize>row << 2)), cols);
      token = out;
    }
    if (positionTable) {
      const position = rowAt(positionTable, positions, row, cols);
      let i: usize = 0;
      for (; i + 16 <= rowBytes; i += 16) addLanes(out + i, token + i, position + i, true);
      for (; i < rowBytes; i += 4) addLanes(out + i, token + i, position + i, false);
    } else if (!encoding) {
      memory.copy(out, token, rowBytes);
    }
  }
}

/** dtokenTable[tokens[row]] += dout[row], dpositionTable[positions[row]] += dout[row], rows in order. Accumulates. */
export function embeddingBackward(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.EMBEDDING_BACKWARD_ROWS), cols = size(d, ctx, op.EMBEDDING_BACKWARD_COLS);
  const dout = ptr(d, op.EMBEDDING_BACKWARD_DOUT), dpositions = ptr(d, op.EMBEDDING_BACKWARD_DPOSITION_TABLE);
  const dtokens = ptr(d, op.EMBEDDING_BACKWARD_DTOKEN_TABLE);
  addRows(dtokens, dout, ptr(d, op.EMBEDDING_BACKWARD_TOKENS), rows, cols, thread, threads);
  if (dpositions) addRows(dpositions, dout, ptr(d, op.EMBEDDING_BACKWARD_POSITIONS), rows, cols, thread, threads);
}

/** out[i] = inp[indices[i]], [rows, cols]. Overwrites. */
export function gatherRows(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.GATHER_ROWS_ROWS), cols = size(d, ctx, op.GATHER_ROWS_COLS);
  const inp = ptr(d, op.GATHER_ROWS_INP), indices = ptr(d, op.GATHER_ROWS_INDICES);
  const rowBytes = <usize>cols << 2;
  const end = shareStart(rows, 1, thread + 1, threads);
  for (let row = shareStart(rows, 1, thread, threads); row < end; ++row) {
    memory.copy(ptr(d, op.GATHER_ROWS_OUT) + rowBytes * row, rowAt(inp, indices, row, cols), rowBytes);
  }
}

/** out[indices[i]] += inp[i], i in order, inp [rows, cols]. Accumulates. */
export function scatterRows(d: usize, ctx: usize, thread: u32, threads: u32): void {
  const rows = size(d, ctx, op.SCATTER_ROWS_ROWS), cols = size(d, ctx, op.SCATTER_ROWS_COLS);
  const out = ptr(d, op.SCATTER_ROWS_OUT), inp = ptr(d, op.SCATTER_ROWS_INP);
  addRows(out, inp, ptr(d, op.SCATTER_ROWS_INDICES), rows, cols, thread, threads);
}

/** out[indices[row]] += inp[row] in this thread's columns. */
function addRows(out: usize, inp: usize, indices: usize, rows: u32, cols: u32, thread: u32, threads: u32): void {
  const first = <usize>shareStart(cols, LINE_ELEMENTS, thread, threads) << 2;
  const end = <usize>shareStart(cols, LINE_ELEMENTS, thread + 1, threads) << 2;
  if (first == end) return;
  for (let row: u32 = 0; row < rows; ++row) {
    const target = rowAt(out, indices, row, cols);
    const source = inp + (<usize>cols << 2) * row;
    let i = first;
    for (; i + 16 <= end; i += 16) addLanes(target + i, target + i, source + i, true);
    for (; i < end; i += 4) addLanes(target + i, target + i, source + i, false);
  }
}

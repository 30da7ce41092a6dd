/** Scratch memory of the attention kernels: the layouts drawn in assembly/attention/forward.ts and backward.ts. */

/** Two records, the constants of exp. */
const RECORDS = 512;
const BLOCK_ROWS = 4;
const QUERY_BLOCK = 32;
const KEY_BLOCK = 64;

/**
 * Bytes that a thread needs for attention over up to `maxKeys` keys with heads of `headSize`: forward, backward, or, for `group`
 * query heads of each key-value head, cached. For 1,024 keys of 64: 1.3 MiB.
 */
export function attentionScratchBytes(maxKeys: number, headSize: number, group = 1): number {
  const width = Math.ceil(headSize / 8) * 8;
  const keys = Math.ceil(maxKeys / 8) * 8;
  // Sums, scores, packed keys and values, 8 widened rows of a cache, 1 / Σ p.
  const forward = BLOCK_ROWS * group * (width + 8 + keys + 16) + keys * (headSize + width) + 8 * headSize + 16;
  // lse and D, blocks of q, dout and dQ, blocks of P and dS, panels of K and V, rows of K, dK and dV.
  const block = QUERY_BLOCK * (2 + 3 * width + 2 * KEY_BLOCK);
  const backward = block + keys * (2 * headSize + 3 * width);
  return Math.ceil((RECORDS + 4 * Math.max(forward, backward)) / 64) * 64; // each thread's share stays aligned
}

/**
 * Philox4x32-10: random numbers as a function of a counter and a key, so that any thread can compute any of them.
 * J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */

// Multipliers and Weyl constants of the paper, section 3.3 and table 2.
const PHILOX_M0: u64 = 0xd2511f53;
const PHILOX_M1: u64 = 0xcd9e8d57;
const PHILOX_W0: u32 = 0x9e3779b9; // golden ratio
const PHILOX_W1: u32 = 0xbb67ae85; // √3 − 1
const PHILOX_ROUNDS = 10;

/** The four 32-bit numbers of counter (c0, c1, c2, c3) under key (k0, k1). */
export function philox(c0: u32, c1: u32, c2: u32, c3: u32, k0: u32, k1: u32): v128 {
  for (let round = 0; round < PHILOX_ROUNDS; ++round) {
    const product0 = PHILOX_M0 * <u64>c0;
    const product1 = PHILOX_M1 * <u64>c2;
    c0 = <u32>(product1 >> 32) ^ c1 ^ k0;
    c1 = <u32>product1;
    c2 = <u32>(product0 >> 32) ^ c3 ^ k1;
    c3 = <u32>product0;
    k0 += PHILOX_W0;
    k1 += PHILOX_W1;
  }
  return i32x4.replace_lane(i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(c0), 1, c1), 2, c2), 3, c3);
}

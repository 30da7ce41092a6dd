/** How the weights of products lie in memory (assembly/weights/): integer constants that both compilers read. */

// ── Encodings: how the weights of a product lie in memory (assembly/weights/) ─────────────────────────────────
/** Floats in the order of the file, which training changes in place. */
export const ENCODING_F32 = 0;
/** All others are panels of 16 columns (outputs), k (inputs) after k: [n / 16][k][16]. */
export const ENCODING_COLUMNS = 16;
export const ENCODING_PACKED = 1; // f32
export const ENCODING_F16 = 2;
export const ENCODING_BF16 = 3;
/** Blocks of k: per column a bf16 scale, −Σ of its integers as i16, and integers −127 … 127. */
export const ENCODING_Q8 = 4;
/** Blocks of k: per column a bf16 scale and integers 0 … 15, which mean −8 … 7. */
export const ENCODING_Q4 = 5;
/** A block is a head and chunks of so many k; k is filled up to whole chunks, and the last block may have fewer of them. */
export const ENCODING_CHUNK = 32;
/** k of a block: they share a scale. */
export const Q8_BLOCK = 64;
export const Q4_BLOCK = 32;
export const Q8_HEAD_BYTES = 64; // 16 scales, 16 sums
export const Q8_CHUNK_BYTES = 512; // [8][16 columns][4 k]
export const Q4_HEAD_BYTES = 32; // 16 scales
export const Q4_CHUNK_BYTES = 256; // [4][16 columns][4 bytes: k in the low nibbles, k + 4 in the high ones]

/**
 * The operations a plan is made of, by number: word 0 of a descriptor. The numbers mean nothing else;
 * operations.ts describes the other words. Integer constants that both compilers read.
 */

/** Nothing. */
export const OP_NONE = 0;

// ── Matrix products ───────────────────────────────────────────────────────────────────────────────────────────
export const OP_GEMM = 1;
/**
 * OP_GEMM with an encoded B and without a transpose, which is all that generating text takes: inference binaries have only
 * this one, so that the code for all other layouts stays out of them.
 */
export const OP_GEMM_PANELS = 2;
export const OP_QUANTIZE_ROWS = 3;
export const OP_COLUMN_SUM = 4;

// ── Elementwise ───────────────────────────────────────────────────────────────────────────────────────────────
export const OP_ADD = 5;
export const OP_MULTIPLY = 6;
export const OP_SCALE = 7;
export const OP_COPY = 8;
export const OP_FILL = 9;
export const OP_ACTIVATION = 10;
export const OP_ACTIVATION_BACKWARD = 11;
export const OP_DROPOUT = 12;

// ── Norms ─────────────────────────────────────────────────────────────────────────────────────────────────────
export const OP_LAYER_NORM = 13;
export const OP_LAYER_NORM_BACKWARD = 14;
export const OP_RMS_NORM = 15;
export const OP_RMS_NORM_BACKWARD = 16;

// ── Rows by index ─────────────────────────────────────────────────────────────────────────────────────────────
export const OP_EMBEDDING = 17;
export const OP_EMBEDDING_BACKWARD = 18;
export const OP_GATHER_ROWS = 19;
export const OP_SCATTER_ROWS = 20;

// ── Positions ─────────────────────────────────────────────────────────────────────────────────────────────────
export const OP_ROTARY = 21;

// ── Attention ─────────────────────────────────────────────────────────────────────────────────────────────────
export const OP_ATTENTION = 22;
export const OP_ATTENTION_BACKWARD = 23;
export const OP_CACHE_APPEND = 24;
export const OP_ATTENTION_CACHED = 25;

// ── Loss and optimizer ────────────────────────────────────────────────────────────────────────────────────────
export const OP_CROSS_ENTROPY = 26;
export const OP_SUM = 27;
export const OP_SQUARES = 28;
export const OP_CLIP = 29;
export const OP_ADAMW = 30;

// ── Making weights ────────────────────────────────────────────────────────────────────────────────────────────
export const OP_RANDOM_NORMAL = 31;
export const OP_ENCODE = 32;
export const OP_DECODE = 33;

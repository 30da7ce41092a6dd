/**
 * The operations a plan is made of, by number: word 0 of a descriptor. The numbers say nothing but which operation it is;
 * operations.ts says what the other words mean. Integer constants that both compilers read.
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
export const OP_SCALE = 6;
export const OP_COPY = 7;
export const OP_FILL = 8;
export const OP_GELU = 9;
export const OP_GELU_BACKWARD = 10;
export const OP_DROPOUT = 11;

// ── Norms ─────────────────────────────────────────────────────────────────────────────────────────────────────
export const OP_LAYER_NORM = 12;
export const OP_LAYER_NORM_BACKWARD = 13;

// ── Rows by index ─────────────────────────────────────────────────────────────────────────────────────────────
export const OP_EMBEDDING = 14;
export const OP_EMBEDDING_BACKWARD = 15;
export const OP_GATHER_ROWS = 16;
export const OP_SCATTER_ROWS = 17;

// ── Attention ─────────────────────────────────────────────────────────────────────────────────────────────────
export const OP_ATTENTION = 18;
export const OP_ATTENTION_BACKWARD = 19;
export const OP_CACHE_APPEND = 20;
export const OP_ATTENTION_CACHED = 21;

// ── Loss and optimizer ────────────────────────────────────────────────────────────────────────────────────────
export const OP_CROSS_ENTROPY = 22;
export const OP_SUM = 23;
export const OP_SQUARES = 24;
export const OP_CLIP = 25;
export const OP_ADAMW = 26;

// ── Making weights ────────────────────────────────────────────────────────────────────────────────────────────
export const OP_RANDOM_NORMAL = 27;
export const OP_ENCODE = 28;
export const OP_DECODE = 29;

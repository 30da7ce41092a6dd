/**
 * What operations do, and where each of their arguments stands in a descriptor: integer constants that both compilers read.
 *
 * A descriptor is 32 words of 32 bits. Word 0 is the opcode (opcodes.ts); the other words are named below, per operation:
 *   pointer  byte address in linear memory, 0 = absent
 *   size     a count of elements or rows; a negative value ~i names dynamic size i of the run context
 *   ld       leading dimension: elements from one row to the next
 *   f32      the bits of a float
 *   flags    FLAG_* bits
 */

// ── Flags ─────────────────────────────────────────────────────────────────────────────────────────────────────
export const FLAG_TRANSPOSE_A = 1;
export const FLAG_TRANSPOSE_B = 2;
/** out += result instead of out = result. */
export const FLAG_ACCUMULATE = 4;
/** A row attends to itself and earlier positions only. */
export const FLAG_CAUSAL = 8;
/** Cross-entropy also overwrites the logits with their gradient. */
export const FLAG_GRADIENT = 16;
/** Rotary embedding by the negative angle: its own gradient. */
export const FLAG_INVERSE = 32;
/** Rotary embedding turns pairs of neighbours (2i, 2i + 1) instead of (i, i + rotaryDim / 2). */
export const FLAG_INTERLEAVED = 64;

// ── Matrix product: C[m, n] (+)= op(A)[m, k] · op(B)[k, n] (+ bias[n]) ────────────────────────────────────────
// A is stored [m, k], or [k, m] with FLAG_TRANSPOSE_A; B is stored [k, n], or [n, k] with FLAG_TRANSPOSE_B.
// With an encoding, B is panels of ENCODING_COLUMNS columns; FLAG_TRANSPOSE_B then multiplies with the transpose of what
// the panels hold, [n, k], A is stored [m, k], and there is no ACCUMULATE together with a bias.
// Without FLAG_TRANSPOSE_B, a product with q8 or q4 takes as A what OP_QUANTIZE_ROWS made of its m rows; LDA is not used.
// OP_GEMM, OP_GEMM_PANELS
export const GEMM_C = 1;
export const GEMM_LDC = 2;
export const GEMM_A = 3;
export const GEMM_LDA = 4;
export const GEMM_B = 5;
export const GEMM_LDB = 6;
export const GEMM_BIAS = 7; // [n] or absent
export const GEMM_M = 8;
export const GEMM_N = 9;
export const GEMM_K = 10;
export const GEMM_FLAGS = 11; // TRANSPOSE_A, TRANSPOSE_B, ACCUMULATE
export const GEMM_ENCODING = 12; // ENCODING_* of B
/** Scratch memory that a thread needs: 256 × 1,024 floats of B, 192 × 256 of A, a tile. */
export const GEMM_SCRATCH_BYTES = 1245760;

// ── Column sums: out[cols] (+)= Σ_row inp[row, :]; the gradient of a bias ─────────────────────────────────────
// OP_COLUMN_SUM
export const COLUMN_SUM_OUT = 1;
export const COLUMN_SUM_INP = 2;
export const COLUMN_SUM_LD = 3;
export const COLUMN_SUM_ROWS = 4;
export const COLUMN_SUM_COLS = 5;
export const COLUMN_SUM_FLAGS = 6; // ACCUMULATE

// ── Elementwise over `rows` × `cols` contiguous elements ──────────────────────────────────────────────────────
// OP_ADD: out = a + b
export const ADD_OUT = 1;
export const ADD_A = 2;
export const ADD_B = 3;
export const ADD_ROWS = 4;
export const ADD_COLS = 5;

// OP_COPY: out = inp, or out += inp with ACCUMULATE
export const COPY_OUT = 1;
export const COPY_INP = 2;
export const COPY_ROWS = 3;
export const COPY_COLS = 4;
export const COPY_FLAGS = 5;

// OP_FILL: out = value
export const FILL_OUT = 1;
export const FILL_ROWS = 2;
export const FILL_COLS = 3;
export const FILL_VALUE = 4; // f32

// OP_MULTIPLY: out = a · b, or out += … with ACCUMULATE
export const MULTIPLY_OUT = 1;
export const MULTIPLY_A = 2;
export const MULTIPLY_B = 3;
export const MULTIPLY_ROWS = 4;
export const MULTIPLY_COLS = 5;
export const MULTIPLY_FLAGS = 6; // ACCUMULATE

// OP_SCALE: out = factor · inp, or out += … with ACCUMULATE
export const SCALE_OUT = 1;
export const SCALE_INP = 2;
export const SCALE_ROWS = 3;
export const SCALE_COLS = 4;
export const SCALE_FACTOR = 5; // f32
export const SCALE_FLAGS = 6; // ACCUMULATE

// OP_ACTIVATION: out = f(inp), f one of FUNCTION_*
export const ACTIVATION_OUT = 1;
export const ACTIVATION_INP = 2;
export const ACTIVATION_ROWS = 3;
export const ACTIVATION_COLS = 4;
export const ACTIVATION_FUNCTION = 5;

// OP_ACTIVATION_BACKWARD: dinp = dout · f′(inp), or dinp += … with ACCUMULATE
export const ACTIVATION_BACKWARD_DINP = 1;
export const ACTIVATION_BACKWARD_DOUT = 2;
export const ACTIVATION_BACKWARD_INP = 3;
export const ACTIVATION_BACKWARD_ROWS = 4;
export const ACTIVATION_BACKWARD_COLS = 5;
export const ACTIVATION_BACKWARD_FUNCTION = 6;
export const ACTIVATION_BACKWARD_FLAGS = 7; // ACCUMULATE

/** GELU (Hendrycks & Gimpel 2016) by its approximation with tanh. */
export const FUNCTION_GELU_TANH = 0;
/** GELU by its definition, with the error function. */
export const FUNCTION_GELU_ERF = 1;
/** max(x, 0). */
export const FUNCTION_RELU = 2;
/** x / (1 + e⁻ˣ), also called swish. */
export const FUNCTION_SILU = 3;
export const FUNCTION_TANH = 4;
/** 1 / (1 + e⁻ˣ). */
export const FUNCTION_SIGMOID = 5;

// OP_DROPOUT: out (+)= inp · keep / (1 − p), keep drawn from Philox4x32-10 with key (seed[0], seed[1]) and counter
// (element >> 2, 0, stream, seed[2]): lane element & 3 keeps when it is ≥ threshold. Its own backward pass.
export const DROPOUT_OUT = 1;
export const DROPOUT_INP = 2;
export const DROPOUT_ROWS = 3;
export const DROPOUT_COLS = 4;
export const DROPOUT_FLAGS = 5; // ACCUMULATE
export const DROPOUT_THRESHOLD = 6; // u32: floor(p · 2³²)
export const DROPOUT_SCALE = 7; // f32: 1 / (1 − p)
export const DROPOUT_SEED = 8; // pointer to u32[3]: seed low, seed high, run counter
export const DROPOUT_STREAM = 9; // u32: which dropout of the model

// ── Norms over the last dimension ─────────────────────────────────────────────────────────────────────────────
// OP_LAYER_NORM: out = (inp − mean) · rstd · weight + bias
export const LAYER_NORM_OUT = 1;
export const LAYER_NORM_INP = 2;
export const LAYER_NORM_WEIGHT = 3;
export const LAYER_NORM_BIAS = 4;
export const LAYER_NORM_MEAN = 5; // [rows], written
export const LAYER_NORM_RSTD = 6; // [rows], written
export const LAYER_NORM_ROWS = 7;
export const LAYER_NORM_COLS = 8;
export const LAYER_NORM_EPSILON = 9; // f32

// OP_LAYER_NORM_BACKWARD: dweight and dbias always accumulate; dinp by flag
export const LAYER_NORM_BACKWARD_DINP = 1; // or absent
export const LAYER_NORM_BACKWARD_DWEIGHT = 2; // or absent, together with DBIAS
export const LAYER_NORM_BACKWARD_DBIAS = 3;
export const LAYER_NORM_BACKWARD_DOUT = 4;
export const LAYER_NORM_BACKWARD_INP = 5;
export const LAYER_NORM_BACKWARD_WEIGHT = 6;
export const LAYER_NORM_BACKWARD_MEAN = 7;
export const LAYER_NORM_BACKWARD_RSTD = 8;
export const LAYER_NORM_BACKWARD_ROWS = 9;
export const LAYER_NORM_BACKWARD_COLS = 10;
export const LAYER_NORM_BACKWARD_FLAGS = 11; // ACCUMULATE

// OP_RMS_NORM: out = inp · rstd · (weight + offset), rstd = 1 / √(mean of inp² + ε)
export const RMS_NORM_OUT = 1;
export const RMS_NORM_INP = 2;
export const RMS_NORM_WEIGHT = 3;
export const RMS_NORM_RSTD = 4; // [rows, groups], written
export const RMS_NORM_ROWS = 5;
export const RMS_NORM_COLS = 6;
export const RMS_NORM_EPSILON = 7; // f32
export const RMS_NORM_OFFSET = 8; // f32: 0, or 1 for weights that are stored as what they differ from 1
export const RMS_NORM_GROUPS = 9; // of COLS columns in a row, each normalized on its own: the heads of queries or keys, else 1

// OP_RMS_NORM_BACKWARD: dweight always accumulates; dinp by flag
export const RMS_NORM_BACKWARD_DINP = 1; // or absent
export const RMS_NORM_BACKWARD_DWEIGHT = 2; // or absent
export const RMS_NORM_BACKWARD_DOUT = 3;
export const RMS_NORM_BACKWARD_INP = 4;
export const RMS_NORM_BACKWARD_WEIGHT = 5;
export const RMS_NORM_BACKWARD_RSTD = 6;
export const RMS_NORM_BACKWARD_ROWS = 7;
export const RMS_NORM_BACKWARD_COLS = 8;
export const RMS_NORM_BACKWARD_OFFSET = 9; // f32
export const RMS_NORM_BACKWARD_FLAGS = 10; // ACCUMULATE
export const RMS_NORM_BACKWARD_GROUPS = 11;

// ── Rotary position embedding (Su et al. 2021) of queries or keys [rows, heads · headSize] ────────────────────
// OP_ROTARY: in each head, pair i of ROTARY_DIM / 2 is turned by the angle positions[row] · frequencies[i] and multiplied by
// FACTOR; columns from ROTARY_DIM on are copied. out += … with ACCUMULATE. Its own backward pass, with INVERSE.
export const ROTARY_OUT = 1;
export const ROTARY_OUT_LD = 2;
export const ROTARY_INP = 3; // may be OUT, with the same LD
export const ROTARY_INP_LD = 4;
export const ROTARY_POSITIONS = 5; // i32[rows]
export const ROTARY_FREQUENCIES = 6; // f32[rotaryDim / 2], radians for each position
export const ROTARY_ROWS = 7;
export const ROTARY_HEADS = 8;
export const ROTARY_HEAD_SIZE = 9;
export const ROTARY_DIM = 10; // even, at most HEAD_SIZE
export const ROTARY_FACTOR = 11; // f32
export const ROTARY_FLAGS = 12; // INTERLEAVED, INVERSE, ACCUMULATE
/** Scratch bytes for each of ROTARY_DIM / 2 pairs: cosine and sine. */
export const ROTARY_SCRATCH_BYTES = 8;

// ── Embedding: out[row] = tokenTable[tokens[row]] (+ positionTable[positions[row]]) ───────────────────────────
// OP_EMBEDDING
export const EMBEDDING_OUT = 1;
export const EMBEDDING_TOKENS = 2; // i32[rows]
export const EMBEDDING_POSITIONS = 3; // i32[rows]
export const EMBEDDING_TOKEN_TABLE = 4;
export const EMBEDDING_POSITION_TABLE = 5; // or absent
export const EMBEDDING_ROWS = 6;
export const EMBEDDING_COLS = 7;
export const EMBEDDING_ENCODING = 8; // of the token table, whose rows are then the panels' columns

// OP_EMBEDDING_BACKWARD: both tables' gradients accumulate
export const EMBEDDING_BACKWARD_DTOKEN_TABLE = 1;
export const EMBEDDING_BACKWARD_DPOSITION_TABLE = 2; // or absent
export const EMBEDDING_BACKWARD_DOUT = 3;
export const EMBEDDING_BACKWARD_TOKENS = 4;
export const EMBEDDING_BACKWARD_POSITIONS = 5;
export const EMBEDDING_BACKWARD_ROWS = 6;
export const EMBEDDING_BACKWARD_COLS = 7;

// ── Rows picked by index ──────────────────────────────────────────────────────────────────────────────────────
// OP_GATHER_ROWS: out[i] = inp[indices[i]]
export const GATHER_ROWS_OUT = 1;
export const GATHER_ROWS_INP = 2;
export const GATHER_ROWS_INDICES = 3; // i32[rows]
export const GATHER_ROWS_ROWS = 4;
export const GATHER_ROWS_COLS = 5;

// OP_SCATTER_ROWS: out[indices[i]] += inp[i]
export const SCATTER_ROWS_OUT = 1;
export const SCATTER_ROWS_INP = 2;
export const SCATTER_ROWS_INDICES = 3;
export const SCATTER_ROWS_ROWS = 4;
export const SCATTER_ROWS_COLS = 5;

// ── Softmax cross-entropy of logits [rows, cols] against targets [rows] ───────────────────────────────────────
// OP_CROSS_ENTROPY
export const CROSS_ENTROPY_LOGITS = 1; // with GRADIENT overwritten by (softmax − onehot) · scale, 0 where ignored
export const CROSS_ENTROPY_TARGETS = 2; // i32[rows]; a negative target is ignored
export const CROSS_ENTROPY_LOSSES = 3; // f32[rows], written: −log p(target), 0 where ignored
export const CROSS_ENTROPY_CORRECT = 4; // f32[rows], written: 1 where the (first) largest logit is the target, else 0
export const CROSS_ENTROPY_ROWS = 5;
export const CROSS_ENTROPY_COLS = 6;
export const CROSS_ENTROPY_SCALE = 7; // pointer to f32; read with GRADIENT
export const CROSS_ENTROPY_FLAGS = 8; // GRADIENT

// ── Attention. Rows are grouped in segments of SEGMENT_WORDS words: rows of one sequence that follow each other ─
export const SEGMENT_WORDS = 4;
export const SEGMENT_ROW = 0; // first row
export const SEGMENT_ROWS = 1; // number of rows
export const SEGMENT_POSITION = 2; // position of the first row in its sequence (0 without a cache)
export const SEGMENT_SLOT = 3; // which sequence block of the cache

// OP_ATTENTION: queries, keys and values are three column groups of qkv [rows, 3·C], C = heads · headSize, head after head.
export const ATTENTION_OUT = 1; // [rows, C]
export const ATTENTION_QKV = 2; // [rows, 3·C]
export const ATTENTION_LSE = 3; // f32[rows, heads], written: log-sum-exp of each row's scaled scores; or absent
export const ATTENTION_SEGMENTS = 4; // pointer to i32[count][SEGMENT_WORDS]
export const ATTENTION_SEGMENT_COUNT = 5; // size
export const ATTENTION_HEADS = 6;
export const ATTENTION_HEAD_SIZE = 7;
export const ATTENTION_SCALE = 8; // f32
export const ATTENTION_FLAGS = 9; // CAUSAL
export const ATTENTION_DROPOUT_THRESHOLD = 10; // 0: no dropout. Counter (key >> 2, row · heads + head, stream, seed[2])
export const ATTENTION_DROPOUT_SCALE = 11;
export const ATTENTION_SEED = 12;
export const ATTENTION_STREAM = 13;

// OP_ATTENTION_BACKWARD: overwrites dqkv
export const ATTENTION_BACKWARD_DQKV = 1;
export const ATTENTION_BACKWARD_DOUT = 2;
export const ATTENTION_BACKWARD_OUT = 3;
// QKV, LSE and all that follows stand in the same words as in OP_ATTENTION, moved up by this much:
export const ATTENTION_BACKWARD_SHIFT = 2; // QKV is word 4, LSE word 5, …, STREAM word 15

// OP_CACHE_APPEND. The key-value cache: for each slot, and in it for each run of four heads (the last one has what is left, n), K in
// panels of 8 positions, [capacity / 8][n][headSize][8], then V [capacity / 8][n][8][headSize]. Capacity is a multiple of 8. Slot s starts at
// s · 2 · capacity · C floats (ENCODING_F32). With ENCODING_BF16 blocks have the layout of assembly/attention/cache-bf16.ts, whose
// keys have whole runs.
export const CACHE_APPEND_CACHE = 1;
export const CACHE_APPEND_QKV = 2;
export const CACHE_APPEND_SEGMENTS = 3;
export const CACHE_APPEND_SEGMENT_COUNT = 4;
export const CACHE_APPEND_HEADS = 5;
export const CACHE_APPEND_HEAD_SIZE = 6;
export const CACHE_APPEND_CAPACITY = 7;
export const CACHE_APPEND_ENCODING = 8;

// OP_ATTENTION_CACHED: attention of each segment's rows over all of its sequence in the cache, which already holds these rows.
export const ATTENTION_CACHED_OUT = 1;
export const ATTENTION_CACHED_QKV = 2;
export const ATTENTION_CACHED_CACHE = 3;
export const ATTENTION_CACHED_SEGMENTS = 4;
export const ATTENTION_CACHED_SEGMENT_COUNT = 5;
export const ATTENTION_CACHED_HEADS = 6;
export const ATTENTION_CACHED_HEAD_SIZE = 7;
export const ATTENTION_CACHED_SCALE = 8;
export const ATTENTION_CACHED_CAPACITY = 9;
export const ATTENTION_CACHED_ENCODING = 10;

// ── Reductions and the optimizer ──────────────────────────────────────────────────────────────────────────────
// OP_SUM: out (f32) = Σ inp[rows · cols], added in f64 in a fixed order.
export const SUM_OUT = 1;
export const SUM_INP = 2;
export const SUM_ROWS = 3;
export const SUM_COLS = 4;

/** partials[i] (f64) = Σ of squares of chunk i of NORM_CHUNK elements. */
export const NORM_CHUNK = 8192;
// OP_SQUARES
export const SQUARES_PARTIALS = 1;
export const SQUARES_INP = 2;
export const SQUARES_COUNT = 3;

// OP_CLIP: out[0] = √Σ partials, out[1] = min(1, limit / (out[0] + 1e-6)); a limit of 0 leaves out[1] = 1.
export const CLIP_OUT = 1; // f32[2]
export const CLIP_PARTIALS = 2;
export const CLIP_COUNT = 3;
export const CLIP_LIMIT = 4; // f32

// OP_ADAMW: AdamW with decoupled decay (Loshchilov & Hutter 2019, Algorithm 2).
export const ADAMW_WEIGHT = 1;
export const ADAMW_DWEIGHT = 2;
export const ADAMW_M = 3;
export const ADAMW_V = 4;
export const ADAMW_COUNT = 5;
export const ADAMW_HYPER = 6; // pointer to f32[HYPER_COUNT]
export const ADAMW_GRADIENT_SCALE = 7; // pointer to f32, multiplied into the gradient
export const ADAMW_WEIGHT_DECAY = 8; // f32
export const HYPER_LEARNING_RATE = 0;
export const HYPER_BETA1 = 1;
export const HYPER_BETA2 = 2;
export const HYPER_EPSILON = 3;
export const HYPER_CORRECTION1 = 4; // 1 / (1 − β1^t)
export const HYPER_CORRECTION2 = 5; // 1 / (1 − β2^t)
export const HYPER_COUNT = 8;

// OP_RANDOM_NORMAL: out[i] = mean + std · normal: Philox4x32-10, key (seed[0], seed[1]), counter (i >> 2, 0, stream, seed[2]),
// Box-Muller.
export const RANDOM_NORMAL_OUT = 1;
export const RANDOM_NORMAL_COUNT = 2;
export const RANDOM_NORMAL_MEAN = 3; // f32
export const RANDOM_NORMAL_STD = 4; // f32
export const RANDOM_NORMAL_SEED = 5;
export const RANDOM_NORMAL_STREAM = 6;

// ── Weights from f32 to an encoding and back ──────────────────────────────────────────────────────────────────
// OP_ENCODE: encodes steps [FIRST_STEP, + STEPS) of columns [FIRST_COLUMN, + COLUMNS): whole panels and whole blocks, but for the
// last ones. inp element (step, column) stands at inp + step · STEP_STRIDE + column · COLUMN_STRIDE elements, both counted
// from the first ones.
export const ENCODE_OUT = 1; // all of the parameter
export const ENCODE_INP = 2;
export const ENCODE_STEP_STRIDE = 3;
export const ENCODE_COLUMN_STRIDE = 4;
export const ENCODE_FIRST_STEP = 5;
export const ENCODE_STEPS = 6;
export const ENCODE_FIRST_COLUMN = 7;
export const ENCODE_COLUMNS = 8;
export const ENCODE_K = 9; // steps of the parameter
export const ENCODE_ENCODING = 10;
export const ENCODE_FAULT = 11; // pointer to i32: set to 1 when a value has no place in the encoding
/** A block of 64 × 16 floats. */
export const ENCODE_SCRATCH_BYTES = 4096;

// OP_DECODE: the reverse: OUT and INP swap their roles, the other fields mean the same; ENCODE_FAULT is not used.

// ── Rows as integers, which products with q8 and q4 weights multiply ──────────────────────────────────────────
// OP_QUANTIZE_ROWS
export const QUANTIZE_ROWS_OUT = 1;
export const QUANTIZE_ROWS_INP = 2;
export const QUANTIZE_ROWS_LD = 3; // of INP
export const QUANTIZE_ROWS_ROWS = 4;
export const QUANTIZE_ROWS_COLS = 5;
export const QUANTIZE_ROWS_ENCODING = 6; // of the weights: Q8 or Q4
/** Bytes of OUT for each row and chunk of columns, at most. */
export const QUANTIZED_ROW_CHUNK_BYTES = 72;
/** So many rows more than there are have a place in OUT: groups are filled up. */
export const QUANTIZED_SPARE_ROWS = 3;
/** A block of floats, constants. */
export const QUANTIZE_ROWS_SCRATCH_BYTES = 320;

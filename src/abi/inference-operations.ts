/**
 * The operations that inference binaries have: those that take text to text. A plan of others needs a full binary. The same
 * list for the other compiler is the switch of `runOne` in assembly/interpreter/plan.ts; test/runtime/inference-operations.test.ts
 * compares them. Only TypeScript reads this file.
 */
import {
  OP_ACTIVATION,
  OP_ADD,
  OP_ATTENTION_CACHED,
  OP_CACHE_APPEND,
  OP_EMBEDDING,
  OP_ENCODE,
  OP_GATHER_ROWS,
  OP_GEMM_PANELS,
  OP_LAYER_NORM,
  OP_MULTIPLY,
  OP_NONE,
  OP_QUANTIZE_ROWS,
  OP_RMS_NORM,
  OP_ROTARY,
  OP_SCALE,
} from './opcodes.ts';

export const INFERENCE_OPERATIONS: ReadonlySet<number> = /* @__PURE__ */ new Set([
  OP_NONE,
  OP_GEMM_PANELS,
  OP_QUANTIZE_ROWS,
  OP_ADD,
  OP_MULTIPLY,
  OP_SCALE,
  OP_ACTIVATION,
  OP_LAYER_NORM,
  OP_RMS_NORM,
  OP_EMBEDDING,
  OP_GATHER_ROWS,
  OP_ROTARY,
  OP_CACHE_APPEND,
  OP_ATTENTION_CACHED,
  OP_ENCODE,
]);

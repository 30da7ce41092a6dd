/** What operations cost, at the largest sizes: for the profiler, which alone loads it. */

import * as op from '../abi/index.ts';
import { encodedBytes } from './encoding.ts';
import type { Operation } from './graph.ts';
import { operandsOf } from './operands.ts';
import { attentionFlops } from './ops/attention.ts';
import { cacheBytes } from './ops/cached-attention.ts';
import { maxOf } from './tensor.ts';

export interface Cost {
  /** Floating-point operations, 2 per multiply-add; 0 where time goes by bytes. */
  readonly flops: number;
  /** Bytes that it reads and writes when nothing is read twice: each operand once, unless the operation was recorded with a number of its own. */
  readonly bytes: number;
}

export function costOf(operation: Operation): Cost {
  const { opcode, fields, flops = 0, bytes = operandBytes(fields) } = operation;
  const operands = operandsOf(operation);
  const { tensor } = operands;
  const extent = (word: number) => maxOf(operands.extent(word));
  const size = (word: number) => maxOf(tensor(word).rows) * tensor(word).cols * 4;
  switch (opcode) {
    case op.OP_GEMM:
    case op.OP_GEMM_PANELS: {
      const [m, n, k] = [extent(op.GEMM_M), extent(op.GEMM_N), extent(op.GEMM_K)];
      const { encoding = 'f32' } = tensor(op.GEMM_B);
      const transposed = (extent(op.GEMM_FLAGS) & op.FLAG_TRANSPOSE_B) !== 0;
      const quantized = (encoding === 'q8' || encoding === 'q4') && !transposed;
      const inputs = quantized ? tensor(op.GEMM_A).cols : k;
      return { flops: 2 * m * n * k, bytes: 4 * (m * inputs + m * n) + encodedBytes(encoding, k, n) };
    }
    case op.OP_EMBEDDING: // rows of two tables
      return { flops, bytes: 3 * size(op.EMBEDDING_OUT) };
    case op.OP_GATHER_ROWS:
      return { flops, bytes: 2 * size(op.GATHER_ROWS_OUT) };
    case op.OP_CACHE_APPEND: {
      const [heads, headSize] = [extent(op.ATTENTION_KEY_VALUE_HEADS), extent(op.ATTENTION_HEAD_SIZE)];
      const dtype = extent(op.ATTENTION_ENCODING) === op.ENCODING_BF16 ? 'bf16' : 'f32';
      return {
        flops,
        bytes: maxOf(tensor(op.ATTENTION_K).rows) * (8 * heads * headSize + cacheBytes(dtype, heads, headSize)),
      };
    }
    case op.OP_ATTENTION_CACHED: {
      const { rows, cols } = tensor(op.ATTENTION_OUT);
      const [capacity, window] = [extent(op.ATTENTION_CAPACITY), extent(op.ATTENTION_WINDOW)];
      const seen = window > 0 ? Math.min(window, capacity) : capacity;
      return {
        flops: attentionFlops(maxOf(rows), capacity, cols, true, window),
        bytes: 2 * size(op.ATTENTION_OUT) + (size(op.ATTENTION_CACHE) * seen) / capacity, // queries, output, cache
      };
    }
    default:
      return { flops, bytes };
  }
}

/** Bytes of all tensors and regions among the arguments. */
function operandBytes(fields: Operation['fields']): number {
  return fields.reduce((sum, [, value]) => {
    if (typeof value === 'number' || 'index' in value) return sum;
    return sum + ('storage' in value ? maxOf(value.rows) * value.cols * 4 : value.bytes);
  }, 0);
}

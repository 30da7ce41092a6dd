/**
 * The reference implementation of assembly/interpreter/plan.ts: every operation of a graph as its description in src/abi/operations.ts reads, with
 * loops, in f64. Each tensor has an array of its own, and activations start as NaN: a value that is read before it was
 * written, or that a shared address would have destroyed, shows.
 */

import * as op from '../../src/abi/index.ts';
import type { FieldValue, Graph, Operation } from '../../src/graph/graph.ts';
import type { Activation, Region, Size } from '../../src/graph/tensor.ts';

/** Part of an array, from `at` on. */
interface View {
  readonly data: Float64Array;
  readonly at: number;
}

const word = new DataView(new ArrayBuffer(4));
function floatOf(bits: number): number {
  word.setInt32(0, bits);
  return word.getFloat32(0);
}

/** Philox4x32-10 (Salmon et al. 2011). */
export function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = counter.map((c) => BigInt(c >>> 0)) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map((k) => BigInt(k >>> 0)) as [bigint, bigint];
  const low = 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const product0 = 0xd2511f53n * c0;
    const product1 = 0xcd9e8d57n * c2;
    [c0, c1, c2, c3] = [
      (product1 >> 32n) ^ c1 ^ k0,
      product1 & low,
      (product0 >> 32n) ^ c3 ^ k1,
      product0 & low,
    ] as const;
    k0 = (k0 + 0x9e3779b9n) & low;
    k1 = (k1 + 0xbb67ae85n) & low;
  }
  return [c0, c1, c2, c3].map(Number);
}

/** erf to about 1e-15: its series below 3, the continued fraction of erfc above. */
function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 3) {
    let fraction = 0;
    for (let k = 60; k > 0; k--) fraction = k / 2 / (z + fraction);
    return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
  }
  let term = x;
  let total = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
}

const GELU = Math.sqrt(2 / Math.PI);

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/** Activation functions and their derivatives. */
const FUNCTIONS: Record<number, { f(x: number): number; slope(x: number): number }> = {
  [op.FUNCTION_GELU_TANH]: {
    f: (x) => (x * (1 + Math.tanh(GELU * (x + 0.044715 * x ** 3)))) / 2,
    slope(x) {
      const t = Math.tanh(GELU * (x + 0.044715 * x ** 3));
      return (1 + t) / 2 + (x * (1 - t * t) * GELU * (1 + 3 * 0.044715 * x * x)) / 2;
    },
  },
  [op.FUNCTION_GELU_ERF]: {
    f: (x) => (x * (1 + erf(x / Math.SQRT2))) / 2,
    slope: (x) => (1 + erf(x / Math.SQRT2)) / 2 + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  },
  [op.FUNCTION_RELU]: { f: (x) => Math.max(x, 0), slope: (x) => (x > 0 ? 1 : 0) },
  [op.FUNCTION_SILU]: { f: (x) => x * sigmoid(x), slope: (x) => sigmoid(x) * (1 + x * sigmoid(-x)) },
  [op.FUNCTION_TANH]: { f: Math.tanh, slope: (x) => 1 - Math.tanh(x) ** 2 },
  [op.FUNCTION_SIGMOID]: { f: sigmoid, slope: (x) => sigmoid(x) * sigmoid(-x) },
};

export class ReferenceMachine {
  readonly #graph: Graph;
  readonly #arrays = new Map<Region | Activation, Float64Array>();
  readonly #sizes = new Map<Size, number>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** The values of a region (zeros at first) or activation, to be read or changed. */
  values(storage: Region | Activation): Float64Array {
    let array = this.#arrays.get(storage);
    if (!array) {
      array = new Float64Array(storage.bytes / 4).fill('address' in storage ? 0 : Number.NaN);
      this.#arrays.set(storage, array);
    }
    return array;
  }

  setSize(size: Size, value: number): void {
    this.#sizes.set(size, value);
  }

  run(): void {
    for (const activation of this.#graph.activations) this.values(activation).fill(Number.NaN);
    for (const operation of this.#graph.operations) this.#runOne(operation);
  }

  #runOne({ opcode, fields }: Operation): void {
    const byWord = new Map<number, FieldValue>(fields);
    const view = (field: number): View | undefined => {
      const value = byWord.get(field);
      if (value === undefined || value === 0) return undefined;
      if (typeof value === 'number' || 'index' in value) throw new Error(`word ${field} is no pointer`);
      if ('storage' in value) return { data: this.values(value.storage), at: value.byteOffset / 4 };
      return { data: this.values(value), at: 0 };
    };
    run(opcode, {
      optional: view,
      view: (field) => view(field) ?? fail(`opcode ${opcode}: pointer in word ${field} is absent`),
      size: (field) => {
        const value = byWord.get(field) ?? 0;
        if (typeof value === 'number') return value;
        return 'index' in value ? (this.#sizes.get(value) ?? value.max) : fail(`word ${field} is no size`);
      },
      word: (field) => (byWord.get(field) as number | undefined) ?? 0,
      float: (field) => floatOf((byWord.get(field) as number | undefined) ?? 0),
    });
  }
}

function fail(message: string): never {
  throw new Error(message);
}

interface Arguments {
  view(field: number): View;
  optional(field: number): View | undefined;
  size(field: number): number;
  word(field: number): number;
  float(field: number): number;
}

function run(opcode: number, a: Arguments): void {
  const kernel = KERNELS[opcode] ?? fail(`reference: no opcode ${opcode}`);
  kernel(a);
}

/** out[i] (+)= f(i) for rows · cols elements. */
function elementwise(a: Arguments, out: number, rows: number, cols: number, flags: number, f: (i: number) => number) {
  const target = a.view(out);
  const count = a.size(rows) * a.size(cols);
  for (let i = 0; i < count; i++)
    target.data[target.at + i] = (flags & op.FLAG_ACCUMULATE ? target.data[target.at + i]! : 0) + f(i);
}

const at = (view: View, index: number) => view.data[view.at + index]!;
const add = (view: View, index: number, value: number) => {
  view.data[view.at + index] = view.data[view.at + index]! + value;
};
const set = (view: View, index: number, value: number) => {
  view.data[view.at + index] = value;
};

/** What a dropout keeps: 0 or 1 / (1 − p), for element `index` of `row`. */
function mask(seed: View, stream: number, threshold: number, scale: number, index: number, row: number): number {
  const random = philox([index >>> 2, row, stream, at(seed, 2)], [at(seed, 0), at(seed, 1)]);
  return random[index & 3]! >= threshold >>> 0 ? scale : 0;
}

/** One of queries, keys and values, or its gradient: element d of a head of a row. */
interface HeadsView {
  at(row: number, head: number, d: number): number;
  clear(row: number, head: number): void;
  add(row: number, head: number, d: number, value: number): void;
}

function attention(a: Arguments, isBackward: boolean): void {
  const headSize = a.word(op.ATTENTION_HEAD_SIZE);
  const heads = a.word(op.ATTENTION_HEADS);
  const keyValueHeads = a.word(op.ATTENTION_KEY_VALUE_HEADS);
  const headsView = (pointer: number, leading: number): HeadsView => {
    const [view, ld] = [a.view(pointer), a.word(leading)];
    return {
      at: (row, head, d) => at(view, row * ld + head * headSize + d),
      clear(row, head) {
        for (let d = 0; d < headSize; d++) set(view, row * ld + head * headSize + d, 0);
      },
      add: (row, head, d, value) => add(view, row * ld + head * headSize + d, value),
    };
  };
  const q = headsView(op.ATTENTION_Q, op.ATTENTION_LDQ);
  const k = headsView(op.ATTENTION_K, op.ATTENTION_LDK);
  const v = headsView(op.ATTENTION_V, op.ATTENTION_LDV);
  const lse = a.optional(op.ATTENTION_LSE);
  const segments = a.view(op.ATTENTION_SEGMENTS);
  const count = a.size(op.ATTENTION_SEGMENT_COUNT);
  const scale = a.float(op.ATTENTION_SCALE);
  const window = a.word(op.ATTENTION_WINDOW) || Number.POSITIVE_INFINITY;
  const isCausal = (a.word(op.ATTENTION_FLAGS) & op.FLAG_CAUSAL) !== 0;
  const threshold = a.word(op.ATTENTION_DROPOUT_THRESHOLD);
  const dropoutScale = a.float(op.ATTENTION_DROPOUT_SCALE);
  const stream = a.word(op.ATTENTION_STREAM);
  const seed = a.optional(op.ATTENTION_SEED);
  const width = heads * headSize;
  const out = a.view(op.ATTENTION_OUT);
  const gradients = isBackward && {
    dout: a.view(op.ATTENTION_DOUT),
    dq: headsView(op.ATTENTION_DQ, op.ATTENTION_LDDQ),
    dk: headsView(op.ATTENTION_DK, op.ATTENTION_LDDK),
    dv: headsView(op.ATTENTION_DV, op.ATTENTION_LDDV),
  };
  for (let s = 0; s < count; s++) {
    const first = at(segments, s * op.SEGMENT_WORDS + op.SEGMENT_ROW);
    const rows = at(segments, s * op.SEGMENT_WORDS + op.SEGMENT_ROWS);
    if (gradients)
      for (let row = first; row < first + rows; row++) {
        for (let head = 0; head < heads; head++) gradients.dq.clear(row, head);
        for (let head = 0; head < keyValueHeads; head++) {
          gradients.dk.clear(row, head);
          gradients.dv.clear(row, head);
        }
      }
    for (let head = 0; head < heads; head++) {
      const keyValue = Math.floor((head * keyValueHeads) / heads);
      for (let i = 0; i < rows; i++) {
        const row = first + i;
        const keys = isCausal ? i + 1 : rows;
        const scores = Array.from({ length: keys }, (_, j) => {
          if (j <= i - window) return Number.NEGATIVE_INFINITY;
          let sum = 0;
          for (let d = 0; d < headSize; d++) sum += q.at(row, head, d) * k.at(first + j, keyValue, d);
          return sum * scale;
        });
        const largest = Math.max(...scores);
        const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
        const p = scores.map((score) => Math.exp(score - largest) / sum);
        const kept = p.map((_, j) =>
          threshold && seed ? mask(seed, stream, threshold, dropoutScale, j, row * heads + head) : 1,
        );
        if (!gradients) {
          if (lse) set(lse, row * heads + head, largest + Math.log(sum));
          for (let d = 0; d < headSize; d++)
            set(
              out,
              row * width + head * headSize + d,
              p.reduce((total, pj, j) => total + pj * kept[j]! * v.at(first + j, keyValue, d), 0),
            );
          continue;
        }
        const { dout, dq, dk, dv } = gradients;
        let inner = 0; // Σ_j p_j dp_j
        const dp = p.map((pj, j) => {
          let sum = 0;
          for (let d = 0; d < headSize; d++) {
            const g = at(dout, row * width + head * headSize + d);
            sum += g * v.at(first + j, keyValue, d);
            dv.add(first + j, keyValue, d, pj * kept[j]! * g);
          }
          inner += pj * kept[j]! * sum;
          return kept[j]! * sum;
        });
        p.forEach((pj, j) => {
          const ds = pj * (dp[j]! - inner) * scale;
          for (let d = 0; d < headSize; d++) {
            dq.add(row, head, d, ds * k.at(first + j, keyValue, d));
            dk.add(first + j, keyValue, d, ds * q.at(row, head, d));
          }
        });
      }
    }
  }
}

const KERNELS: Record<number, (a: Arguments) => void> = {
  [op.OP_GEMM](a) {
    const [c, x, y] = [a.view(op.GEMM_C), a.view(op.GEMM_A), a.view(op.GEMM_B)];
    const [ldc, lda, ldb] = [a.word(op.GEMM_LDC), a.word(op.GEMM_LDA), a.word(op.GEMM_LDB)];
    const [m, n, k] = [a.size(op.GEMM_M), a.size(op.GEMM_N), a.size(op.GEMM_K)];
    const bias = a.optional(op.GEMM_BIAS);
    const flags = a.word(op.GEMM_FLAGS);
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = (flags & op.FLAG_ACCUMULATE ? at(c, i * ldc + j) : 0) + (bias ? at(bias, j) : 0);
        for (let p = 0; p < k; p++)
          sum +=
            at(x, flags & op.FLAG_TRANSPOSE_A ? p * lda + i : i * lda + p) *
            at(y, flags & op.FLAG_TRANSPOSE_B ? j * ldb + p : p * ldb + j);
        set(c, i * ldc + j, sum);
      }
  },
  [op.OP_COLUMN_SUM](a) {
    const [out, inp] = [a.view(op.COLUMN_SUM_OUT), a.view(op.COLUMN_SUM_INP)];
    const [ld, rows, cols] = [a.word(op.COLUMN_SUM_LD), a.size(op.COLUMN_SUM_ROWS), a.size(op.COLUMN_SUM_COLS)];
    for (let j = 0; j < cols; j++) {
      let sum = a.word(op.COLUMN_SUM_FLAGS) & op.FLAG_ACCUMULATE ? at(out, j) : 0;
      for (let i = 0; i < rows; i++) sum += at(inp, i * ld + j);
      set(out, j, sum);
    }
  },
  [op.OP_ADD](a) {
    const [x, y] = [a.view(op.ADD_A), a.view(op.ADD_B)];
    elementwise(a, op.ADD_OUT, op.ADD_ROWS, op.ADD_COLS, 0, (i) => at(x, i) + at(y, i));
  },
  [op.OP_COPY](a) {
    const inp = a.view(op.COPY_INP);
    elementwise(a, op.COPY_OUT, op.COPY_ROWS, op.COPY_COLS, a.word(op.COPY_FLAGS), (i) => at(inp, i));
  },
  [op.OP_FILL](a) {
    elementwise(a, op.FILL_OUT, op.FILL_ROWS, op.FILL_COLS, 0, () => a.float(op.FILL_VALUE));
  },
  [op.OP_MULTIPLY](a) {
    const [x, y] = [a.view(op.MULTIPLY_A), a.view(op.MULTIPLY_B)];
    const flags = a.word(op.MULTIPLY_FLAGS);
    elementwise(a, op.MULTIPLY_OUT, op.MULTIPLY_ROWS, op.MULTIPLY_COLS, flags, (i) => at(x, i) * at(y, i));
  },
  [op.OP_SCALE](a) {
    const inp = a.view(op.SCALE_INP);
    const [flags, factor] = [a.word(op.SCALE_FLAGS), a.float(op.SCALE_FACTOR)];
    elementwise(a, op.SCALE_OUT, op.SCALE_ROWS, op.SCALE_COLS, flags, (i) => factor * at(inp, i));
  },
  [op.OP_ACTIVATION](a) {
    const inp = a.view(op.ACTIVATION_INP);
    const { f } = FUNCTIONS[a.word(op.ACTIVATION_FUNCTION)]!;
    elementwise(a, op.ACTIVATION_OUT, op.ACTIVATION_ROWS, op.ACTIVATION_COLS, 0, (i) => f(at(inp, i)));
  },
  [op.OP_ACTIVATION_BACKWARD](a) {
    const [dout, inp] = [a.view(op.ACTIVATION_BACKWARD_DOUT), a.view(op.ACTIVATION_BACKWARD_INP)];
    const { slope } = FUNCTIONS[a.word(op.ACTIVATION_BACKWARD_FUNCTION)]!;
    elementwise(
      a,
      op.ACTIVATION_BACKWARD_DINP,
      op.ACTIVATION_BACKWARD_ROWS,
      op.ACTIVATION_BACKWARD_COLS,
      a.word(op.ACTIVATION_BACKWARD_FLAGS),
      (i) => at(dout, i) * slope(at(inp, i)),
    );
  },
  [op.OP_DROPOUT](a) {
    const [inp, seed] = [a.view(op.DROPOUT_INP), a.view(op.DROPOUT_SEED)];
    const [threshold, scale] = [a.word(op.DROPOUT_THRESHOLD), a.float(op.DROPOUT_SCALE)];
    const flags = a.word(op.DROPOUT_FLAGS);
    elementwise(
      a,
      op.DROPOUT_OUT,
      op.DROPOUT_ROWS,
      op.DROPOUT_COLS,
      flags,
      (i) => at(inp, i) * mask(seed, a.word(op.DROPOUT_STREAM), threshold, scale, i, 0),
    );
  },
  [op.OP_LAYER_NORM](a) {
    const [out, inp] = [a.view(op.LAYER_NORM_OUT), a.view(op.LAYER_NORM_INP)];
    const [weight, bias] = [a.view(op.LAYER_NORM_WEIGHT), a.view(op.LAYER_NORM_BIAS)];
    const [means, rstds] = [a.view(op.LAYER_NORM_MEAN), a.view(op.LAYER_NORM_RSTD)];
    const [rows, cols] = [a.size(op.LAYER_NORM_ROWS), a.size(op.LAYER_NORM_COLS)];
    for (let i = 0; i < rows; i++) {
      let mean = 0;
      for (let j = 0; j < cols; j++) mean += at(inp, i * cols + j) / cols;
      let variance = 0;
      for (let j = 0; j < cols; j++) variance += (at(inp, i * cols + j) - mean) ** 2 / cols;
      const rstd = 1 / Math.sqrt(variance + a.float(op.LAYER_NORM_EPSILON));
      set(means, i, mean);
      set(rstds, i, rstd);
      for (let j = 0; j < cols; j++)
        set(out, i * cols + j, (at(inp, i * cols + j) - mean) * rstd * at(weight, j) + at(bias, j));
    }
  },
  [op.OP_LAYER_NORM_BACKWARD](a) {
    const dinp = a.optional(op.LAYER_NORM_BACKWARD_DINP);
    const [dweight, dbias] = [a.optional(op.LAYER_NORM_BACKWARD_DWEIGHT), a.optional(op.LAYER_NORM_BACKWARD_DBIAS)];
    const [dout, inp] = [a.view(op.LAYER_NORM_BACKWARD_DOUT), a.view(op.LAYER_NORM_BACKWARD_INP)];
    const weight = a.view(op.LAYER_NORM_BACKWARD_WEIGHT);
    const [means, rstds] = [a.view(op.LAYER_NORM_BACKWARD_MEAN), a.view(op.LAYER_NORM_BACKWARD_RSTD)];
    const [rows, cols] = [a.size(op.LAYER_NORM_BACKWARD_ROWS), a.size(op.LAYER_NORM_BACKWARD_COLS)];
    for (let i = 0; i < rows; i++) {
      const rstd = at(rstds, i);
      let sum = 0;
      let inner = 0;
      for (let j = 0; j < cols; j++) {
        const normal = (at(inp, i * cols + j) - at(means, i)) * rstd;
        const g = at(dout, i * cols + j);
        sum += g * at(weight, j);
        inner += g * at(weight, j) * normal;
        if (dweight) add(dweight, j, g * normal);
        if (dbias) add(dbias, j, g);
      }
      if (!dinp) continue;
      for (let j = 0; j < cols; j++) {
        const normal = (at(inp, i * cols + j) - at(means, i)) * rstd;
        const value = (at(dout, i * cols + j) * at(weight, j) - sum / cols - (normal * inner) / cols) * rstd;
        if (a.word(op.LAYER_NORM_BACKWARD_FLAGS) & op.FLAG_ACCUMULATE) add(dinp, i * cols + j, value);
        else set(dinp, i * cols + j, value);
      }
    }
  },
  [op.OP_RMS_NORM](a) {
    const [out, inp] = [a.view(op.RMS_NORM_OUT), a.view(op.RMS_NORM_INP)];
    const [weight, rstds] = [a.view(op.RMS_NORM_WEIGHT), a.view(op.RMS_NORM_RSTD)];
    const [rows, cols] = [a.size(op.RMS_NORM_ROWS) * a.word(op.RMS_NORM_GROUPS), a.size(op.RMS_NORM_COLS)];
    for (let i = 0; i < rows; i++) {
      let square = 0;
      for (let j = 0; j < cols; j++) square += at(inp, i * cols + j) ** 2 / cols;
      const rstd = 1 / Math.sqrt(square + a.float(op.RMS_NORM_EPSILON));
      set(rstds, i, rstd);
      for (let j = 0; j < cols; j++)
        set(out, i * cols + j, at(inp, i * cols + j) * rstd * (at(weight, j) + a.float(op.RMS_NORM_OFFSET)));
    }
  },
  [op.OP_RMS_NORM_BACKWARD](a) {
    const [dinp, dweight] = [a.optional(op.RMS_NORM_BACKWARD_DINP), a.optional(op.RMS_NORM_BACKWARD_DWEIGHT)];
    const [dout, inp] = [a.view(op.RMS_NORM_BACKWARD_DOUT), a.view(op.RMS_NORM_BACKWARD_INP)];
    const [weight, rstds] = [a.view(op.RMS_NORM_BACKWARD_WEIGHT), a.view(op.RMS_NORM_BACKWARD_RSTD)];
    const rows = a.size(op.RMS_NORM_BACKWARD_ROWS) * a.word(op.RMS_NORM_BACKWARD_GROUPS);
    const cols = a.size(op.RMS_NORM_BACKWARD_COLS);
    for (let i = 0; i < rows; i++) {
      const rstd = at(rstds, i);
      const unit = (j: number) => at(inp, i * cols + j) * rstd;
      const g = (j: number) => at(dout, i * cols + j) * (at(weight, j) + a.float(op.RMS_NORM_BACKWARD_OFFSET));
      let inner = 0;
      for (let j = 0; j < cols; j++) {
        inner += g(j) * unit(j);
        if (dweight) add(dweight, j, at(dout, i * cols + j) * unit(j));
      }
      if (!dinp) continue;
      for (let j = 0; j < cols; j++) {
        const value = (g(j) - (unit(j) * inner) / cols) * rstd;
        if (a.word(op.RMS_NORM_BACKWARD_FLAGS) & op.FLAG_ACCUMULATE) add(dinp, i * cols + j, value);
        else set(dinp, i * cols + j, value);
      }
    }
  },
  [op.OP_ROTARY](a) {
    const [out, inp] = [a.view(op.ROTARY_OUT), a.view(op.ROTARY_INP)];
    const [outLd, inpLd] = [a.word(op.ROTARY_OUT_LD), a.word(op.ROTARY_INP_LD)];
    const [positions, frequencies] = [a.view(op.ROTARY_POSITIONS), a.view(op.ROTARY_FREQUENCIES)];
    const [rows, heads, headSize] = [a.size(op.ROTARY_ROWS), a.word(op.ROTARY_HEADS), a.word(op.ROTARY_HEAD_SIZE)];
    const [pairs, factor] = [a.word(op.ROTARY_DIM) / 2, a.float(op.ROTARY_FACTOR)];
    const flags = a.word(op.ROTARY_FLAGS);
    for (let i = 0; i < rows; i++)
      for (let head = 0; head < heads; head++) {
        const turned = Array.from({ length: headSize }, (_, j) => at(inp, i * inpLd + head * headSize + j));
        for (let pair = 0; pair < pairs; pair++) {
          const angle = Math.fround(at(positions, i) * at(frequencies, pair)) * (flags & op.FLAG_INVERSE ? -1 : 1);
          const [first, second] = flags & op.FLAG_INTERLEAVED ? [2 * pair, 2 * pair + 1] : [pair, pair + pairs];
          const [x, y] = [turned[first]!, turned[second]!];
          turned[first] = factor * (x * Math.cos(angle) - y * Math.sin(angle));
          turned[second] = factor * (y * Math.cos(angle) + x * Math.sin(angle));
        }
        turned.forEach((value, j) => {
          const to = i * outLd + head * headSize + j;
          if (flags & op.FLAG_ACCUMULATE) add(out, to, value);
          else set(out, to, value);
        });
      }
  },
  [op.OP_EMBEDDING](a) {
    const [tokens, positions] = [a.view(op.EMBEDDING_TOKENS), a.view(op.EMBEDDING_POSITIONS)];
    const [tokenTable, positionTable] = [a.view(op.EMBEDDING_TOKEN_TABLE), a.view(op.EMBEDDING_POSITION_TABLE)];
    const cols = a.size(op.EMBEDDING_COLS);
    elementwise(a, op.EMBEDDING_OUT, op.EMBEDDING_ROWS, op.EMBEDDING_COLS, 0, (i) => {
      const row = Math.floor(i / cols);
      return (
        at(tokenTable, at(tokens, row) * cols + (i % cols)) + at(positionTable, at(positions, row) * cols + (i % cols))
      );
    });
  },
  [op.OP_EMBEDDING_BACKWARD](a) {
    const [dtokens, dpositions] = [
      a.view(op.EMBEDDING_BACKWARD_DTOKEN_TABLE),
      a.view(op.EMBEDDING_BACKWARD_DPOSITION_TABLE),
    ];
    const dout = a.view(op.EMBEDDING_BACKWARD_DOUT);
    const [tokens, positions] = [a.view(op.EMBEDDING_BACKWARD_TOKENS), a.view(op.EMBEDDING_BACKWARD_POSITIONS)];
    const [rows, cols] = [a.size(op.EMBEDDING_BACKWARD_ROWS), a.size(op.EMBEDDING_BACKWARD_COLS)];
    for (let i = 0; i < rows * cols; i++) {
      const row = Math.floor(i / cols);
      add(dtokens, at(tokens, row) * cols + (i % cols), at(dout, i));
      add(dpositions, at(positions, row) * cols + (i % cols), at(dout, i));
    }
  },
  [op.OP_GATHER_ROWS](a) {
    const [inp, indices] = [a.view(op.GATHER_ROWS_INP), a.view(op.GATHER_ROWS_INDICES)];
    const cols = a.size(op.GATHER_ROWS_COLS);
    elementwise(a, op.GATHER_ROWS_OUT, op.GATHER_ROWS_ROWS, op.GATHER_ROWS_COLS, 0, (i) =>
      at(inp, at(indices, Math.floor(i / cols)) * cols + (i % cols)),
    );
  },
  [op.OP_SCATTER_ROWS](a) {
    const [out, inp] = [a.view(op.SCATTER_ROWS_OUT), a.view(op.SCATTER_ROWS_INP)];
    const indices = a.view(op.SCATTER_ROWS_INDICES);
    const [rows, cols] = [a.size(op.SCATTER_ROWS_ROWS), a.size(op.SCATTER_ROWS_COLS)];
    for (let i = 0; i < rows * cols; i++) add(out, at(indices, Math.floor(i / cols)) * cols + (i % cols), at(inp, i));
  },
  [op.OP_CROSS_ENTROPY](a) {
    const [logits, targets] = [a.view(op.CROSS_ENTROPY_LOGITS), a.view(op.CROSS_ENTROPY_TARGETS)];
    const [losses, correct] = [a.view(op.CROSS_ENTROPY_LOSSES), a.view(op.CROSS_ENTROPY_CORRECT)];
    const [rows, cols] = [a.size(op.CROSS_ENTROPY_ROWS), a.size(op.CROSS_ENTROPY_COLS)];
    const wantsGradient = (a.word(op.CROSS_ENTROPY_FLAGS) & op.FLAG_GRADIENT) !== 0;
    for (let i = 0; i < rows; i++) {
      const target = at(targets, i);
      const row = Array.from({ length: cols }, (_, j) => at(logits, i * cols + j));
      const largest = Math.max(...row);
      const total = row.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
      set(losses, i, target < 0 ? 0 : largest + Math.log(total) - row[target]!);
      set(correct, i, row.indexOf(largest) === target ? 1 : 0);
      if (!wantsGradient) continue;
      const scale = at(a.view(op.CROSS_ENTROPY_SCALE), 0);
      row.forEach((logit, j) => {
        const value = (Math.exp(logit - largest) / total - (j === target ? 1 : 0)) * scale;
        set(logits, i * cols + j, target < 0 ? 0 : value);
      });
    }
  },
  [op.OP_ATTENTION]: (a) => attention(a, false),
  [op.OP_ATTENTION_BACKWARD]: (a) => attention(a, true),
  [op.OP_SUM](a) {
    const inp = a.view(op.SUM_INP);
    let sum = 0;
    for (let i = 0; i < a.size(op.SUM_ROWS) * a.size(op.SUM_COLS); i++) sum += at(inp, i);
    set(a.view(op.SUM_OUT), 0, sum);
  },
  [op.OP_SQUARES](a) {
    const [partials, inp] = [a.view(op.SQUARES_PARTIALS), a.view(op.SQUARES_INP)];
    const count = a.size(op.SQUARES_COUNT);
    for (let chunk = 0; chunk * op.NORM_CHUNK < count; chunk++) {
      let sum = 0;
      for (let i = chunk * op.NORM_CHUNK; i < Math.min(count, (chunk + 1) * op.NORM_CHUNK); i++) sum += at(inp, i) ** 2;
      set(partials, chunk, sum);
    }
  },
  [op.OP_CLIP](a) {
    const [out, partials, limit] = [a.view(op.CLIP_OUT), a.view(op.CLIP_PARTIALS), a.float(op.CLIP_LIMIT)];
    let sum = 0;
    for (let i = 0; i < a.size(op.CLIP_COUNT); i++) sum += at(partials, i);
    const norm = Math.sqrt(sum);
    set(out, 0, norm);
    set(out, 1, limit === 0 ? 1 : Math.min(1, limit / (norm + 1e-6)));
  },
  [op.OP_ADAMW](a) {
    const [weight, dweight] = [a.view(op.ADAMW_WEIGHT), a.view(op.ADAMW_DWEIGHT)];
    const [m, v, hyper] = [a.view(op.ADAMW_M), a.view(op.ADAMW_V), a.view(op.ADAMW_HYPER)];
    const [beta1, beta2] = [at(hyper, op.HYPER_BETA1), at(hyper, op.HYPER_BETA2)];
    const rate = at(hyper, op.HYPER_LEARNING_RATE);
    for (let i = 0; i < a.size(op.ADAMW_COUNT); i++) {
      const g = at(dweight, i) * at(a.view(op.ADAMW_GRADIENT_SCALE), 0);
      set(m, i, beta1 * at(m, i) + (1 - beta1) * g);
      set(v, i, beta2 * at(v, i) + (1 - beta2) * g * g);
      const root = Math.sqrt(at(v, i) * at(hyper, op.HYPER_CORRECTION2)) + at(hyper, op.HYPER_EPSILON);
      const step = (at(m, i) * at(hyper, op.HYPER_CORRECTION1)) / root;
      add(weight, i, -rate * (step + a.float(op.ADAMW_WEIGHT_DECAY) * at(weight, i)));
    }
  },
};

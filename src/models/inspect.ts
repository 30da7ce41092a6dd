/** What a model attends to, and what it would predict after each of its blocks ("logit lens"), for one sequence. */

import * as op from '../abi/index.ts';
import { f32OfWord, type Operation } from '../graph/graph.ts';
import { operandsOf } from '../graph/operands.ts';
import { Plan } from '../graph/plan.ts';
import type { Tensor } from '../graph/tensor.ts';
import { writeRows } from '../nn/rows.ts';
import { fixedRows } from '../nn/whole-sequences.ts';
import { exp } from '../random/index.ts';
import { checkTokens } from './check-tokens.ts';
import type { CausalLM } from './model.ts';
import { type LikelyToken, likeliestTokens } from './token-probabilities.ts';

/** What `inspect` gives of one sequence of T tokens. */
export interface Inspection {
  /** For each block [nHead, T, T], row-major: how much position i (row) attends to position j; 0 where j > i. */
  readonly attention: readonly Float32Array[];
  /**
   * predictions[k][t]: the likeliest tokens after position t as the output layer would read them from the embeddings
   * (k = 0) or from block k. The last ones are those of the model.
   */
  readonly predictions: readonly (readonly (readonly LikelyToken[])[])[];
}

/**
 * Looks inside a model while it reads one sequence. Takes memory for the logits of every block, T · V floats each, and time
 * that grows with T².
 * @param model any causal language model
 * @param tokens 1…blockSize ids
 * @param options `top`: how many tokens a prediction has, 1…100, default 5
 * @returns attention maps of every block, and predictions after each
 * @throws DataError for ids outside the vocabulary, RangeError for a length or `top` out of range, MemoryError when the
 * logits do not fit
 * @example
 * const { attention, predictions } = await inspect(gpt.model, gpt.tokenizer.encode('Call me Ishmael'));
 */
export async function inspect(
  model: CausalLM,
  tokens: ArrayLike<number>,
  { top = 5 }: { readonly top?: number } = {},
): Promise<Inspection> {
  const { blockSize, vocabSize } = model.config;
  const length = tokens.length;
  if (length < 1 || length > blockSize)
    throw new RangeError(`inspect: expected 1 to ${blockSize} tokens, got ${length}.`);
  if (!Number.isInteger(top) || top < 1 || top > 100)
    throw new RangeError(`inspect: expected top from 1 to 100, got ${top}.`);
  checkTokens(tokens, vocabSize, 'inspect');
  const graph = model.graph();
  const inputs = fixedRows(graph, 1, length);
  const states = model.body.record(graph, inputs);
  const layers = graph.operations.filter(({ opcode }) => opcode === op.OP_ATTENTION).map(attendedIn);
  for (const { query, key } of layers) {
    graph.keep(query);
    graph.keep(key);
  }
  const logits = states.map((state, index) => {
    const read = index < states.length - 1 ? model.body.finish(graph, state) : state;
    return graph.keep(model.head.record(graph, read, `inspect ${index}`));
  });
  const plan = await Plan.compile(model.engine, graph, 'looking inside');
  try {
    writeRows(plan, inputs, [{ tokens }]);
    await plan.run();
    const attention: Float32Array[] = [];
    for (const layer of layers)
      attention.push(attentionMaps(layer, await plan.read(layer.query), await plan.read(layer.key), length));
    const predictions: LikelyToken[][][] = [];
    for (const tensor of logits) {
      const values = await plan.read(tensor);
      const rows = Array.from({ length }, (_, t) => values.subarray(t * vocabSize, (t + 1) * vocabSize));
      predictions.push(rows.map((row) => likeliestTokens(row, top)));
    }
    return { attention, predictions };
  } finally {
    plan.dispose();
  }
}

/** What an OP_ATTENTION compares, and how. */
interface Attended {
  readonly query: Tensor;
  readonly key: Tensor;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly scale: number;
  /** Rows that a row sees, itself the last one. */
  readonly window: number;
  readonly isCausal: boolean;
}

function attendedIn(operation: Operation): Attended {
  const operands = operandsOf(operation);
  return {
    query: operands.tensor(op.ATTENTION_Q),
    key: operands.tensor(op.ATTENTION_K),
    heads: operands.number(op.ATTENTION_HEADS),
    keyValueHeads: operands.number(op.ATTENTION_KEY_VALUE_HEADS),
    scale: f32OfWord(operands.number(op.ATTENTION_SCALE)),
    window: operands.number(op.ATTENTION_WINDOW) || Number.POSITIVE_INFINITY,
    isCausal: (operands.number(op.ATTENTION_FLAGS) & op.FLAG_CAUSAL) !== 0,
  };
}

/** softmax(scale · q · kᵀ) over the keys that a row sees, for every head: queries and keys [T, heads · HS] → [NH, T, T]. */
function attentionMaps(
  { heads, keyValueHeads, scale, window, isCausal }: Attended,
  queries: Float32Array,
  keys: Float32Array,
  length: number,
): Float32Array {
  const headSize = queries.length / length / heads;
  const maps = new Float32Array(heads * length * length);
  for (let head = 0; head < heads; head++) {
    const keyHead = Math.floor((head * keyValueHeads) / heads);
    for (let i = 0; i < length; i++) {
      const query = (i * heads + head) * headSize;
      const row = maps.subarray((head * length + i) * length, (head * length + i + 1) * length);
      const [from, to] = [Math.max(0, i + 1 - window), isCausal ? i + 1 : length];
      let max = Number.NEGATIVE_INFINITY;
      for (let j = from; j < to; j++) {
        const key = (j * keyValueHeads + keyHead) * headSize;
        let dot = 0;
        for (let d = 0; d < headSize; d++) dot += queries[query + d]! * keys[key + d]!;
        row[j] = dot * scale;
        max = Math.max(max, row[j]!);
      }
      let sum = 0;
      for (let j = from; j < to; j++) sum += row[j] = exp(row[j]! - max);
      for (let j = from; j < to; j++) row[j]! /= sum;
    }
  }
  return maps;
}

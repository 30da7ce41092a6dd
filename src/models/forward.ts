/** All hidden states and logits of whole sequences: for looking inside a model, for tests, and for `score --logits-out`. */
import { Plan } from '../graph/plan.ts';
import { writeRows } from '../nn/rows.ts';
import { fixedRows } from '../nn/whole-sequences.ts';
import { checkTokens } from './check-tokens.ts';
import type { CausalLM } from './model.ts';

/** What a forward pass over one sequence gives, row-major. */
export interface ForwardResult {
  /** nLayer + 1 states [T, C], as transformers' `hidden_states`. */
  readonly hidden: readonly Float32Array[];
  /** [T, V]. */
  readonly logits: Float32Array;
}

/**
 * Runs one sequence without a cache.
 * @param model any causal language model
 * @param tokens 1…blockSize ids
 * @returns the states after the embeddings and after each layer, and the logits
 * @throws DataError for ids outside the vocabulary, RangeError for a length out of range
 * @example
 * const { logits } = await forward(model, [464, 3290]); // 2 · vocabSize values
 */
export async function forward(model: CausalLM, tokens: ArrayLike<number>): Promise<ForwardResult> {
  const { blockSize, vocabSize } = model.config;
  if (tokens.length < 1 || tokens.length > blockSize)
    throw new RangeError(`forward: expected 1 to ${blockSize} tokens, got ${tokens.length}.`);
  checkTokens(tokens, vocabSize, 'forward');
  const graph = model.graph();
  const inputs = fixedRows(graph, 1, tokens.length);
  const states = model.body.record(graph, inputs).map((state) => graph.keep(state));
  const logits = graph.keep(model.head.record(graph, states.at(-1)!));
  const plan = await Plan.compile(model.engine, graph, 'a forward pass');
  try {
    writeRows(plan, inputs, [{ tokens }]);
    await plan.run();
    const hidden = await Promise.all(states.map((state) => plan.read(state)));
    return { hidden, logits: await plan.read(logits) };
  } finally {
    plan.dispose();
  }
}

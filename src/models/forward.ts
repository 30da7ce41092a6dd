/** All hidden states and logits of whole sequences: for looking inside a model, for tests, and for `score --logits-out`. */
import { linear } from '../graph/ops/matmul.ts';
import { Plan } from '../graph/plan.ts';
import { writeRows } from '../nn/rows.ts';
import { fixedRows } from '../nn/whole-sequences.ts';
import { checkTokens } from './check-tokens.ts';
import type { GPT } from './gpt.ts';

/** What a forward pass over one sequence gives, row-major. */
export interface ForwardResult {
  /** nLayer + 1 states [T, C], as transformers' `hidden_states`. */
  readonly hidden: readonly Float32Array[];
  /** [T, V]. */
  readonly logits: Float32Array;
}

/**
 * Runs one sequence without a cache.
 * @param tokens 1…blockSize ids
 * @throws DataError for ids outside the vocabulary, RangeError for a length out of range
 */
export async function forward(model: GPT, tokens: ArrayLike<number>): Promise<ForwardResult> {
  const { blockSize, vocabSize } = model.config;
  if (tokens.length < 1 || tokens.length > blockSize)
    throw new RangeError(`forward: expected 1 to ${blockSize} tokens, got ${tokens.length}.`);
  checkTokens(tokens, vocabSize, 'forward');
  const graph = model.graph();
  const inputs = fixedRows(graph, 1, tokens.length);
  const states = model.forward(graph, inputs).map((state) => graph.keep(state));
  const logits = graph.keep(
    linear(graph, 'lm_head', states.at(-1)!, graph.parameter(model.headTable), { transposed: true }),
  );
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

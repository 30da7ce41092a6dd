/** Predicting the next token (GPT-1 paper, equation 1): batches of token sequences in, a loss for each row out. */
import type { BatchShape, TokenBatch, TokenSequence } from '../data/index.ts';
import { ConfigError, DataError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { DropoutSource } from '../graph/ops/dropout.ts';
import type { Plan } from '../graph/plan.ts';
import { type CausalLM, checkTokens, isCausalLM, type Model } from '../models/index.ts';
import { writeRows } from '../nn/rows.ts';
import { fixedRows } from '../nn/whole-sequences.ts';
import type { LossProgram, Objective } from './objective.ts';

/**
 * The objective of language modelling: −log p of each token given those before it.
 * Shorter sequences, and batches of fewer, are padded at their end, which a causal model does not see.
 * @param model with `trainable` weights, or adapters
 * @returns what a Trainer minimises on a `tokenDataset`
 * @throws ConfigError for a model of another kind
 * @example
 * const trainer = new Trainer(causalLanguageModel(model), tokenDataset(ids), { steps: 100 });
 */
export function causalLanguageModel(model: CausalLM): Objective<TokenBatch> {
  const { head }: Partial<Model> = model ?? {};
  if (!head || !isCausalLM(model))
    throw new ConfigError(
      `causalLanguageModel: expected a causal language model, got ${head ? `a ${head.kind} model` : 'none'}. Create or load one.`,
    );
  return { model, record: (graph, shape, dropoutSource) => recordLoss(model, graph, shape, dropoutSource) };
}

function recordLoss(
  model: CausalLM,
  graph: Graph,
  { batchSize, length }: BatchShape,
  dropoutSource?: DropoutSource,
): LossProgram<TokenBatch> {
  const { vocabSize, blockSize } = model.config;
  if (length > blockSize) throw new RangeError(`loss: expected at most ${blockSize} tokens of context, got ${length}.`);
  const rows = batchSize * length;
  const inputs = fixedRows(graph, batchSize, length, dropoutSource);
  const hidden = model.body.record(graph, inputs).at(-1)!;
  const loss = model.head.recordLoss(graph, hidden);

  function write(plan: Plan, batch: TokenBatch): void {
    if (batch.length > batchSize)
      throw new DataError(`batch: expected at most ${batchSize} sequences, got ${batch.length}.`);
    const paddedTargets = new Int32Array(rows).fill(-1);
    const groups = Array.from({ length: batchSize }, (_, index) => {
      const tokens = new Int32Array(length);
      const sequence = batch[index];
      if (sequence) {
        checkSequence(sequence, length, vocabSize);
        tokens.set(sequence.tokens);
        paddedTargets.set(sequence.targets, index * length);
      }
      return { tokens, slot: index };
    });
    writeRows(plan, inputs, groups);
    plan.write(loss.targets, paddedTargets);
  }

  return { rows, ...loss, count: countTargets, write };
}

function countTargets(batch: TokenBatch): number {
  let count = 0;
  for (const { targets } of batch) for (let i = 0; i < targets.length; i++) if (targets[i]! >= 0) count++;
  return count;
}

function checkSequence({ tokens, targets }: TokenSequence, length: number, vocabSize: number): void {
  if (tokens.length > length || targets.length !== tokens.length)
    throw new DataError(
      `batch: expected at most ${length} tokens and as many targets, got ${tokens.length} tokens and ${targets.length} targets.`,
    );
  checkTokens(tokens, vocabSize, 'batch');
  for (let i = 0; i < targets.length; i++)
    if (!(Number.isInteger(targets[i]) && targets[i]! < vocabSize))
      throw new DataError(`batch: expected targets below the vocabulary's ${vocabSize}, got ${targets[i]} at ${i}.`);
}

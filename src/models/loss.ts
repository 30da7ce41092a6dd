/** The program that trains and scores a language model: fixed batches of token sequences in, a loss for each row out. */
import { DataError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { DropoutSource } from '../graph/ops/dropout.ts';
import { type LossInputs, languageModelLoss } from '../graph/ops/loss.ts';
import type { Plan } from '../graph/plan.ts';
import { writeRows } from '../nn/rows.ts';
import { fixedRows } from '../nn/whole-sequences.ts';
import { checkTokens } from './check-tokens.ts';
import type { GPT } from './gpt.ts';

/** One sequence of a batch: `targets[i]` is what follows `tokens[i]`; a negative target is not predicted. */
export interface TokenSequence {
  readonly tokens: ArrayLike<number>;
  readonly targets: ArrayLike<number>;
}

export type TokenBatch = readonly TokenSequence[];

export interface LossShape {
  /** Sequences of a batch. */
  readonly batchSize: number;
  /** Tokens of a sequence. */
  readonly length: number;
}

/** What a trainer needs of a recorded loss: where to put a batch, and where its results stand. */
export interface LossProgram<Batch> extends LossInputs {
  /** Rows whose losses and hits `losses` and `correct` hold. */
  readonly rows: number;
  /** The number of targets in a batch that are predicted. */
  count(batch: Batch): number;
  /** Checks a batch and writes it. A training run also reads `scale`. */
  write(plan: Plan, batch: Batch): void;
}

/** A model that says after each token how likely every other one is to follow. */
export type LanguageModel = Pick<GPT, 'config' | 'headTable' | 'forward'>;

/**
 * Records the forward pass and the language-model loss (GPT-1 paper, equation 1) on `graph`.
 * Shorter sequences, and batches of fewer, are padded behind their end, where a causal model does not see it.
 */
export function languageModelProgram(
  model: LanguageModel,
  graph: Graph,
  { batchSize, length }: LossShape,
  dropoutSource?: DropoutSource,
): LossProgram<TokenBatch> {
  const { vocabSize, blockSize } = model.config;
  if (length > blockSize) throw new RangeError(`loss: expected at most ${blockSize} tokens of context, got ${length}.`);
  const rows = batchSize * length;
  const inputs = fixedRows(graph, batchSize, length, dropoutSource);
  const targets = graph.region('targets', rows);
  const scale = graph.region('loss scale', 1);
  const losses = graph.region('losses', rows);
  const correct = graph.region('correct', rows);
  const hidden = model.forward(graph, inputs).at(-1)!;
  languageModelLoss(graph, 'lm_head', hidden, graph.parameter(model.headTable), { targets, scale, losses, correct });

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
    plan.write(targets, paddedTargets);
  }

  return { rows, targets, scale, losses, correct, count: countTargets, write };
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

/** The language-model head: from hidden states to a score for each token of the vocabulary. */
import type { Graph } from '../../graph/graph.ts';
import { type LossInputs, languageModelLoss } from '../../graph/ops/loss.ts';
import { linear } from '../../graph/ops/matmul.ts';
import { maxOf, type Tensor } from '../../graph/tensor.ts';
import type { Head } from './head.ts';

/** What transformers calls the output layer. */
const NAME = 'lm_head';

/** Scores each token of the vocabulary as the next one, by a table [vocabulary, width]. */
export class LanguageModelHead implements Head {
  /** What it computes. */
  readonly kind = 'language-model';
  /** Whole name of the table [vocabulary, width] whose rows are the tokens' output vectors. */
  readonly table: string;

  /** @param table the token embedding, where both share it (Press & Wolf 2017) */
  constructor(table: string) {
    this.table = table;
  }

  /** Logits: hidden [rows, width] → [rows, vocabulary]. */
  record(graph: Graph, hidden: Tensor, label = NAME): Tensor {
    return linear(graph, label, hidden, graph.parameter(this.table), { transposed: true });
  }

  /**
   * Records the loss of each row, and in a training graph its gradients; logits of a whole batch never exist.
   * @returns where a run writes the targets of the rows, and reads their losses
   */
  recordLoss(graph: Graph, hidden: Tensor): LossInputs {
    const rows = maxOf(hidden.rows);
    const inputs = {
      targets: graph.region('targets', rows),
      scale: graph.region('loss scale', 1),
      losses: graph.region('losses', rows),
      correct: graph.region('correct', rows),
    };
    languageModelLoss(graph, NAME, hidden, graph.parameter(this.table), inputs);
    return inputs;
  }
}

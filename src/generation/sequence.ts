/** One sequence while it is generated: its window into the model's context, what was generated, and why it ended. */
import { type LikelyToken, likeliestTokens, logProbability } from '../models/token-probabilities.ts';
import type { RowGroup } from '../nn/rows.ts';
import type { CheckedGeneration, FinishReason } from './options.ts';
import type { Sampler } from './sampler.ts';

/**
 * What was generated from one prompt.
 *
 * @example
 * ```ts
 * const sequence: GeneratedSequence = { tokenIds: [257, 640], finishReason: 'length', promptTokens: 4 };
 * ```
 */
export interface GeneratedSequence {
  /** The generated ids, without the prompt and without the token that ended them. */
  readonly tokenIds: readonly number[];
  /** For each of them the logarithm of its probability under the model; only with the option `logProbabilities`. */
  readonly logProbabilities?: readonly number[];
  /** `length`: maxNewTokens; `stop`: a stop token or string; `endOfText`; `context`: the context was full. */
  readonly finishReason: FinishReason;
  /** Tokens of the prompt; 1 for an empty one, which starts from `endOfText`. */
  readonly promptTokens: number;
}

export class Sequence {
  /** Its place among the prompts. */
  readonly index: number;
  readonly promptTokens: number;
  readonly tokenIds: number[] = [];
  readonly logProbabilities: number[] = [];
  /** What could have come where the last token came. */
  alternatives: readonly LikelyToken[] = [];
  finishReason: FinishReason | undefined;
  /** Which block of the cache it has. */
  slot = -1;
  readonly #seen: Set<number>;
  readonly #blockSize: number;
  /** The tokens of its context, of which the first `#cached` are in the cache. */
  #window: number[];
  #cached = 0;

  constructor(index: number, prompt: ArrayLike<number>, blockSize: number) {
    this.index = index;
    this.promptTokens = prompt.length;
    this.#blockSize = blockSize;
    this.#window = Array.from(prompt).slice(-blockSize);
    this.#seen = new Set(Array.from(prompt));
  }

  /** The tokens that the model has not read yet. Call it once before each run. */
  nextRows(): RowGroup {
    if (this.#window.length > this.#blockSize) {
      // Positions are part of what is cached, so the tokens that stay are read again.
      this.#window = this.#window.slice(-Math.max(1, this.#blockSize >> 1));
      this.#cached = 0;
    }
    const rows = { tokens: this.#window.slice(this.#cached), position: this.#cached, slot: this.slot };
    this.#cached = this.#window.length;
    return rows;
  }

  /** Draws the next token; returns undefined when it ends the sequence and is not part of it. */
  draw(logits: Float32Array, sampler: Sampler, options: CheckedGeneration): number | undefined {
    const id = sampler.sample(logits, {
      sequence: options.sequence + this.index,
      position: this.promptTokens + this.tokenIds.length,
      seen: this.#seen,
    });
    if (options.stopTokenIds.has(id)) this.finishReason = 'stop';
    else if (options.stopAtEndOfText && id === options.endOfText) this.finishReason = 'endOfText';
    if (this.finishReason) return undefined;
    this.tokenIds.push(id);
    if (options.logProbabilities) this.logProbabilities.push(logProbability(logits, id));
    if (options.alternatives > 0) this.alternatives = likeliestTokens(logits, options.alternatives);
    this.#window.push(id);
    this.#seen.add(id);
    if (this.tokenIds.length === options.maxNewTokens) this.finishReason = 'length';
    else if (options.whenFull === 'stop' && this.#window.length > this.#blockSize) this.finishReason = 'context';
    return id;
  }

  result({ logProbabilities }: CheckedGeneration): GeneratedSequence {
    return {
      tokenIds: this.tokenIds,
      ...(logProbabilities ? { logProbabilities: this.logProbabilities } : {}),
      finishReason: this.finishReason!,
      promptTokens: this.promptTokens,
    };
  }
}

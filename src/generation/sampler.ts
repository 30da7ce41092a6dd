/**
 * From logits to a token: repetition penalty, temperature, top-k, top-p, draw, in this order (that of transformers).
 * A draw is a function of the seed, the sequence and the position, and everything else is done in order of ids, so equal
 * logits give equal tokens on every engine.
 */
import { LanewiseError } from '../errors.ts';
import { exp, Random } from '../random/index.ts';
import { type CheckedSampling, checkSampling, type SamplingOptions } from './options.ts';
import { type Border, findBorder, orderedKeys } from './top.ts';

/**
 * What a draw belongs to.
 *
 * @example
 * ```ts
 * const place: Place = { sequence: 0, position: 12, seen: new Set([464, 3290]) };
 * ```
 */
export interface Place {
  /** Which sequence, 0 … 2^32 − 1. */
  readonly sequence: number;
  /** Which token of the sequence, prompt included. */
  readonly position: number;
  /** The tokens that the sequence already holds, each once; for the repetition penalty. Default none. */
  readonly seen?: Iterable<number>;
}

/**
 * Chooses tokens from logits by one set of options.
 *
 * Repetition penalty: logits of seen tokens are divided by it when positive and multiplied when negative (Keskar et al. 2019,
 * "CTRL", §4.1). Top-p: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration", §3.1. Where tokens are equally
 * likely, lower ids come first.
 *
 * @example
 * ```ts
 * const sampler = new Sampler(4, { temperature: 0.8, topK: 2, seed: 7 });
 * sampler.sample(new Float32Array([0, 3, 2, 1]), { sequence: 0, position: 5 }); // 1 or 2
 * ```
 */
export class Sampler {
  readonly options: CheckedSampling;
  readonly #random: Random;
  // Scratch of one value for each token.
  readonly #scores: Float32Array;
  readonly #keys: Uint32Array;
  readonly #weights: Float64Array;

  /**
   * @param vocabSize - Ids that may be drawn: 0 … vocabSize − 1. Logits from there on are ignored.
   * @param options - See {@link SamplingOptions}.
   * @throws {ConfigError} For an option out of its range.
   */
  constructor(vocabSize: number, options: SamplingOptions = {}) {
    this.options = checkSampling(options);
    this.#random = new Random(this.options.seed);
    this.#scores = new Float32Array(vocabSize);
    this.#keys = new Uint32Array(vocabSize);
    this.#weights = new Float64Array(vocabSize);
  }

  /**
   * Chooses a token.
   *
   * @param logits - At least vocabSize of them; −∞ excludes a token. They stay as they are.
   * @param place - What the draw belongs to.
   * @returns Its id.
   * @throws {LanewiseError} For logits that are NaN or ∞, or all −∞.
   */
  sample(logits: Float32Array, { sequence, position, seen = [] }: Place): number {
    const { temperature, topK, topP, repetitionPenalty } = this.options;
    const scores = this.#scores;
    const size = scores.length;
    scores.set(logits.subarray(0, size));
    if (repetitionPenalty !== 1)
      for (const id of seen) {
        const score = scores[id]!;
        scores[id] = score > 0 ? score / repetitionPenalty : score * repetitionPenalty;
      }
    const best = likeliest(scores);
    if (temperature === 0 || topK === 1) return best;

    const weights = this.#weights;
    const max = scores[best]!;
    if (topK < size || topP < 1) orderedKeys(this.#keys, scores);
    for (let id = 0; id < size; id++) weights[id] = 1;
    if (topK < size) this.#keep(findBorder(this.#keys, undefined, topK));
    let sum = 0;
    for (let id = 0; id < size; id++)
      if (weights[id] !== 0) sum += weights[id] = exp((scores[id]! - max) / temperature);
    if (topP < 1) {
      this.#keep(findBorder(this.#keys, weights, topP * sum));
      sum = 0;
      for (let id = 0; id < size; id++) sum += weights[id]!;
    }

    const target = this.#random.uniform(sequence, position) * sum;
    let reached = 0;
    let last = best;
    for (let id = 0; id < size; id++) {
      if (weights[id] === 0) continue;
      last = id;
      reached += weights[id]!;
      if (reached > target) return id;
    }
    return last; // only where rounding made `target` as large as the sum
  }

  /** Sets the weights of all tokens below the border to 0. */
  #keep({ key, ties }: Border): void {
    const keys = this.#keys;
    let left = ties;
    for (let id = 0; id < keys.length; id++)
      if (keys[id]! < key || (keys[id] === key && left-- <= 0)) this.#weights[id] = 0;
  }
}

/** The first of the largest scores. */
function likeliest(scores: Float32Array): number {
  let best = 0;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id]!;
    if (!(score < Number.POSITIVE_INFINITY)) throw notFinite(score, id);
    if (score > scores[best]!) best = id;
  }
  if (scores[best] === Number.NEGATIVE_INFINITY) throw notFinite(scores[best]!, best);
  return best;
}

function notFinite(logit: number, id: number): LanewiseError {
  return new LanewiseError(
    `generate: expected finite logits, got ${logit} for token ${id}. The weights are damaged, or their training diverged.`,
  );
}

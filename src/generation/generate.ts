/** Generation on token ids: prompts share a session, each run of the model appends one token to every one of them. */
import { ConfigError } from '../errors.ts';
import { checkTokens } from '../models/check-tokens.ts';
import { Session } from '../models/inference/session.ts';
import type { CausalLM } from '../models/model.ts';
import type { LikelyToken } from '../models/token-probabilities.ts';
import { type CheckedGeneration, checkGeneration, type GenerateOptions } from './options.ts';
import { Sampler } from './sampler.ts';
import { type GeneratedSequence, Sequence } from './sequence.ts';

/**
 * A token, as it is generated.
 *
 * @example
 * ```ts
 * const token: GeneratedToken = { index: 0, tokenId: 640 };
 * ```
 */
export interface GeneratedToken {
  /** Which of the prompts it continues. */
  readonly index: number;
  readonly tokenId: number;
  /** The logarithm of its probability under the model; only with the option `logProbabilities`. */
  readonly logProbability?: number;
  /** The likeliest tokens in its place, itself maybe among them; only with the option `alternatives`. */
  readonly alternatives?: readonly LikelyToken[];
}

/**
 * How long it took. Prefill is reading the prompts, with the first token of each; decode are the tokens after it, with what
 * is read again when a context slides. Time between asking for tokens does not count.
 *
 * @example
 * ```ts
 * const { decodeTokensPerSecond } = summary;
 * ```
 */
export interface GenerationSpeed {
  /** Tokens of prompts that were read. */
  readonly prefillTokens: number;
  readonly prefillSeconds: number;
  /** 0 where the host's clock stands still, as on some edge hosts. */
  readonly prefillTokensPerSecond: number;
  /** Tokens drawn after the first of each prompt. */
  readonly decodeTokens: number;
  readonly decodeSeconds: number;
  readonly decodeTokensPerSecond: number;
}

/**
 * What a generation returns at its end.
 *
 * @example
 * ```ts
 * const generation = generateTokens(model, [[15496]], { maxNewTokens: 3 });
 * let step = await generation.next();
 * while (!step.done) step = await generation.next();
 * step.value.sequences[0].tokenIds; // three ids
 * ```
 */
export interface GenerationSummary extends GenerationSpeed {
  /** In the order of the prompts. */
  readonly sequences: readonly GeneratedSequence[];
}

/** What the text level adds. */
export interface TextControl {
  /** Only ids below are drawn. */
  readonly vocabSize: number;
  /** Sequences that are to end with what they have, by index; filled while tokens are taken. */
  readonly stopped: Set<number>;
}

/**
 * Generates tokens from prompts of tokens.
 *
 * Prompts are read, and continue, side by side in one cache that is allocated when the first token is asked for and freed at
 * the end, on `break`, and on errors. Each gives the tokens that it would give alone (see the option `sequence`).
 *
 * @param model - Any causal language model.
 * @param prompts - Token ids, each 0 … vocabSize − 1; an empty prompt starts from `endOfText`.
 * @param options - See {@link GenerateOptions}.
 * @returns Tokens as they come, for every step in the order of the prompts; at the end a {@link GenerationSummary}.
 * @throws {ConfigError} For an option out of its range, an empty prompt without `endOfText`, a prompt that is too long.
 * @throws {DataError} For ids outside the vocabulary.
 * @throws {MemoryError} When the cache does not fit beside the model.
 * @throws {DisposedError} When the model was disposed.
 * @example
 * ```ts
 * for await (const { tokenId } of generateTokens(model, [[464, 3290]], { maxNewTokens: 20, temperature: 0 }))
 *   console.log(tokenId);
 * ```
 */
export function generateTokens(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, GenerationSummary, undefined> {
  const { vocabSize, eosTokenId } = model.config;
  const checked = checkGeneration(options, vocabSize, eosTokenId);
  return run(model, prompts, checked, { vocabSize, stopped: new Set() });
}

/** `generateTokens` with checked options. @internal */
export function run(
  model: CausalLM,
  prompts: readonly ArrayLike<number>[],
  options: CheckedGeneration,
  control: TextControl,
): AsyncGenerator<GeneratedToken, GenerationSummary, undefined> {
  const sequences = prompts.map((prompt, index) => startSequence(model, prompt, index, options));
  return steps(model, sequences, options, control);
}

function startSequence(
  model: CausalLM,
  prompt: ArrayLike<number>,
  index: number,
  { endOfText, whenFull }: CheckedGeneration,
): Sequence {
  const { blockSize, vocabSize } = model.config;
  if (prompt.length === 0 && endOfText === undefined)
    throw new ConfigError(
      'generate: expected a prompt of at least one token, got none. Give some text, or set endOfText to the id that begins a document.',
    );
  const tokens = prompt.length === 0 ? [endOfText!] : prompt;
  if (whenFull === 'stop' && tokens.length > blockSize)
    throw new ConfigError(
      `generate: expected a prompt of at most ${blockSize} tokens, got ${tokens.length}. Shorten it, or use whenFull: 'slide'.`,
    );
  checkTokens(tokens, vocabSize, 'generate');
  return new Sequence(index, tokens, blockSize);
}

async function* steps(
  model: CausalLM,
  sequences: readonly Sequence[],
  options: CheckedGeneration,
  { vocabSize, stopped }: TextControl,
): AsyncGenerator<GeneratedToken, GenerationSummary, undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  const prefill: Clock = { tokens: 0, seconds: 0 };
  const decode: Clock = { tokens: 0, seconds: 0 };
  if (sequences.length === 0) return summarize(sequences, options, prefill, decode);

  const sampler = new Sampler(vocabSize, options);
  const places = Math.min(options.batchSize, sequences.length);
  const longest = Math.max(...sequences.map(({ promptTokens }) => promptTokens));
  // The last token is drawn and never read.
  const capacity = Math.min(model.config.blockSize, longest + options.maxNewTokens - 1);
  const session = await Session.create(model, { sequences: places, capacity, cacheDtype: options.cacheDtype });
  const memory = new Float32Array(places * model.config.vocabSize);

  /**
   * Lets the model read what is new in some sequences, and draws the next token of each. These are yielded by a loop: of an error
   * thrown into `yield*` of an array newer engines make a TypeError.
   */
  async function advance(some: readonly Sequence[], clock: Clock): Promise<GeneratedToken[]> {
    const start = performance.now();
    const groups = some.map((sequence) => sequence.nextRows());
    const logits = await session.append(groups, { signal, logits: memory });
    signal?.throwIfAborted();
    const tokens = some.flatMap((sequence, i): GeneratedToken[] => {
      const tokenId = sequence.draw(logits[i]!, sampler, options);
      if (tokenId === undefined) return [];
      const { index, alternatives } = sequence;
      const logProbability = sequence.logProbabilities.at(-1);
      return [
        {
          index,
          tokenId,
          ...(logProbability === undefined ? {} : { logProbability }),
          ...(options.alternatives > 0 ? { alternatives } : {}),
        },
      ];
    });
    clock.tokens += clock === prefill ? groups.reduce((sum, group) => sum + group.tokens.length, 0) : some.length;
    clock.seconds += (performance.now() - start) / 1000;
    return tokens;
  }

  try {
    const waiting = [...sequences];
    const freeSlots = Array.from({ length: places }, (_, slot) => slot);
    let active: Sequence[] = [];
    while (active.length + waiting.length > 0) {
      signal?.throwIfAborted();
      if (active.length > 0) for (const token of await advance(active, decode)) yield token;
      const admitted = waiting.splice(0, freeSlots.length);
      for (const sequence of admitted) sequence.slot = freeSlots.shift()!;
      if (admitted.length > 0) for (const token of await advance(admitted, prefill)) yield token;
      active = [...active, ...admitted].filter((sequence) => {
        if (stopped.has(sequence.index)) sequence.finishReason = 'stop';
        if (sequence.finishReason) freeSlots.push(sequence.slot);
        return !sequence.finishReason;
      });
    }
    return summarize(sequences, options, prefill, decode);
  } finally {
    session.dispose();
  }
}

/** Tokens and the seconds that they took. */
interface Clock {
  tokens: number;
  seconds: number;
}

function summarize(
  sequences: readonly Sequence[],
  options: CheckedGeneration,
  prefill: Clock,
  decode: Clock,
): GenerationSummary {
  const rate = ({ tokens, seconds }: Clock) => (seconds > 0 ? tokens / seconds : 0);
  return {
    sequences: sequences.map((sequence) => sequence.result(options)),
    prefillTokens: prefill.tokens,
    prefillSeconds: prefill.seconds,
    prefillTokensPerSecond: rate(prefill),
    decodeTokens: decode.tokens,
    decodeSeconds: decode.seconds,
    decodeTokensPerSecond: rate(decode),
  };
}

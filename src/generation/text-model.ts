/** Where model and tokenizer meet: text in, text out. */
import { ConfigError } from '../errors.ts';
import type { ScoreOptions, ScoreResult } from '../evaluation/score.ts';
import type { Directory } from '../files/index.ts';
import type { CausalLM } from '../models/model.ts';
import type { SaveOptions } from '../models/save.ts';
import type { StreamDecoder, Tokenizer } from '../tokenizer/index.ts';
import { type GenerationSpeed, type GenerationSummary, run } from './generate.ts';
import { checkGeneration, type GenerateOptions } from './options.ts';
import type { GeneratedSequence } from './sequence.ts';
import { StopStrings } from './stop-strings.ts';

/**
 * How text is generated.
 *
 * @example
 * ```ts
 * const options: TextOptions = { maxNewTokens: 64, temperature: 0.8, topK: 40, seed: 7, stop: ['\n\n', 'Q:'] };
 * ```
 */
export interface TextOptions extends GenerateOptions {
  /** Strings that end the text; they are not part of it. Default none. */
  readonly stop?: string | readonly string[] | undefined;
}

/**
 * What was generated from one prompt, as text.
 *
 * @example
 * ```ts
 * const { text, finishReason } = await gpt.complete('Once upon a time');
 * ```
 */
export interface GeneratedText extends GeneratedSequence {
  /** The generated text: all pieces joined, without the prompt and without a stop string, whose tokens `tokenIds` has. */
  readonly text: string;
}

/** One prompt's text and how long it took. */
export interface TextResult extends GeneratedText, GenerationSpeed {}

/** Several prompts' texts and how long they took together. */
export interface BatchResult extends GenerationSpeed {
  /** In the order of the prompts. */
  readonly sequences: readonly GeneratedText[];
}

/**
 * A piece of text, as it is generated from one of several prompts.
 *
 * @example
 * ```ts
 * for await (const { index, piece } of gpt.generateBatch(['One', 'Two'])) texts[index] += piece;
 * ```
 */
export interface TextPiece {
  /** Which of the prompts it continues. */
  readonly index: number;
  /** Never empty, never ends inside a character. */
  readonly piece: string;
}

/**
 * A language model that reads and writes text.
 *
 * @example
 * ```ts
 * const gpt = await loadModel('./gpt2');
 * for await (const piece of gpt.generate('Once upon a time', { maxNewTokens: 64, seed: 7 })) process.stdout.write(piece);
 * gpt.dispose();
 * ```
 */
export class TextModel {
  /** The model, which takes token ids. */
  readonly model: CausalLM;
  /** What makes token ids of text, and text of token ids. */
  readonly tokenizer: Tokenizer;

  /**
   * @param model - Any causal language model; it belongs to the TextModel from now on, which disposes it.
   * @param tokenizer - The tokenizer that it was trained with.
   * @throws {ConfigError} When the tokenizer has more tokens than the model.
   */
  constructor(model: CausalLM, tokenizer: Tokenizer) {
    const { vocabSize } = model.config;
    if (tokenizer.vocabSize > vocabSize)
      throw new ConfigError(
        `TextModel: expected a tokenizer of at most ${vocabSize} tokens, got ${tokenizer.vocabSize}. Use the tokenizer that the model was trained with.`,
      );
    this.model = model;
    this.tokenizer = tokenizer;
  }

  /**
   * Continues a text, piece by piece. Stop early with `break`, or with the option `signal`.
   *
   * @param prompt - The text to continue; an empty one starts from the tokenizer's end-of-text token. Special tokens that are
   * spelled out in it count as such.
   * @param options - See {@link TextOptions}. Default: 128 tokens at temperature 1.
   * @returns Pieces of text, none of which ends inside a character; at the end a {@link TextResult}.
   * @throws {ConfigError} For an option out of its range, or an empty prompt where there is no end-of-text token.
   * @throws {DisposedError} When the model was disposed.
   * @example
   * ```ts
   * for await (const piece of gpt.generate('Once upon a time', { maxNewTokens: 64, temperature: 0.8, topK: 40, seed: 7 }))
   *   process.stdout.write(piece);
   * ```
   */
  generate(prompt: string, options: TextOptions = {}): AsyncGenerator<string, TextResult, undefined> {
    return onlyPieces(this.generateBatch([prompt], options));
  }

  /**
   * Continues several texts at once; each gives the text that it would give alone (see the option `sequence`).
   *
   * @param prompts - The texts to continue.
   * @param options - As for `generate`.
   * @returns Pieces as they come, each with the index of its prompt; at the end a {@link BatchResult}.
   * @throws As `generate`.
   * @example
   * ```ts
   * const texts = ['', ''];
   * for await (const { index, piece } of gpt.generateBatch(['One day', 'At night'])) texts[index] += piece;
   * ```
   */
  generateBatch(
    prompts: readonly string[],
    options: TextOptions = {},
  ): AsyncGenerator<TextPiece, BatchResult, undefined> {
    const { vocabSize, endOfText } = this.tokenizer;
    const checked = checkGeneration(options, vocabSize, endOfText, { stop: true });
    const texts = prompts.map(() => new TextStream(this.tokenizer.stream(), new StopStrings(options.stop)));
    const stopped = new Set<number>();
    const ids = prompts.map((prompt) => this.tokenizer.encode(prompt));
    return decode(run(this.model, ids, checked, { vocabSize, stopped }), texts, stopped);
  }

  /**
   * Continues a text and gives the whole result.
   *
   * @param prompt - As for `generate`.
   * @param options - As for `generate`.
   * @throws As `generate`.
   * @example
   * ```ts
   * const { text } = await gpt.complete('The capital of France is', { maxNewTokens: 5, temperature: 0 });
   * ```
   */
  async complete(prompt: string, options: TextOptions = {}): Promise<TextResult> {
    const generation = this.generate(prompt, options);
    for (;;) {
      const step = await generation.next();
      if (step.done) return step.value;
    }
  }

  /**
   * Measures how well the model predicts a text.
   *
   * @param text - The text, of two tokens or more; its first token is not predicted.
   * @param options - See {@link ScoreOptions}.
   * @returns Loss and perplexity for each token.
   * @throws {DataError} When the text has fewer than two tokens.
   * @example
   * ```ts
   * const { perplexity } = await gpt.score('The quick brown fox jumps over the lazy dog.');
   * ```
   */
  async score(text: string, options: ScoreOptions = {}): Promise<ScoreResult> {
    const { scoreTokens } = await import('../evaluation/score.ts');
    return scoreTokens(this.model, [this.tokenizer.encode(text)], options);
  }

  /**
   * Saves model and tokenizer as a folder that `loadModel` and Hugging Face transformers read.
   *
   * @param target - Path, URL or Directory.
   * @param options - As for `Model.save`.
   */
  save(target: string | URL | Directory, options: Omit<SaveOptions, 'tokenizer'> = {}): Promise<void> {
    return this.model.save(target, { ...options, tokenizer: this.tokenizer });
  }

  /** A table of layers, shapes, parameters and bytes, and the size of the tokenizer. */
  summary(): string {
    return `${this.model.summary()}\nTokenizer: ${this.tokenizer.vocabSize.toLocaleString('en-US')} tokens`;
  }

  /** Gives the model's memory and threads back; disposing again does nothing. */
  dispose(): void {
    this.model.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The text of one sequence, as its tokens come. */
class TextStream {
  text = '';
  readonly #decoder: StreamDecoder;
  readonly #stop: StopStrings;

  constructor(decoder: StreamDecoder, stop: StopStrings) {
    this.#decoder = decoder;
    this.#stop = stop;
  }

  get stopped(): boolean {
    return this.#stop.found;
  }

  push(id: number): string {
    return this.#add(this.#stop.push(this.#decoder.push(id)));
  }

  flush(): string {
    return this.#add(this.#stop.push(this.#decoder.flush()) + this.#stop.flush());
  }

  #add(piece: string): string {
    this.text += piece;
    return piece;
  }
}

/** Turns tokens into text, and ends sequences at their stop strings. */
async function* decode(
  tokens: ReturnType<typeof run>,
  texts: readonly TextStream[],
  stopped: Set<number>,
): AsyncGenerator<TextPiece, BatchResult, undefined> {
  let summary: GenerationSummary;
  try {
    for (;;) {
      const step = await tokens.next();
      if (step.done) {
        summary = step.value;
        break;
      }
      const { index, tokenId } = step.value;
      const piece = texts[index]!.push(tokenId);
      if (texts[index]!.stopped) stopped.add(index);
      if (piece !== '') yield { index, piece };
    }
  } finally {
    await tokens.return(undefined as never); // frees the cache when the reader stops early
  }
  for (const [index, text] of texts.entries()) {
    const piece = text.flush();
    if (piece !== '') yield { index, piece };
  }
  return {
    ...summary,
    sequences: summary.sequences.map((sequence, index) => ({ text: texts[index]!.text, ...sequence })),
  };
}

/** The pieces of a generation from one prompt. */
async function* onlyPieces(
  generation: AsyncGenerator<TextPiece, BatchResult, undefined>,
): AsyncGenerator<string, TextResult, undefined> {
  try {
    for (;;) {
      const step = await generation.next();
      if (step.done) {
        const { sequences, ...speed } = step.value;
        return { ...sequences[0]!, ...speed };
      }
      yield step.value.piece;
    }
  } finally {
    await generation.return(undefined as never);
  }
}

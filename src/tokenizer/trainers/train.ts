/**
 * Makes a tokenizer from text: byte-level BPE learned from it, its characters, or plain bytes.
 */
import { TokenizerError } from '../../errors.ts';
import { specialToken } from '../added-tokens.ts';
import { byteCharactersInOrder, byteOfCode, characterOfByte } from '../byte-alphabet.ts';
import { ByteWords, hashOf } from '../byte-words.ts';
import { byteLevelHeader, characterHeader, withModel } from '../headers.ts';
import { problem, show } from '../json-checks.ts';
import type { MergePair } from '../models/merge-list.ts';
import { END_OF_TEXT } from '../pipeline.ts';
import { nextWord } from '../splitters/byte-level-words.ts';
import type { Tokenizer } from '../tokenizer.ts';
import { readTokenizer } from '../tokenizer-json.ts';
import { BpeTrainer, type WordCounts } from './train-bpe.ts';

/**
 * What kind of tokenizer to make, and how large.
 *
 * @example
 * ```ts
 * import type { TrainTokenizerOptions } from 'lanewise/tokenizer';
 * const options: TrainTokenizerOptions = { kind: 'byte-level-bpe', vocabSize: 1024, minFrequency: 2 };
 * ```
 */
export interface TrainTokenizerOptions {
  /**
   * `byte-level-bpe`: BPE over the bytes of words; any text can be encoded. `char`: one token per character of the training text, no
   * others. `byte`: 256 tokens, nothing is learned.
   */
  readonly kind: 'byte-level-bpe' | 'char' | 'byte';
  /**
   * The number of tokens, special ones included. For byte-level-bpe it is required, at least 256 + the special tokens; the
   * vocabulary stays smaller when the text has too few pairs. For char and byte it is an upper limit, default none.
   */
  readonly vocabSize?: number;
  /** Special tokens; they get the first ids. Default `['<|endoftext|>']` for byte-level-bpe, none for char and byte. */
  readonly specialTokens?: readonly string[];
  /** byte-level-bpe: a pair must occur this often in the text to become a token. Default 0, which means once. */
  readonly minFrequency?: number;
  /** Stops the training: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How long the training runs before it lets other work of the page or server go on, milliseconds. */
const SLICE_MS = 30;

const UTF8 = new TextEncoder();

/**
 * Trains a tokenizer. Deterministic; byte-level BPE gives the vocabulary and merges of Hugging Face's `BpeTrainer` with
 * the byte alphabet. Special tokens in the training text are counted like other text, as there: pass documents one by one
 * rather than joined with `<|endoftext|>`.
 *
 * @param texts - The training text, or documents (also as an async iterable, which is read once).
 * @param options - See {@link TrainTokenizerOptions}.
 * @returns The tokenizer. The work is done in slices of about 30 ms, so that a page stays responsive.
 * @throws {TokenizerError} When an option is out of its range, or the text has no characters to learn.
 * @example
 * ```ts
 * import { trainTokenizer } from 'lanewise/tokenizer';
 * const tokenizer = await trainTokenizer('to be or not to be', { kind: 'byte-level-bpe', vocabSize: 260 });
 * tokenizer.vocabSize; // 260
 * ```
 */
export async function trainTokenizer(
  texts: string | Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
): Promise<Tokenizer> {
  const special = options.specialTokens ?? (options.kind === 'byte-level-bpe' ? [END_OF_TEXT] : []);
  checkOptions(options, special);
  const documents = typeof texts === 'string' ? [texts] : texts;
  if (options.kind === 'byte-level-bpe') return trainByteLevelBPE(documents, options, special);
  if (options.kind === 'char') return trainCharacters(documents, options, special);
  const bytes = Array.from({ length: 256 }, (_, byte) => characterOfByte(byte));
  return finish([...new Set([...special, ...bytes])], [], special, options);
}

function checkOptions({ kind, vocabSize, minFrequency }: TrainTokenizerOptions, special: readonly string[]): void {
  const wrong = (expected: string, got: unknown, hint: string) => problem('trainTokenizer', expected, show(got), hint);
  if (kind !== 'byte-level-bpe' && kind !== 'char' && kind !== 'byte') {
    throw wrong('kind "byte-level-bpe", "char" or "byte"', kind, 'Name one of them.');
  }
  if (new Set(special).size !== special.length || special.includes('')) {
    throw wrong('special tokens that differ and are not empty', special, 'Name each once.');
  }
  if (minFrequency !== undefined && !(minFrequency >= 0)) {
    throw wrong('minFrequency of 0 or more', minFrequency, 'Leave it out for no limit.');
  }
  if (kind !== 'byte-level-bpe' && vocabSize === undefined) return;
  const least = kind === 'char' ? 1 : 256 + special.filter((token) => !isByteCharacter(token)).length;
  if (vocabSize === undefined || !Number.isInteger(vocabSize) || vocabSize < least || vocabSize > 2 ** 21) {
    const expected = `vocabSize, an integer of ${least} … ${2 ** 21}`;
    throw wrong(expected, vocabSize, 'The bytes and the special tokens are part of the vocabulary.');
  }
}

function isByteCharacter(token: string): boolean {
  return token.length === 1 && byteOfCode(token.charCodeAt(0)) >= 0;
}

async function trainByteLevelBPE(
  documents: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
  special: readonly string[],
): Promise<Tokenizer> {
  const pause = new Pause(options.signal);
  const counts = await countWords(documents, pause);
  const alphabet = byteCharactersInOrder();
  const initial = [...new Set([...special, ...alphabet])];
  const idOfByte = Array.from({ length: 256 }, (_, byte) => initial.indexOf(characterOfByte(byte)));
  const trainer = new BpeTrainer(initial, idOfByte, counts);
  while (trainer.vocab.size < options.vocabSize! && trainer.next(options.minFrequency ?? 0)) await pause.ifDue();
  return finish([...trainer.vocab.keys()], trainer.merges, special, options);
}

/** Counts the words of the documents. */
async function countWords(documents: Iterable<string> | AsyncIterable<string>, pause: Pause): Promise<WordCounts> {
  const table = new ByteWords(1 << 12);
  const counts: number[] = [];
  for await (const text of documents) {
    const bytes = UTF8.encode(checkText(text));
    for (let pos = 0, words = 0; pos < bytes.length; words++) {
      const next = nextWord(bytes, pos, bytes.length);
      const hash = hashOf(bytes, pos, next);
      const index = table.find(bytes, pos, next, hash);
      if (index >= 0) counts[index]!++;
      else table.add(bytes, pos, next, hash, counts.push(1) - 1);
      pos = next;
      if ((words & 0xffff) === 0xffff) await pause.ifDue();
    }
    await pause.ifDue();
  }
  return { words: table.wordsByValue(), counts };
}

async function trainCharacters(
  documents: Iterable<string> | AsyncIterable<string>,
  options: TrainTokenizerOptions,
  special: readonly string[],
): Promise<Tokenizer> {
  const pause = new Pause(options.signal);
  const seen = new Set<number>();
  for await (const text of documents) {
    checkText(text);
    for (let pos = 0; pos < text.length; ) {
      const code = text.codePointAt(pos)!;
      if (code >= 0xd800 && code < 0xe000) {
        const got = `half a surrogate pair at index ${pos}`;
        throw problem('trainTokenizer', 'whole characters', got, 'Read the text as UTF-8, and do not cut it by index.');
      }
      seen.add(code);
      pos += code > 0xffff ? 2 : 1;
    }
    await pause.ifDue();
  }
  if (seen.size === 0) {
    throw problem('trainTokenizer', 'text with at least one character', 'none', 'Pass the text to learn from.');
  }
  const characters = [...seen].sort((a, b) => a - b).map((code) => String.fromCodePoint(code));
  return finish([...new Set([...special, ...characters])], [], special, options);
}

function checkText(text: unknown): string {
  if (typeof text === 'string') return text;
  throw new TypeError(`trainTokenizer: expected texts as strings, got ${show(text)}.`);
}

function finish(
  tokens: readonly string[],
  merges: readonly MergePair[],
  special: readonly string[],
  { kind, vocabSize }: TrainTokenizerOptions,
): Tokenizer {
  if (vocabSize !== undefined && tokens.length > vocabSize) {
    throw new TokenizerError(
      `trainTokenizer: expected at most vocabSize ${vocabSize} tokens, got ${tokens.length}. Raise vocabSize or leave it out.`,
    );
  }
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  const added = special.map((content) => specialToken(content, vocab.get(content)!));
  const header = kind === 'char' ? characterHeader(added) : byteLevelHeader(added, kind === 'byte-level-bpe');
  const where = 'trainTokenizer';
  return readTokenizer(withModel(header, Object.fromEntries(vocab), merges), {
    root: where,
    vocab: where,
    merges: where,
  });
}

/** Lets other work go on every now and then. */
class Pause {
  private readonly signal: AbortSignal | undefined;
  private last = performance.now();

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }

  /** Waits for other work if this one has gone on for long enough; throws when it was cancelled. */
  async ifDue(): Promise<void> {
    this.signal?.throwIfAborted();
    if (performance.now() - this.last < SLICE_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.signal?.throwIfAborted();
    this.last = performance.now();
  }
}

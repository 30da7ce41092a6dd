/**
 * Tokenizers from their files: `tokenizer.json`, or `vocab.json` with `merges.txt`. Whoever reads files calls these with
 * their text; nothing here does input or output.
 */
import { specialToken } from './added-tokens.ts';
import { assemble } from './assemble.ts';
import { END_OF_TEXT } from './base.ts';
import { describe, describeJson, readVocab } from './describe.ts';
import { byteLevelHeader, gpt1Header } from './headers.ts';
import { parseJson } from './json-checks.ts';
import { problem, show } from './problem.ts';
import { parseMergesTxt } from './read-merges.ts';
import type { Tokenizer, TokenizerJSON } from './tokenizer.ts';

/**
 * Makes a tokenizer from Hugging Face's `tokenizer.json`.
 *
 * Reads byte-level BPE (GPT-2 and what is trained like it), GPT-1 BPE, and the character and byte tokenizers that this
 * package writes. `truncation` and `padding` are ignored; anything else that would change the ids is an error.
 *
 * @param json - The text of the file, or the object that it holds.
 * @returns A tokenizer that gives the same ids as Hugging Face's `tokenizers`.
 * @throws {TokenizerError} When the file is damaged, or describes a tokenizer of another type (the message names it).
 * @example
 * ```ts
 * import { tokenizerFromJSON, trainTokenizer } from 'lanewise/tokenizer';
 * const trained = await trainTokenizer('to be or not to be', { kind: 'char' });
 * const tokenizer = tokenizerFromJSON(JSON.stringify(trained));
 * tokenizer.decode(tokenizer.encode('not to be')); // 'not to be'
 * ```
 */
export function tokenizerFromJSON(json: string | TokenizerJSON | Readonly<Record<string, unknown>>): Tokenizer {
  return assemble(describeJson(json));
}

/**
 * What `tokenizerFromVocabAndMerges` cannot read from the two files.
 *
 * @example
 * ```ts
 * import type { VocabAndMergesOptions } from 'lanewise/tokenizer';
 * const options: VocabAndMergesOptions = { kind: 'gpt2' };
 * ```
 */
export interface VocabAndMergesOptions {
  /** `gpt2`: byte-level BPE; `openai-gpt`: GPT-1's, lower case with `</w>`. */
  readonly kind: 'gpt2' | 'openai-gpt';
  /**
   * Tokens of the vocabulary that are special. Default: `<|endoftext|>` for gpt2 and `<unk>` for openai-gpt, where the
   * vocabulary has it.
   */
  readonly specialTokens?: readonly string[];
}

/**
 * Makes a tokenizer from `vocab.json` and `merges.txt`, the files that GPT-1 and GPT-2 were published with.
 *
 * @param vocabJson - The text of `vocab.json` (OpenAI's `encoder.json`): token → id.
 * @param mergesTxt - The text of `merges.txt` (OpenAI's `vocab.bpe`): one merge a line.
 * @param options - The kind of tokenizer; the files do not say it.
 * @returns A tokenizer that gives the same ids as `GPT2TokenizerFast` or `OpenAIGPTTokenizerFast` of `transformers`.
 * @throws {TokenizerError} When a file is damaged, or the two do not belong together.
 * @example
 * ```ts
 * import { tokenizerFromVocabAndMerges } from 'lanewise/tokenizer';
 * const tokenizer = tokenizerFromVocabAndMerges('{"a":0,"b":1,"ab":2}', '#version: 0.2\na b\n', { kind: 'gpt2' });
 * tokenizer.encode('aba'); // Uint32Array [2, 0]
 * ```
 */
export function tokenizerFromVocabAndMerges(
  vocabJson: string,
  mergesTxt: string,
  options: VocabAndMergesOptions,
): Tokenizer {
  const isGpt1 = options.kind === 'openai-gpt';
  if (!isGpt1 && options.kind !== 'gpt2') {
    throw problem(
      'tokenizerFromVocabAndMerges',
      'kind "gpt2" or "openai-gpt"',
      show(options.kind),
      'Name one of them.',
    );
  }
  const vocab = readVocab(parseJson(vocabJson, 'vocab.json'), 'vocab.json');
  const merges = parseMergesTxt(mergesTxt, 'merges.txt');
  const usual = isGpt1 ? UNKNOWN : END_OF_TEXT;
  const special = (options.specialTokens ?? (vocab.has(usual) ? [usual] : [])).map((content) => {
    const id = vocab.get(content);
    if (id !== undefined) return specialToken(content, id);
    throw problem(
      'vocab.json',
      `the special token ${show(content)}`,
      'no such token',
      'Leave it out of specialTokens.',
    );
  });
  const header = isGpt1 ? gpt1Header(special, vocab.has(UNKNOWN) ? UNKNOWN : null) : byteLevelHeader(special, true);
  return assemble(describe(header, vocab, merges, 'vocab.json', 'merges.txt'));
}

/** What GPT-1 has for characters that it does not know. */
const UNKNOWN = '<unk>';

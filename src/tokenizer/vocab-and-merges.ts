/**
 * Tokenizers from `vocab.json` and `merges.txt`, the files that came before `tokenizer.json`. They hold the model alone:
 * the parts around it follow from the kind, which the caller names.
 */
import { specialToken } from './added-tokens.ts';
import { byteLevelHeader, withModel, wordSuffixHeader } from './headers.ts';
import { asId, asObject, type JsonObject, parseJson, problem, show } from './json-checks.ts';
import { parseMergesTxt } from './models/merge-list.ts';
import { END_OF_TEXT } from './pipeline.ts';
import type { AddedToken, Tokenizer } from './tokenizer.ts';
import { readTokenizer } from './tokenizer-json.ts';

/**
 * What `tokenizerFromVocabAndMerges` cannot read from the two files.
 *
 * @example
 * ```ts
 * import type { VocabAndMergesOptions } from 'lanewise/tokenizer';
 * const options: VocabAndMergesOptions = { kind: 'byte-level-bpe' };
 * ```
 */
export interface VocabAndMergesOptions {
  /**
   * `byte-level-bpe`: over the bytes of words, any text can be encoded (the tokenizer of GPT-2). `word-suffix-bpe`: over
   * the characters of words in lower case, with `</w>` after the last one (the tokenizer of GPT-1).
   */
  readonly kind: 'byte-level-bpe' | 'word-suffix-bpe';
  /**
   * Tokens of the vocabulary that are special. Default: `<|endoftext|>` for byte-level-bpe and `<unk>` for
   * word-suffix-bpe, where the vocabulary has it.
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
 * const tokenizer = tokenizerFromVocabAndMerges('{"a":0,"b":1,"ab":2}', '#version: 0.2\na b\n', {
 *   kind: 'byte-level-bpe',
 * });
 * tokenizer.encode('aba'); // Uint32Array [2, 0]
 * ```
 */
export function tokenizerFromVocabAndMerges(
  vocabJson: string,
  mergesTxt: string,
  options: VocabAndMergesOptions,
): Tokenizer {
  const { kind } = options;
  if (kind !== 'byte-level-bpe' && kind !== 'word-suffix-bpe') {
    const hint = 'Name one of them.';
    throw problem('tokenizerFromVocabAndMerges', 'kind "byte-level-bpe" or "word-suffix-bpe"', show(kind), hint);
  }
  const vocab = asObject(parseJson(vocabJson, 'vocab.json'), 'vocab.json');
  const merges = parseMergesTxt(mergesTxt, 'merges.txt');
  const usual = kind === 'byte-level-bpe' ? END_OF_TEXT : UNKNOWN;
  const names = options.specialTokens ?? (Object.hasOwn(vocab, usual) ? [usual] : []);
  const special = names.map((content) => specialTokenOf(vocab, content));
  const header =
    kind === 'byte-level-bpe'
      ? byteLevelHeader(special, true)
      : wordSuffixHeader(special, Object.hasOwn(vocab, UNKNOWN) ? UNKNOWN : null);
  return readTokenizer(withModel(header, vocab, merges), {
    root: 'vocab.json',
    vocab: 'vocab.json',
    merges: 'merges.txt',
  });
}

/** What stands for characters that a vocabulary of the kind word-suffix-bpe does not know. */
const UNKNOWN = '<unk>';

function specialTokenOf(vocab: JsonObject, content: string): AddedToken {
  if (!Object.hasOwn(vocab, content)) {
    const hint = 'Leave it out of specialTokens.';
    throw problem('vocab.json', `the special token ${show(content)}`, 'no such token', hint);
  }
  return specialToken(content, asId(vocab[content], `vocab.json[${show(content)}]`));
}

/**
 * Tokenizers from their files, for those who can wait: GPT-2's kind is at hand, and a program loads the other kinds when a file
 * describes one.
 */
import { readByteLevel } from './byte-level-bpe.ts';
import { describeJson } from './describe.ts';
import type { VocabAndMergesOptions } from './load.ts';
import type { Tokenizer } from './tokenizer.ts';

/** As `tokenizerFromJSON`, with the text of the file. */
export async function openTokenizerJSON(text: string): Promise<Tokenizer> {
  const description = describeJson(text);
  if (description.splitter === 'ByteLevel') return readByteLevel(description);
  const { tokenizerFromDescription } = await import('./load.ts');
  return tokenizerFromDescription(description);
}

/** As `tokenizerFromVocabAndMerges`. */
export async function openVocabAndMerges(
  vocabJson: string,
  mergesTxt: string,
  options: VocabAndMergesOptions,
): Promise<Tokenizer> {
  const { tokenizerFromVocabAndMerges } = await import('./load.ts');
  return tokenizerFromVocabAndMerges(vocabJson, mergesTxt, options);
}

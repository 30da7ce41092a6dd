/**
 * Tokenizers from their files, for those who can wait: the usual GPT-2's is at hand, and a program loads what reads the others when
 * a file describes one.
 */
import type { VocabAndMergesOptions } from './load.ts';
import { readPlainByteLevel } from './plain-byte-level.ts';
import type { Tokenizer } from './tokenizer.ts';

/** What reads all others. */
const load = () => import('./load.ts');

/** As `tokenizerFromJSON`, with the text of the file. */
export async function openTokenizerJSON(text: string): Promise<Tokenizer> {
  return readPlainByteLevel(text) ?? (await load()).tokenizerFromJSON(text);
}

/** As `tokenizerFromVocabAndMerges`. */
export async function openVocabAndMerges(
  vocabJson: string,
  mergesTxt: string,
  options: VocabAndMergesOptions,
): Promise<Tokenizer> {
  return (await load()).tokenizerFromVocabAndMerges(vocabJson, mergesTxt, options);
}

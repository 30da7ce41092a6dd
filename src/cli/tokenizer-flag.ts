/** The flag `--tokenizer` of `train`: a kind to learn from the data, or a folder to read. */
import { InvalidArgumentError } from 'commander';
import { openDirectory } from '../files/index.ts';
import { loadTokenizer } from '../generation/index.ts';
import {
  type Tokenizer,
  type TrainTokenizerOptions,
  trainTokenizer,
  type VocabAndMergesOptions,
} from '../tokenizer/index.ts';

/** What to learn, or the folder to read. */
export type TokenizerFlag = { readonly learn: TrainTokenizerOptions } | { readonly folder: string };

/** 256 bytes and <|endoftext|>. */
const SMALLEST_BPE = 257;
const LARGEST_BPE = 2 ** 21;

/** Parses `char`, `byte`, `bpe:1024`, or a folder. */
export function parseTokenizerFlag(text: string): TokenizerFlag {
  if (text === 'char' || text === 'byte') return { learn: { kind: text } };
  if (!text.startsWith('bpe:') && text !== 'bpe') return { folder: text };
  const vocabSize = /^bpe:\d{1,8}$/.test(text) ? Number(text.slice(4)) : Number.NaN;
  if (!(vocabSize >= SMALLEST_BPE && vocabSize <= LARGEST_BPE))
    throw new InvalidArgumentError(`Expected bpe:N with N from ${SMALLEST_BPE} to ${LARGEST_BPE}.`);
  return { learn: { kind: 'byte-level-bpe', vocabSize } };
}

/**
 * The tokenizer of a folder; undefined where one is to be learned.
 * @param kind what `vocab.json` is where no config.json says it
 */
export async function readTokenizer(
  flag: TokenizerFlag,
  kind: VocabAndMergesOptions['kind'],
): Promise<Tokenizer | undefined> {
  if (!('folder' in flag)) return undefined;
  return loadTokenizer(flag.folder, (await hasConfig(flag.folder)) ? {} : { kind });
}

/** Learns the tokenizer of the flag from the text. */
export function learnTokenizer(flag: TokenizerFlag, text: string, signal: AbortSignal): Promise<Tokenizer> {
  if ('folder' in flag) return loadTokenizer(flag.folder);
  return trainTokenizer(text, { ...flag.learn, signal });
}

async function hasConfig(folder: string): Promise<boolean> {
  return (await openDirectory(folder)).has('config.json');
}

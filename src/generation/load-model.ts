/** Reading a folder with model and tokenizer. */
import { type Directory, openDirectory } from '../files/index.ts';
import { type ModelFamily, readConfig } from '../formats/index.ts';
import { type LoadOptions, loadGPT } from '../models/load.ts';
import { type Tokenizer, tokenizerFromJSON, tokenizerFromVocabAndMerges } from '../tokenizer/index.ts';
import { TextModel } from './text-model.ts';

/**
 * Loads a GPT-1 or GPT-2 with its tokenizer from a Hugging Face folder: `config.json`, `model.safetensors` (also in shards),
 * and `tokenizer.json` or `vocab.json` with `merges.txt`.
 *
 * @param source - Path, URL, Directory, or the files of a browser's picker.
 * @param options - `dtype` (how weights are kept: `f32`, `f16`, `bf16`, `q8` or `q4`; default as stored), `trainable` (keep them so
 * that a Trainer can change them), `threads` (1…256, default the machine's, at most 16) and `precision` (`fast` or `exact`,
 * default `fast`).
 * @returns The model, ready to generate. Dispose it to give its memory back.
 * @throws {CheckpointError} When a file is missing, damaged, or does not fit the others.
 * @throws {TokenizerError} When the tokenizer's files are damaged or of an unknown kind.
 * @throws {MemoryError} When the weights do not fit in WebAssembly's 4 GiB.
 * @example
 * ```ts
 * const gpt = await loadModel('./gpt2', { threads: 4 });
 * const { text } = await gpt.complete('Once upon a time');
 * ```
 */
export async function loadModel(
  source: string | URL | Directory | Iterable<File>,
  options: LoadOptions = {},
): Promise<TextModel> {
  const directory = await openDirectory(source);
  const { family, config } = await readConfig(directory);
  // The tokenizer first: it takes milliseconds to find that it is missing, and the weights seconds to load.
  const tokenizer = await loadTokenizer(directory, family);
  if (tokenizer.vocabSize > config.vocabSize)
    throw (await loadErrors()).tokenizerTooLarge(directory, config, tokenizer);
  return new TextModel(await loadGPT(directory, options), tokenizer);
}

/** What goes wrong, in words that most programs never need. */
const loadErrors = () => import('./load-errors.ts');

/**
 * Loads the tokenizer of a folder.
 *
 * @param source - As for `loadModel`.
 * @param family - What `vocab.json` and `merges.txt` belong to, since they do not say it. Default `gpt2`.
 * @throws {CheckpointError} When the folder has no tokenizer.
 * @throws {TokenizerError} When its files are damaged or of an unknown kind.
 * @example
 * ```ts
 * const tokenizer = await loadTokenizer('./gpt2');
 * ```
 */
export async function loadTokenizer(
  source: string | URL | Directory | Iterable<File>,
  family: ModelFamily = 'gpt2',
): Promise<Tokenizer> {
  const directory = await openDirectory(source);
  if (await directory.has('tokenizer.json')) return tokenizerFromJSON(await directory.readText('tokenizer.json'));
  if ((await directory.has('vocab.json')) && (await directory.has('merges.txt')))
    return tokenizerFromVocabAndMerges(await directory.readText('vocab.json'), await directory.readText('merges.txt'), {
      kind: family === 'gpt2' ? 'byte-level-bpe' : 'word-suffix-bpe',
    });
  throw (await loadErrors()).tokenizerMissing(directory);
}

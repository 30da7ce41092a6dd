/** Reading a folder with model and tokenizer. */
import { CheckpointError } from '../errors.ts';
import { type Directory, openDirectory } from '../files/index.ts';
import { type LoadOptions, loadCausalLM } from '../models/load.ts';
import { readConfig, readFamily } from '../models/read-config.ts';
import {
  type Tokenizer,
  tokenizerFromJSON,
  tokenizerFromVocabAndMerges,
  type VocabAndMergesOptions,
} from '../tokenizer/index.ts';
import { TextModel } from './text-model.ts';

/**
 * Loads a language model with its tokenizer from a Hugging Face folder: `config.json`, `model.safetensors` (also in shards),
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
  const { config } = await readConfig(directory);
  // The tokenizer first: it takes milliseconds to find that it is missing, and the weights seconds to load.
  const tokenizer = await loadTokenizer(directory);
  if (tokenizer.vocabSize > config.vocabSize) {
    throw new CheckpointError(
      `${directory.name}: expected a tokenizer of at most ${config.vocabSize} tokens (config.json: vocab_size), got ${tokenizer.vocabSize}. Use the tokenizer that the model was trained with.`,
      { file: `${directory.name}/config.json` },
    );
  }
  return new TextModel(await loadCausalLM(directory, options), tokenizer);
}

/**
 * Loads the tokenizer of a folder.
 *
 * @param source - As for `loadModel`.
 * @param options - What `vocab.json` and `merges.txt` are, since they do not say it (see `tokenizerFromVocabAndMerges`). Default: what
 * the family of the folder's config.json has, else `byte-level-bpe`.
 * @returns The tokenizer.
 * @throws {CheckpointError} When the folder has no tokenizer.
 * @throws {TokenizerError} When its files are damaged or of an unknown kind.
 * @example
 * ```ts
 * const tokenizer = await loadTokenizer('./gpt2');
 * ```
 */
export async function loadTokenizer(
  source: string | URL | Directory | Iterable<File>,
  options: Partial<VocabAndMergesOptions> = {},
): Promise<Tokenizer> {
  // A family's name, in earlier versions: ignored, it would be a tokenizer of another kind.
  if (typeof options === 'string')
    throw new TypeError(`loadTokenizer: expected options, got ${JSON.stringify(options)}. Pass { kind }.`);
  const directory = await openDirectory(source);
  if (await directory.has('tokenizer.json')) return tokenizerFromJSON(await directory.readText('tokenizer.json'));
  if ((await directory.has('vocab.json')) && (await directory.has('merges.txt')))
    return tokenizerFromVocabAndMerges(await directory.readText('vocab.json'), await directory.readText('merges.txt'), {
      ...options,
      kind: options.kind ?? (await readFamily(directory))?.vocabulary ?? 'byte-level-bpe',
    });
  throw new CheckpointError(
    `${directory.name}: expected tokenizer.json, or vocab.json and merges.txt, got neither. Copy them from where the model comes from, or use loadCausalLM for token ids alone.`,
    { file: directory.name },
  );
}

/**
 * The one reader of `tokenizer.json`. Every field that has a meaning is checked: one that this package does not implement is
 * an error, since ignoring it would give other ids than its author's. Ignored are `version`, `truncation` and `padding`:
 * `data/` cuts and pads.
 */
import { readAddedTokens } from './added-tokens.ts';
import { readDecoder } from './decoders/read.ts';
import { asObject, type JsonObject, parseJson } from './json-checks.ts';
import { modelType, readModel } from './models/read.ts';
import type { Normalizer } from './normalizers/normalizer.ts';
import { readNormalizer } from './normalizers/read.ts';
import { Pipeline } from './pipeline.ts';
import { readSplitter } from './splitters/read.ts';
import { readTemplate } from './templates/read.ts';
import type { AddedToken, Tokenizer, TokenizerJSON } from './tokenizer.ts';
import { Vocabulary } from './vocabulary.ts';

/**
 * Makes a tokenizer from Hugging Face's `tokenizer.json`.
 *
 * Reads models of type BPE with any of these parts: normalizers BertNormalizer, Lowercase, NFC, NFD, NFKC, NFKD,
 * Prepend, Replace (of plain strings); pre-tokenizers ByteLevel, BertPreTokenizer; post-processors ByteLevel, TemplateProcessing; decoders
 * ByteLevel, BPEDecoder, Fuse; and Sequence of them. `truncation` and `padding` are ignored; anything else that would
 * change the ids is an error.
 *
 * @param json - The text of the file, or the object that it holds.
 * @returns A tokenizer that gives the same ids as Hugging Face's `tokenizers`.
 * @throws {TokenizerError} When the file is damaged, or has a part of another type (the message names it).
 * @example
 * ```ts
 * import { tokenizerFromJSON, trainTokenizer } from 'lanewise/tokenizer';
 * const trained = await trainTokenizer('to be or not to be', { kind: 'char' });
 * const tokenizer = tokenizerFromJSON(JSON.stringify(trained));
 * tokenizer.decode(tokenizer.encode('not to be')); // 'not to be'
 * ```
 */
export function tokenizerFromJSON(json: string | TokenizerJSON | Readonly<Record<string, unknown>>): Tokenizer {
  const where = 'tokenizer.json';
  const root = asObject(typeof json === 'string' ? parseJson(json, where) : json, where);
  return readTokenizer(root, { root: where, vocab: `${where}: model.vocab`, merges: `${where}: model.merges` });
}

/** Where the parts of a tokenizer stand, for messages. */
export interface Places {
  /** The name of the file. */
  readonly root: string;
  readonly vocab: string;
  readonly merges: string;
}

/**
 * Makes a tokenizer from the object of tokenizer.json, wherever its parts come from.
 *
 * @throws {TokenizerError} As `tokenizerFromJSON`.
 */
export function readTokenizer(root: JsonObject, places: Places): Tokenizer {
  const where = places.root;
  const at = `${where}: model`;
  const fields = asObject(root.model, at);
  const type = modelType(fields, at);
  const { vocab: _vocab, merges: _merges, ...settings } = fields;
  const header: JsonObject = structuredClone({ ...root, model: { ...settings, type } });
  const added = readAddedTokens(header.added_tokens, `${where}: added_tokens`);
  const model = readModel(type, fields, { model: at, ...places });
  const vocabulary = new Vocabulary(model.ids, added, where);
  const normalizer = readNormalizer(header.normalizer, `${where}: normalizer`);
  return new Pipeline({
    header,
    added,
    vocabulary,
    model,
    normalizer,
    splitter: readSplitter(header.pre_tokenizer, `${where}: pre_tokenizer`),
    template: readTemplate(header.post_processor, `${where}: post_processor`, vocabulary),
    decoder: readDecoder(header.decoder, `${where}: decoder`, decodedTokens(vocabulary, added, normalizer)),
  });
}

/** The tokens as they are decoded: an added token that stands for normalized text as that text, as Hugging Face's do. */
function decodedTokens(
  { tokens }: Vocabulary,
  added: readonly AddedToken[],
  normalizer: Normalizer | undefined,
): readonly string[] {
  const normalized = added.filter((token) => token.normalized);
  if (!normalizer || normalized.length === 0) return tokens;
  const decoded = [...tokens];
  for (const { id, content } of normalized) decoded[id] = normalizer.normalize(content);
  return decoded;
}

/**
 * The tokenizer.json of a GPT-2 as libraries write it, read without a word: whatever stands there otherwise, for better or worse, is
 * for `load.ts`, which a program then loads, and which reads it or says what is wrong.
 */
import { ByteLevelBPE } from './byte-level-bpe.ts';
import { mergeTable, pairOf } from './merge-list.ts';
import { isId } from './problem.ts';
import type { AddedToken, Tokenizer } from './tokenizer.ts';

/** Fields of `model`, and the values at which they change nothing. */
export const PLAIN_MODEL: readonly (readonly [field: string, plain: readonly unknown[]])[] = [
  ['dropout', [null, undefined, 0]],
  ['continuing_subword_prefix', [null, undefined, '']],
  ['byte_fallback', [undefined, false]],
  ['ignore_merges', [undefined, false]],
  ['fuse_unk', [undefined, false]],
];

/** What a token of `added_tokens` says beside content and id. */
const FLAGS = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'] as const;

/** Fields of tokenizer.json, of which nothing is known. */
interface Unchecked {
  readonly [field: string]: Unchecked | null | undefined;
}

/** Strings of a JSON text. */
function countStrings(json: string): number {
  return json.match(/"(?:[^"\\]|\\.)*"/g)!.length;
}

/** The tokenizer that this text describes; undefined when it has anything unusual. */
export function readPlainByteLevel(text: string): Tokenizer | undefined {
  try {
    const root = JSON.parse(text) as Unchecked;
    const { vocab: ids, merges: pairs, ...model } = root.model!;
    const { pre_tokenizer: splitter, post_processor: processor } = root;
    const vocab = new Map(Object.entries(ids as unknown as Record<string, number>));
    const merges = (pairs as unknown as unknown[]).map(pairOf);
    const tokens = (root.added_tokens ?? []) as unknown as AddedToken[];
    const added = tokens.map(({ id, content, single_word, lstrip, rstrip, normalized, special }) => {
      return { id, content, single_word, lstrip, rstrip, normalized, special };
    });
    const { unk_token, end_of_word_suffix } = model as { unk_token?: string | null; end_of_word_suffix?: unknown };
    const unknownId = vocab.get(unk_token!);
    const { add_prefix_space, use_regex = true } = splitter as Record<string, unknown>;
    const single = processor?.single as unknown as Unchecked[] | undefined;
    const usual = [
      countStrings(text) === countStrings(JSON.stringify(root)), // no key stands twice
      PLAIN_MODEL.every(([field, plain]) => plain.includes(model[field])),
      (model.type as unknown) === 'BPE' && (end_of_word_suffix ?? '') === '' && !Array.isArray(ids),
      (splitter!.type as unknown) === 'ByteLevel' && (root.decoder!.type as unknown) === 'ByteLevel',
      (root.normalizer ?? null) === null,
      (processor ?? null) === null ||
        (processor!.type as unknown) === 'ByteLevel' ||
        (single!.length === 1 && single![0]!.Sequence !== undefined),
      typeof add_prefix_space === 'boolean' && typeof use_regex === 'boolean',
      (unk_token ?? null) === null || (typeof unk_token === 'string' && unknownId !== undefined),
      [...vocab.values(), ...added.map(({ id }) => id)].every(isId),
      added.every((token) => typeof token.content === 'string' && token.content !== ''),
      added.every((token) => FLAGS.every((flag) => typeof token[flag] === 'boolean')),
      new Set(added.map(({ content }) => content)).size === added.length,
      merges.every(Boolean),
    ].every(Boolean);
    const table = usual ? mergeTable(merges as [string, string][], vocab) : undefined;
    if (!table) return undefined;
    const parts = { where: 'tokenizer.json', header: { ...root, model }, vocab, added };
    return new ByteLevelBPE(parts, table, {
      addPrefixSpace: add_prefix_space as boolean,
      splitWords: use_regex as boolean,
      unknownId,
    });
  } catch {
    return undefined;
  }
}

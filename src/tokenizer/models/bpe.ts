/**
 * Byte pair encoding: a word → the ids of its characters, the last one with a suffix where there is one (`</w>`) → merges.
 * Sennrich, Haddow, Birch 2016 (https://aclanthology.org/P16-1162); details as in huggingface/tokenizers `models/bpe/model.rs`.
 * Without merges there is a token for each character. For byte-level text `byte-level-encoder.ts` does the same, faster.
 */
import type { IdBuffer } from '../id-buffer.ts';
import { asString, booleanOr, type JsonObject, problem, show, unsupported } from '../json-checks.ts';
import { readVocab } from '../vocabulary.ts';
import { type MergePair, readMerges } from './merge-list.ts';
import { type MergeTable, WordMerger } from './merges.ts';
import type { Model, ModelPlaces } from './model.ts';

/** What distinguishes one such model from another, beside vocabulary and merges. */
export interface BPESettings {
  /** What is appended to the last character of each word, `</w>`; the empty string for nothing. */
  readonly suffix: string;
  /** The id for a character that has no token, if there is one. */
  readonly unknownId: number | undefined;
  /** Whether characters in a row that have no token are one unknown token. */
  readonly fuseUnknown: boolean;
}

/** Words longer than this are merged anew each time, UTF-16 units. */
const LONGEST_CACHED_WORD = 64;
/** When it holds this many words the cache starts over. */
const MOST_CACHED_WORDS = 1 << 15;

/** What half a surrogate pair counts as. */
const REPLACEMENT = 0xfffd;

export class BPE implements Model {
  readonly ids: ReadonlyMap<string, number>;
  readonly merges: MergeTable;
  readonly settings: BPESettings;
  readonly #merger: WordMerger;
  readonly #cache = new Map<string, Int32Array>();
  /** Made when the first word comes. */
  #characters: CharacterIds | undefined;
  #symbols = new Int32Array(LONGEST_CACHED_WORD);

  constructor(ids: ReadonlyMap<string, number>, merges: MergeTable, settings: BPESettings) {
    this.ids = ids;
    this.merges = merges;
    this.settings = settings;
    this.#merger = new WordMerger(merges);
  }

  encode(word: string, out: IdBuffer, index?: number): void {
    // Without merges there is nothing to remember.
    const isCached = this.merges.size > 0 && word.length <= LONGEST_CACHED_WORD;
    const cached = isCached ? this.#cache.get(word) : undefined;
    const ids = cached ?? this.#merge(word, index);
    out.append(ids);
    if (!isCached || cached) return;
    if (this.#cache.size >= MOST_CACHED_WORDS) this.#cache.clear();
    this.#cache.set(word, ids.slice());
  }

  /** The ids of a word, in memory that the next word takes. */
  #merge(word: string, index: number | undefined): Int32Array {
    const characters = this.#findSymbols(word, index);
    return this.#symbols.subarray(0, this.#merger.merge(this.#symbols, characters));
  }

  /** Leaves the ids of a word's characters in `symbols` and returns their number. */
  #findSymbols(word: string, index: number | undefined): number {
    const { suffix, unknownId, fuseUnknown } = this.settings;
    if (word.length > this.#symbols.length) this.#symbols = new Int32Array(word.length);
    this.#characters ??= new CharacterIds(this.ids);
    const symbols = this.#symbols;
    const characters = this.#characters;
    let count = 0;
    let wasUnknown = false;
    for (let pos = 0; pos < word.length; ) {
      const code = word.codePointAt(pos)!;
      const next = pos + (code > 0xffff ? 2 : 1);
      const character = isSurrogate(code) ? REPLACEMENT : code;
      const isPlain = suffix === '' || next < word.length;
      const id = isPlain ? characters.get(character) : this.ids.get(String.fromCodePoint(character) + suffix);
      if (id !== undefined) {
        symbols[count++] = id;
      } else if (unknownId === undefined) {
        throw unknownCharacter(code, index === undefined ? undefined : index + pos);
      } else if (!(fuseUnknown && wasUnknown)) {
        symbols[count++] = unknownId;
      }
      wasUnknown = id === undefined;
      pos = next;
    }
    return count;
  }

  mergePairs(): MergePair[] {
    const tokens: string[] = [];
    for (const [token, id] of this.ids) tokens[id] = token;
    return this.merges.pairs().map(([left, right]) => [tokens[left]!, tokens[right]!]);
  }
}

/** Code points below this have a place in a table: Latin letters, digits, punctuation. */
const TABLE_SIZE = 0x250;

/** Ids of the tokens that are one character, by code point. */
class CharacterIds {
  /** −1 where there is none. */
  readonly #table = new Int32Array(TABLE_SIZE).fill(-1);
  readonly #others = new Map<number, number>();

  constructor(ids: ReadonlyMap<string, number>) {
    for (const [token, id] of ids) {
      const code = token.codePointAt(0);
      if (code === undefined || token.length !== (code > 0xffff ? 2 : 1)) continue;
      if (code < TABLE_SIZE) this.#table[code] = id;
      else this.#others.set(code, id);
    }
  }

  get(code: number): number | undefined {
    if (code >= TABLE_SIZE) return this.#others.get(code);
    const id = this.#table[code]!;
    return id < 0 ? undefined : id;
  }
}

function isSurrogate(code: number): boolean {
  return code >= 0xd800 && code < 0xe000;
}

function unknownCharacter(code: number, index: number | undefined): Error {
  const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const shown = isSurrogate(code) ? 'half a surrogate pair' : JSON.stringify(String.fromCodePoint(code));
  return problem(
    'encode',
    'characters of the vocabulary',
    `${shown} (${name})${index === undefined ? '' : ` at index ${index}`}`,
    'Train the tokenizer on text with this character, or remove it.',
  );
}

/** Fields of `model` that are supported only where they change nothing. */
const WITHOUT_EFFECT: readonly (readonly [field: string, values: readonly unknown[]])[] = [
  ['dropout', [null, undefined, 0]],
  ['continuing_subword_prefix', [null, undefined, '']],
  ['byte_fallback', [undefined, false]],
  ['ignore_merges', [undefined, false]],
];

/** Reads the fields of a model of type BPE. */
export function readBPE(fields: JsonObject, places: ModelPlaces): BPE {
  const where = places.model;
  for (const [field, values] of WITHOUT_EFFECT) {
    if (!values.includes(fields[field])) {
      const expected = values.filter((value) => value !== undefined).map(show);
      throw unsupported(`${where}.${field}`, expected.join(' or '), fields[field]);
    }
  }
  const ids = readVocab(fields.vocab, places.vocab);
  return new BPE(ids, readMerges(fields.merges, ids, places.merges), {
    suffix: asString(fields.end_of_word_suffix ?? '', `${where}.end_of_word_suffix`),
    unknownId: readUnknownId(fields.unk_token ?? undefined, ids, `${where}.unk_token`),
    fuseUnknown: booleanOr(fields.fuse_unk, false, `${where}.fuse_unk`),
  });
}

function readUnknownId(token: unknown, ids: ReadonlyMap<string, number>, where: string): number | undefined {
  if (token === undefined) return undefined;
  const id = ids.get(asString(token, where));
  if (id !== undefined) return id;
  throw problem(where, 'a token of the vocabulary', show(token), 'Add it to the vocabulary.');
}

/**
 * GPT-1's tokenizer: prepared text (`bert-text.ts`) → words → characters, the last with the suffix `</w>` → merges.
 * Lower case only, and characters outside the vocabulary become `<unk>`: decoding gives a readable text, not the same one.
 * Source: openai/finetune-transformer-lm `text_utils.py`, in the form of Hugging Face's `tokenizers`.
 */
import { type TokenizerParts, VocabularyTokenizer } from './base.ts';
import { type BertNormalizer, bertNormalize, bertWords } from './bert-text.ts';
import { type Description, expectSuffix, expectType, mergesOf } from './describe.ts';
import type { IdBuffer } from './id-buffer.ts';
import { asBoolean, asObject, asString, booleanOr, unsupported } from './json-checks.ts';
import { writeMergesTxt } from './merge-list.ts';
import { type MergeTable, WordMerger } from './merges.ts';
import { problem, show } from './problem.ts';
import type { AddedToken, DecodeOptions, StreamDecoder, VocabAndMerges } from './tokenizer.ts';

/** What distinguishes one such tokenizer from another, beside its vocabulary. */
export interface Gpt1Settings {
  /** How text is prepared; undefined leaves it as it is. */
  readonly normalizer: BertNormalizer | undefined;
  /** What marks the end of a word, `</w>`. */
  readonly suffix: string;
  /** The id for a character that has no token, if there is one. */
  readonly unknownId: number | undefined;
}

/** Words longer than this are merged anew each time, UTF-16 units. */
const LONGEST_CACHED_WORD = 64;
/** When it holds this many words the cache starts over. */
const MOST_CACHED_WORDS = 1 << 15;

export class Gpt1BPE extends VocabularyTokenizer {
  private readonly merges: MergeTable;
  private readonly merger: WordMerger;
  private readonly settings: Gpt1Settings;
  private readonly cache = new Map<string, Int32Array>();

  constructor(parts: TokenizerParts, merges: MergeTable, settings: Gpt1Settings) {
    super(parts);
    this.merges = merges;
    this.merger = new WordMerger(merges);
    this.settings = settings;
  }

  protected encodeText(text: string, _offset: number, out: IdBuffer): void {
    const { normalizer } = this.settings;
    // Half a surrogate pair is no character: as in UTF-8 it counts as U+FFFD.
    const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
    bertWords(normalizer ? bertNormalize(whole, normalizer) : whole, (word) => {
      const ids = this.cache.get(word) ?? this.encodeWord(word);
      out.reserve(ids.length);
      for (const id of ids) out.ids[out.length++] = id;
    });
  }

  private encodeWord(word: string): Int32Array {
    const characters = Array.from(word);
    const last = characters.length - 1;
    const symbols = Int32Array.from(characters, (character, i) =>
      this.symbolOf(i === last ? character + this.settings.suffix : character),
    );
    const ids = symbols.slice(0, this.merger.merge(symbols, symbols.length));
    if (word.length <= LONGEST_CACHED_WORD) {
      if (this.cache.size >= MOST_CACHED_WORDS) this.cache.clear();
      this.cache.set(word, ids);
    }
    return ids;
  }

  private symbolOf(token: string): number {
    const id = this.vocabulary.modelIds.get(token) ?? this.settings.unknownId;
    if (id !== undefined) return id;
    const hint = 'Use a vocabulary with an unk_token.';
    throw problem('encode', 'a character of the vocabulary', `${show(token)}, which has no token`, hint);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { tokens } = this.vocabulary;
    const { suffix } = this.settings;
    const visible = this.visibleIds(ids, options);
    let text = '';
    visible.forEach((id, i) => {
      text += tokens[id]!.replaceAll(suffix, i + 1 < visible.length ? ' ' : '');
    });
    return text;
  }

  stream(options: DecodeOptions = {}): StreamDecoder {
    const { suffix } = this.settings;
    // The suffix is a space only if another token follows: from the first suffix on, a token waits for the next.
    let waiting = '';
    return {
      push: (id) => {
        const token = this.vocabulary.tokens[this.checkId(id, 'push')]!;
        if (this.isHidden(id, options)) return '';
        const certain = waiting.replaceAll(suffix, ' ');
        const at = token.indexOf(suffix);
        waiting = at < 0 ? '' : token.slice(at);
        return certain + (at < 0 ? token : token.slice(0, at));
      },
      flush: () => {
        const rest = waiting.replaceAll(suffix, '');
        waiting = '';
        return rest;
      },
    };
  }

  toVocabAndMerges(): VocabAndMerges {
    return { vocabJson: this.vocabulary.toVocabJson(), mergesTxt: writeMergesTxt(this.mergePairs()) };
  }

  protected override mergePairs(): [string, string][] {
    const { tokens } = this.vocabulary;
    return this.merges.pairs().map(([left, right]) => [tokens[left]!, tokens[right]!]);
  }
}

/** The tokenizer that files describe by `pre_tokenizer` BertPreTokenizer. */
export function readGpt1(description: Description): Gpt1BPE {
  const { where, header, added, unknownId } = description;
  expectType(description, 'normalizer', [undefined, 'BertNormalizer']);
  expectType(description, 'decoder', ['BPEDecoder']);
  const suffix = asString(asObject(header.decoder, where).suffix, `${where}: decoder.suffix`);
  if (suffix === '') throw unsupported(`${where}: decoder.suffix`, 'a suffix such as "</w>"', suffix);
  expectSuffix(description, suffix);
  const normalizer = readBertNormalizer(header.normalizer, `${where}: normalizer`);
  if (normalizer) refuseNormalizedTokens(added, where);
  return new Gpt1BPE(description, mergesOf(description), { normalizer, suffix, unknownId });
}

function readBertNormalizer(value: unknown, where: string): BertNormalizer | undefined {
  if (value === null || value === undefined) return undefined;
  const fields = asObject(value, where);
  const lowercase = asBoolean(fields.lowercase, `${where}.lowercase`);
  return {
    cleanText: asBoolean(fields.clean_text, `${where}.clean_text`),
    handleChineseChars: asBoolean(fields.handle_chinese_chars, `${where}.handle_chinese_chars`),
    // Where it is not said, accents go with the case.
    stripAccents: booleanOr(fields.strip_accents ?? undefined, lowercase, `${where}.strip_accents`),
    lowercase,
  };
}

function refuseNormalizedTokens(added: readonly AddedToken[], where: string): void {
  const token = added.find(({ normalized }) => normalized);
  if (token) {
    const at = `${where}: added_tokens, ${show(token.content)}.normalized`;
    throw problem(at, 'false, since the text is normalized', 'true', 'Add the token with normalized: false.');
  }
}

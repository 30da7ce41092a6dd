/**
 * Recognises which tokenizer the parts of a `tokenizer.json` describe, and makes it. Every field that has a meaning is
 * checked: one that this package cannot honour is an error, since ignoring it would give other ids than its author's.
 * Ignored are `version`, `truncation` and `padding`: cutting and padding are the business of `data/`.
 */
import { readAddedTokens } from './added-tokens.ts';
import type { BertNormalizer } from './bert-text.ts';
import { ByteLevelBPE } from './byte-level-bpe.ts';
import { CharacterTokenizer } from './characters.ts';
import { Gpt1BPE } from './gpt1-bpe.ts';
import {
  asArray,
  asBoolean,
  asObject,
  asString,
  booleanOr,
  type JsonObject,
  problem,
  show,
  typeOf,
  unsupported,
} from './json-checks.ts';
import { type MergePair, mergeTable } from './merge-list.ts';
import type { AddedToken, Tokenizer } from './tokenizer.ts';

/**
 * @param header - Everything of tokenizer.json but `model.vocab` and `model.merges`; owned by the tokenizer from now on.
 * @param vocab - Token → id.
 * @param merges - Pairs of tokens, the most important first.
 * @param where - The name of the file, for messages.
 * @param whereMerges - Where the merges come from, for messages.
 */
export function assemble(
  header: JsonObject,
  vocab: ReadonlyMap<string, number>,
  merges: readonly MergePair[],
  where: string,
  whereMerges = `${where}: model.merges`,
): Tokenizer {
  const added = readAddedTokens(header.added_tokens, `${where}: added_tokens`);
  const parts = { where, header, vocab, added };
  const model = readModel(header.model, vocab, `${where}: model`);
  checkPostProcessor(header.post_processor, `${where}: post_processor`);

  const splitter = typeOf(header.pre_tokenizer, `${where}: pre_tokenizer`);
  if (splitter === 'ByteLevel') {
    expectType(header.normalizer, [undefined], `${where}: normalizer`);
    expectType(header.decoder, ['ByteLevel'], `${where}: decoder`);
    expectSuffix(model.suffix, '', where);
    const settings = asObject(header.pre_tokenizer, where);
    return new ByteLevelBPE(parts, mergeTable(merges, vocab, whereMerges), {
      addPrefixSpace: asBoolean(settings.add_prefix_space, `${where}: pre_tokenizer.add_prefix_space`),
      splitWords: booleanOr(settings.use_regex, true, `${where}: pre_tokenizer.use_regex`),
      unknownId: model.unknownId,
    });
  }
  if (splitter === 'BertPreTokenizer') {
    expectType(header.normalizer, [undefined, 'BertNormalizer'], `${where}: normalizer`);
    expectType(header.decoder, ['BPEDecoder'], `${where}: decoder`);
    const suffix = asString(asObject(header.decoder, where).suffix, `${where}: decoder.suffix`);
    if (suffix === '') throw unsupported(`${where}: decoder.suffix`, 'a suffix such as "</w>"', suffix);
    expectSuffix(model.suffix, suffix, where);
    const normalizer = readBertNormalizer(header.normalizer, `${where}: normalizer`);
    if (normalizer) refuseNormalizedTokens(added, where);
    const settings = { normalizer, suffix, unknownId: model.unknownId };
    return new Gpt1BPE(parts, mergeTable(merges, vocab, whereMerges), settings);
  }
  if (splitter === undefined) {
    expectType(header.normalizer, [undefined], `${where}: normalizer`);
    expectType(header.decoder, ['Fuse'], `${where}: decoder`);
    expectSuffix(model.suffix, '', where);
    if (merges.length > 0) {
      throw unsupported(`${where}: model.merges`, 'no merges where there is no pre_tokenizer', merges);
    }
    return new CharacterTokenizer(parts, model.unknownId);
  }
  throw unsupported(`${where}: pre_tokenizer`, 'type none, ByteLevel or BertPreTokenizer', splitter);
}

interface ModelSettings {
  readonly suffix: string;
  readonly unknownId: number | undefined;
}

function readModel(value: unknown, vocab: ReadonlyMap<string, number>, where: string): ModelSettings {
  const model = asObject(value, where);
  if (model.type !== 'BPE') throw unsupported(`${where}.type`, '"BPE"', model.type);
  for (const [field, allowed] of [
    ['dropout', [null, undefined, 0]],
    ['continuing_subword_prefix', [null, undefined, '']],
    ['byte_fallback', [undefined, false]],
    ['ignore_merges', [undefined, false]],
    ['fuse_unk', [undefined, false]],
  ] as const) {
    if (!(allowed as readonly unknown[]).includes(model[field])) {
      const expected = allowed.filter((value) => value !== undefined).map(show);
      throw unsupported(`${where}.${field}`, expected.join(' or '), model[field]);
    }
  }
  const suffix = asString(model.end_of_word_suffix ?? '', `${where}.end_of_word_suffix`);
  const unkToken = model.unk_token ?? undefined;
  if (unkToken === undefined) return { suffix, unknownId: undefined };
  const unknownId = vocab.get(asString(unkToken, `${where}.unk_token`));
  if (unknownId === undefined) {
    throw problem(`${where}.unk_token`, 'a token of the vocabulary', show(unkToken), 'Add it to the vocabulary.');
  }
  return { suffix, unknownId };
}

function expectType(part: unknown, allowed: readonly (string | undefined)[], where: string): void {
  const type = typeOf(part, where);
  if (!allowed.includes(type))
    throw unsupported(where, `type ${allowed.map((name) => name ?? 'none').join(' or ')}`, type);
}

function expectSuffix(got: string, expected: string, where: string): void {
  if (got !== expected) throw unsupported(`${where}: model.end_of_word_suffix`, show(expected), got);
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

/** Accepts the processors that leave the ids alone. */
function checkPostProcessor(value: unknown, where: string): void {
  const type = typeOf(value, where);
  if (type === undefined || type === 'ByteLevel') return;
  if (type !== 'TemplateProcessing') throw unsupported(where, 'type none, ByteLevel or TemplateProcessing', type);
  const single = asArray(asObject(value, where).single, `${where}.single`);
  const [piece] = single;
  if (single.length !== 1 || asObject(piece, `${where}.single[0]`).Sequence === undefined) {
    throw unsupported(`${where}.single`, 'the text alone, without special tokens around it', single);
  }
}

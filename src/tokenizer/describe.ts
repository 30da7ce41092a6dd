/**
 * What the parts of a `tokenizer.json` say of every kind of tokenizer, and which kind it is. Every field that has a meaning is
 * checked: one that this package cannot honour is an error, since ignoring it would give other ids than its author's.
 * Ignored are `version`, `truncation` and `padding`: cutting and padding are the business of `data/`.
 */
import type { TokenizerParts } from './base.ts';
import { asArray, asBoolean, asId, asObject, asString, parseJson, typeOf, unsupported } from './json-checks.ts';
import type { MergePair } from './merge-list.ts';
import type { MergeTable } from './merges.ts';
import { PLAIN_MODEL } from './plain-byte-level.ts';
import { isId, type JsonObject, problem, show } from './problem.ts';
import { readMerges, resolveMerges } from './read-merges.ts';
import type { AddedToken, TokenizerJSON } from './tokenizer.ts';
import { RENUMBER } from './vocabulary.ts';

/** A tokenizer's files, read and checked as far as all kinds have in common. */
export interface Description extends TokenizerParts {
  /** `pre_tokenizer.type`, by which kinds are told apart. */
  readonly splitter: string | undefined;
  /** `model.end_of_word_suffix`. */
  readonly suffix: string;
  /** The id of `model.unk_token`. */
  readonly unknownId: number | undefined;
  /** The most important first. */
  readonly merges: readonly MergePair[];
  /** Where the merges come from, for messages. */
  readonly whereMerges: string;
}

/** Reads `tokenizer.json`. */
export function describeJson(json: string | TokenizerJSON | Readonly<Record<string, unknown>>): Description {
  const where = 'tokenizer.json';
  const root = asObject(typeof json === 'string' ? parseJson(json, where) : json, where);
  const { vocab, merges, ...model } = asObject(root.model, `${where}: model`);
  const header = structuredClone({ ...root, model });
  // Of another type the vocabulary looks different: let the message name the type, not the vocabulary.
  if (model.type !== 'BPE') return describe(header, new Map(), [], where);
  return describe(
    header,
    readVocab(vocab, `${where}: model.vocab`),
    readMerges(merges, `${where}: model.merges`),
    where,
  );
}

/**
 * @param header - Everything of tokenizer.json but `model.vocab` and `model.merges`; owned by the tokenizer from now on.
 * @param vocab - Token → id.
 * @param merges - Pairs of tokens, the most important first.
 * @param where - The name of the file, for messages.
 * @param whereMerges - Where the merges come from, for messages.
 */
export function describe(
  header: JsonObject,
  vocab: ReadonlyMap<string, number>,
  merges: readonly MergePair[],
  where: string,
  whereMerges = `${where}: model.merges`,
): Description {
  const added = readAddedTokens(header.added_tokens, `${where}: added_tokens`);
  const model = readModel(header.model, vocab, `${where}: model`);
  checkPostProcessor(header.post_processor, `${where}: post_processor`);
  const splitter = typeOf(header.pre_tokenizer, `${where}: pre_tokenizer`);
  checkVocabulary(vocab, added, where);
  return { where, header, vocab, added, splitter, ...model, merges, whereMerges };
}

function readModel(
  value: unknown,
  vocab: ReadonlyMap<string, number>,
  where: string,
): Pick<Description, 'suffix' | 'unknownId'> {
  const model = asObject(value, where);
  if (model.type !== 'BPE') throw unsupported(`${where}.type`, '"BPE"', model.type);
  for (const [field, allowed] of PLAIN_MODEL) {
    if (!allowed.includes(model[field])) {
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

/** Throws unless one of the parts is of one of these types; undefined is a part that is not there. */
export function expectType(
  { header, where }: Description,
  part: 'normalizer' | 'decoder',
  allowed: readonly (string | undefined)[],
): void {
  const at = `${where}: ${part}`;
  const type = typeOf(header[part], at);
  if (!allowed.includes(type))
    throw unsupported(at, `type ${allowed.map((name) => name ?? 'none').join(' or ')}`, type);
}

/** Throws unless words end in this suffix. */
export function expectSuffix({ suffix, where }: Description, expected: string): void {
  if (suffix !== expected) throw unsupported(`${where}: model.end_of_word_suffix`, show(expected), suffix);
}

/** The merges by ids. */
export function mergesOf({ merges, vocab, whereMerges }: Description): MergeTable {
  return resolveMerges(merges, vocab, whereMerges);
}

/** Reads `added_tokens` of tokenizer.json. */
function readAddedTokens(value: unknown, where: string): AddedToken[] {
  if (value === undefined || value === null) return [];
  const seen = new Set<string>();
  return asArray(value, where).map((entry, i) => {
    const at = `${where}[${i}]`;
    const fields = asObject(entry, at);
    const content = asString(fields.content, `${at}.content`);
    if (content === '' || seen.has(content)) {
      const hint = 'Remove this entry.';
      throw problem(`${at}.content`, 'a token that is not empty and not there before', JSON.stringify(content), hint);
    }
    seen.add(content);
    const flags = ['single_word', 'lstrip', 'rstrip', 'normalized', 'special'].map((flag) => {
      return [flag, asBoolean(fields[flag], `${at}.${flag}`)];
    });
    return { id: asId(fields.id, `${at}.id`), content, ...Object.fromEntries(flags) } as AddedToken;
  });
}

/** Reads the object of vocab.json, or `model.vocab`: token → id. */
export function readVocab(value: unknown, where: string): Map<string, number> {
  const ids = new Map<string, number>();
  const vocab = asObject(value, where);
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    ids.set(token, isId(id) ? id : asId(id, `${where}[${show(token)}]`));
  }
  return ids;
}

/** Throws unless n tokens have the ids 0 … n − 1, each once. */
function checkVocabulary(modelIds: ReadonlyMap<string, number>, added: readonly AddedToken[], where: string): void {
  for (const { content, id } of added) {
    const present = modelIds.get(content);
    if (present !== undefined && present !== id) {
      throw problem(`${where}: added token ${show(content)}`, `id ${present} as in the vocabulary`, `${id}`, RENUMBER);
    }
  }
  const ids = new Map([...modelIds, ...added.map(({ content, id }) => [content, id] as const)]);
  const tokens = new Map<number, string>();
  for (const [token, id] of ids) {
    if (id >= ids.size) {
      const expected = `ids 0 … ${ids.size - 1} without holes for ${ids.size} tokens`;
      throw problem(where, expected, `${id} for ${show(token)}`, RENUMBER);
    }
    const other = tokens.get(id);
    if (other !== undefined) {
      throw problem(where, 'one token per id', `${show(other)} and ${show(token)} with id ${id}`, RENUMBER);
    }
    tokens.set(id, token);
  }
}

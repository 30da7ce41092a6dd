/**
 * The tokens and their ids: n tokens have the ids 0 … n − 1, each once. A model's embedding has one row per id,
 * so a hole or a huge id in the file is an error, and not a larger table.
 */
import type { TokenizerError } from '../errors.ts';
import { asId, asObject, isId, problem, show } from './json-checks.ts';
import type { AddedToken } from './tokenizer.ts';

const RENUMBER = 'Renumber the vocabulary, or obtain the file again.';

export class Vocabulary {
  /** The tokens by id. */
  readonly tokens: readonly string[];
  /** The ids by token. */
  readonly ids: ReadonlyMap<string, number>;

  /**
   * @param modelIds - Token → id of the model's own tokens.
   * @param added - The added tokens; those that the model has must have the same id there.
   * @param where - The file, for messages.
   */
  constructor(modelIds: ReadonlyMap<string, number>, added: readonly AddedToken[], where: string) {
    this.ids = withAdded(modelIds, added, where);
    this.tokens = tokensById(this.ids, where);
  }

  get size(): number {
    return this.tokens.length;
  }

  has(id: unknown): id is number {
    return typeof id === 'number' && id >= 0 && id < this.tokens.length && Number.isInteger(id);
  }

  /** The error for an id that it does not have. */
  noSuchId(id: unknown, where: string): TokenizerError {
    return problem(
      where,
      `an id of 0 … ${this.size - 1}`,
      show(id),
      'The ids must come from a model with the vocabulary of this tokenizer.',
    );
  }
}

function withAdded(
  modelIds: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
  where: string,
): ReadonlyMap<string, number> {
  for (const { content, id } of added) {
    const present = modelIds.get(content);
    if (present !== undefined && present !== id) {
      throw problem(`${where}: added token ${show(content)}`, `id ${present} as in the vocabulary`, `${id}`, RENUMBER);
    }
  }
  if (added.every(({ content }) => modelIds.has(content))) return modelIds;
  return new Map([...modelIds, ...added.map(({ content, id }) => [content, id] as const)]);
}

function tokensById(ids: ReadonlyMap<string, number>, where: string): string[] {
  const tokens = new Array<string | undefined>(ids.size);
  for (const [token, id] of ids) {
    if (id >= ids.size) {
      const expected = `ids 0 … ${ids.size - 1} without holes for ${ids.size} tokens`;
      throw problem(where, expected, `${id} for ${show(token)}`, RENUMBER);
    }
    const other = tokens[id];
    if (other !== undefined) {
      throw problem(where, 'one token per id', `${show(other)} and ${show(token)} with id ${id}`, RENUMBER);
    }
    tokens[id] = token;
  }
  return tokens as string[];
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

/** Token → id in the order of the ids, as entries of an object. */
export function entriesById(ids: ReadonlyMap<string, number>): [string, number][] {
  return [...ids].sort((a, b) => a[1] - b[1]);
}

/** The object of vocab.json as text. By hand: an object would put tokens like "12" first. */
export function writeVocabJson(ids: ReadonlyMap<string, number>): string {
  return `{${entriesById(ids)
    .map(([token, id]) => `${JSON.stringify(token)}:${id}`)
    .join(',')}}`;
}

/**
 * The tokens and their ids: n tokens have the ids 0 … n − 1, each once. A model's embedding has one row per id,
 * so a hole or a huge id in the file is an error, which describe.ts puts in words, and not a larger table.
 */
import { problem, show } from './problem.ts';
import type { AddedToken } from './tokenizer.ts';

export const RENUMBER = 'Renumber the vocabulary, or obtain the file again.';

export class Vocabulary {
  /** The tokens by id. */
  readonly tokens: readonly string[];
  /** The ids by token. */
  readonly ids: ReadonlyMap<string, number>;
  /** The ids of the tokens that the model itself has, without those that were only added. */
  readonly modelIds: ReadonlyMap<string, number>;

  constructor(modelIds: ReadonlyMap<string, number>, added: readonly AddedToken[], where: string) {
    const isComplete = added.every((token) => modelIds.has(token.content));
    const ids = isComplete
      ? modelIds
      : new Map([...modelIds, ...added.map(({ content, id }) => [content, id] as const)]);
    let fits = added.every(({ content, id }) => (modelIds.get(content) ?? id) === id);
    const tokens = new Array<string | undefined>(ids.size);
    for (const [token, id] of ids) {
      fits &&= id < ids.size && tokens[id] === undefined;
      if (!fits) throw problem(where, 'each id from 0 on once', `another at ${show(token)}`, RENUMBER);
      tokens[id] = token;
    }
    this.tokens = tokens as string[];
    this.ids = ids;
    this.modelIds = modelIds;
  }

  get size(): number {
    return this.tokens.length;
  }

  /** The model's tokens with their ids, in the order of the ids. */
  modelTokens(): [string, number][] {
    return [...this.modelIds].sort((a, b) => a[1] - b[1]);
  }

  /** The object of vocab.json as text. By hand: an object would put tokens like "12" first. */
  toVocabJson(): string {
    const entries = this.modelTokens().map(([token, id]) => `${JSON.stringify(token)}:${id}`);
    return `{${entries.join(',')}}`;
  }
}

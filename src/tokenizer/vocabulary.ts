/**
 * The tokens and their ids, checked: n tokens have the ids 0 … n − 1, each once. A model's embedding has one row per id,
 * so a hole or a huge id in the file is an error and not a larger table.
 */
import { problem, show } from './problem.ts';
import type { AddedToken } from './tokenizer.ts';

const RENUMBER = 'Renumber the vocabulary, or obtain the file again.';

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
    for (const { content, id } of added) {
      const present = modelIds.get(content);
      if (present !== undefined && present !== id) {
        throw problem(
          `${where}: added token ${show(content)}`,
          `id ${present} as in the vocabulary`,
          `${id}`,
          RENUMBER,
        );
      }
    }
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

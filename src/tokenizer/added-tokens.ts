/**
 * Tokens that are found in the text before it is split into words: `<|endoftext|>` and whatever a user added.
 * The leftmost one wins, among those the longest; tokens with `normalized: false` are looked for first, as in Hugging
 * Face's `tokenizers` (`tokenizer/added_vocabulary.rs`).
 */
import type { AddedToken } from './tokenizer.ts';
import { isSpace } from './unicode.ts';

/** `\w` of Rust's regular expressions. */
const ENDS_IN_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const STARTS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

type OnText = (text: string, offset: number) => void;
type OnToken = (id: number) => void;

/** Finds a set of tokens. */
class Matcher {
  readonly #pattern: RegExp;
  readonly #byContent: ReadonlyMap<string, AddedToken>;

  constructor(tokens: readonly AddedToken[]) {
    this.#byContent = new Map(tokens.map((token) => [token.content, token]));
    // An alternation takes its first branch that matches: longest first makes that the longest.
    const contents = tokens.map((token) => token.content).sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(
      contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
      'g',
    );
  }

  /** Calls back for every token and for the text between them, in order. */
  split(text: string, offset: number, onText: OnText, onToken: OnToken): void {
    let done = 0;
    for (const match of text.matchAll(this.#pattern)) {
      const token = this.#byContent.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      if (
        token.single_word &&
        (ENDS_IN_WORD.test(lastCharacter(text, start)) || STARTS_WITH_WORD.test(text.slice(end, end + 2)))
      ) {
        continue;
      }
      if (token.lstrip) while (start > done && isSpace(text.charCodeAt(start - 1))) start--;
      if (token.rstrip) while (end < text.length && isSpace(text.charCodeAt(end))) end++;
      if (done < start) onText(text.slice(done, start), offset + done);
      onToken(token.id);
      done = end;
    }
    if (done < text.length) onText(done === 0 ? text : text.slice(done), offset + done);
  }
}

/** The last character before `end`, whole if it is a surrogate pair. */
function lastCharacter(text: string, end: number): string {
  const last = text.charCodeAt(end - 1);
  return text.slice(Math.max(0, end - (last >= 0xdc00 && last < 0xe000 ? 2 : 1)), end);
}

export class AddedTokens {
  readonly list: readonly AddedToken[];
  /** Matchers to apply one after the other, with and without the special tokens. */
  readonly #all: readonly Matcher[];
  readonly #ordinary: readonly Matcher[];

  constructor(list: readonly AddedToken[]) {
    this.list = list;
    this.#all = matchersFor(list);
    this.#ordinary = matchersFor(list.filter((token) => !token.special));
  }

  /** Calls back for every added token in the text, and for the text between them with its offset, in order. */
  split(text: string, allowSpecial: boolean, onText: OnText, onToken: OnToken): void {
    const [first, second] = allowSpecial ? this.#all : this.#ordinary;
    if (first === undefined) {
      if (text.length > 0) onText(text, 0);
    } else if (second === undefined) {
      first.split(text, 0, onText, onToken);
    } else {
      first.split(text, 0, (piece, offset) => second.split(piece, offset, onText, onToken), onToken);
    }
  }
}

function matchersFor(tokens: readonly AddedToken[]): Matcher[] {
  const groups = [tokens.filter((token) => !token.normalized), tokens.filter((token) => token.normalized)];
  return groups.filter((group) => group.length > 0).map((group) => new Matcher(group));
}

/** A special token with the settings that Hugging Face gives one by default. */
export function specialToken(content: string, id: number): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

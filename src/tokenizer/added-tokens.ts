/**
 * Tokens that are found in the text before it is split into words: `<|endoftext|>` and whatever a user added.
 * The leftmost one wins, among those the longest; tokens with `normalized: false` are looked for first, the others in the
 * normalized text, as in Hugging Face's `tokenizers` (`tokenizer/added_vocabulary.rs`).
 */
import { asArray, asBoolean, asId, asObject, asString, problem } from './json-checks.ts';
import type { Normalizer } from './normalizers/normalizer.ts';
import type { AddedToken } from './tokenizer.ts';
import { isSpace } from './unicode/code-points.ts';

/** `\w` of Rust's regular expressions. */
const ENDS_IN_WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]$/u;
const STARTS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;

/** Takes text, and where it begins in the text that the user gave; undefined once that is not known. */
type OnText = (text: string, index: number | undefined) => void;
type OnToken = (id: number) => void;

/** Finds a set of tokens. */
class Matcher {
  readonly #pattern: RegExp;
  readonly #byContent: ReadonlyMap<string, AddedToken>;

  /** `byContent`: the tokens by how they stand in the text, which is not empty. */
  constructor(byContent: ReadonlyMap<string, AddedToken>) {
    this.#byContent = byContent;
    // An alternation takes its first branch that matches: longest first makes that the longest.
    const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(
      contents.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|'),
      'g',
    );
  }

  /** Calls back for every token and for the text between them, in order. */
  split(text: string, index: number | undefined, onText: OnText, onToken: OnToken): void {
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
      if (done < start) onText(text.slice(done, start), index === undefined ? undefined : index + done);
      onToken(token.id);
      done = end;
    }
    if (done < text.length) {
      onText(done === 0 ? text : text.slice(done), index === undefined ? undefined : index + done);
    }
  }
}

/** The last character before `end`, whole if it is a surrogate pair. */
function lastCharacter(text: string, end: number): string {
  const last = text.charCodeAt(end - 1);
  return text.slice(Math.max(0, end - (last >= 0xdc00 && last < 0xe000 ? 2 : 1)), end);
}

export class AddedTokens {
  readonly #normalizer: Normalizer | undefined;
  readonly #all: Matchers;
  readonly #ordinary: Matchers;

  /** `normalizer`: what changes the text between tokens; undefined leaves it as it is. */
  constructor(tokens: readonly AddedToken[], normalizer: Normalizer | undefined) {
    this.#normalizer = normalizer;
    this.#all = matchersFor(tokens, normalizer);
    this.#ordinary = matchersFor(
      tokens.filter((token) => !token.special),
      normalizer,
    );
  }

  /** Calls back for every added token in the text, and for the normalized text between them, in order. */
  split(text: string, allowSpecial: boolean, onText: OnText, onToken: OnToken): void {
    const { verbatim, normalized } = allowSpecial ? this.#all : this.#ordinary;
    const onPiece: OnText = (piece, index) => {
      const changed = this.#normalizer ? this.#normalizer.normalize(piece) : piece;
      splitBy(normalized, changed, this.#normalizer ? undefined : index, onText, onToken);
    };
    splitBy(verbatim, text, 0, onPiece, onToken);
  }
}

/** What finds the tokens with `normalized: false`, and the others; undefined where there are none. */
interface Matchers {
  readonly verbatim: Matcher | undefined;
  readonly normalized: Matcher | undefined;
}

function matchersFor(tokens: readonly AddedToken[], normalizer: Normalizer | undefined): Matchers {
  const matcherOf = (group: readonly AddedToken[], spelling: (content: string) => string) => {
    const spelled = group
      .map((token) => [spelling(token.content), token] as const)
      .filter(([content]) => content !== '');
    return spelled.length > 0 ? new Matcher(new Map(spelled)) : undefined;
  };
  return {
    verbatim: matcherOf(
      tokens.filter((token) => !token.normalized),
      (content) => content,
    ),
    normalized: matcherOf(
      tokens.filter((token) => token.normalized),
      (content) => normalizer?.normalize(content) ?? content,
    ),
  };
}

function splitBy(
  matcher: Matcher | undefined,
  text: string,
  index: number | undefined,
  onText: OnText,
  onToken: OnToken,
): void {
  if (matcher) matcher.split(text, index, onText, onToken);
  else if (text.length > 0) onText(text, index);
}

/** A special token with the settings that Hugging Face gives one by default. */
export function specialToken(content: string, id: number): AddedToken {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

/** Reads `added_tokens` of tokenizer.json. */
export function readAddedTokens(value: unknown, where: string): AddedToken[] {
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
    const flag = (name: string) => asBoolean(fields[name], `${at}.${name}`);
    return {
      id: asId(fields.id, `${at}.id`),
      content,
      single_word: flag('single_word'),
      lstrip: flag('lstrip'),
      rstrip: flag('rstrip'),
      normalized: flag('normalized'),
      special: flag('special'),
    };
  });
}

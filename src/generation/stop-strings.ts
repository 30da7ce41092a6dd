/** Finding stop strings in text that comes in pieces: nothing that could still become one is let out. */
import { ConfigError } from '../errors.ts';

/**
 * Cuts a text at the first of some strings. Where the text is cut does not depend on its pieces: at the string that is
 * complete first, and of several that end there at the longest.
 */
export class StopStrings {
  readonly #strings: readonly string[];
  #held = '';
  #found = false;

  /**
   * @param strings - One string or several; none: the text goes through as it is.
   * @throws {ConfigError} For an empty string.
   */
  constructor(strings: string | readonly string[] = []) {
    this.#strings = typeof strings === 'string' ? [strings] : strings;
    for (const string of this.#strings)
      if (typeof string !== 'string' || string === '')
        throw new ConfigError(
          `generate: expected stop strings of one character or more, got ${JSON.stringify(string)}. Leave out what is empty.`,
        );
  }

  /** Whether the text has ended. */
  get found(): boolean {
    return this.#found;
  }

  /** Takes a piece of text and gives what can be let out. */
  push(piece: string): string {
    if (this.#found) return '';
    const text = this.#held + piece;
    for (let end = this.#held.length + 1; end <= text.length; end++) {
      const start = this.#longestEndingAt(text, end);
      if (start === undefined) continue;
      this.#found = true;
      this.#held = '';
      return text.slice(0, start);
    }
    const safe = this.#safeLength(text);
    this.#held = text.slice(safe);
    return text.slice(0, safe);
  }

  /** Ends the text and gives what was held back. */
  flush(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }

  #longestEndingAt(text: string, end: number): number | undefined {
    let start: number | undefined;
    for (const string of this.#strings)
      if (end >= string.length && text.startsWith(string, end - string.length))
        start = Math.min(start ?? end, end - string.length);
    return start;
  }

  /** How much of the text cannot be part of a stop string. */
  #safeLength(text: string): number {
    const longest = Math.max(0, ...this.#strings.map((string) => string.length));
    for (let at = Math.max(0, text.length - longest + 1); at < text.length; at++)
      if (this.#strings.some((string) => string.startsWith(text.slice(at)))) return at;
    return text.length;
  }
}

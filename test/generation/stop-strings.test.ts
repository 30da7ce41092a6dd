/** Stop strings: cut at the same place however the text comes. */
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.ts';
import { StopStrings } from '../../src/generation/stop-strings.ts';

/** Pieces that come out, what is flushed last. */
function feed(stop: string | string[] | undefined, pieces: readonly string[]): { out: string[]; found: boolean } {
  const strings = new StopStrings(stop);
  const out = [...pieces.map((piece) => strings.push(piece)), strings.flush()];
  return { out, found: strings.found };
}

/** All ways to cut a text into pieces. */
function cuts(text: string): string[][] {
  if (text.length <= 1) return [[text]];
  return cuts(text.slice(1)).flatMap(([first = '', ...rest]) => [
    [text[0]!, first, ...rest],
    [text[0]! + first, ...rest],
  ]);
}

describe('StopStrings', () => {
  it('lets everything through when there is none', () => {
    expect(feed(undefined, ['a', '', 'bc'])).toEqual({ out: ['a', '', 'bc', ''], found: false });
    expect(feed([], ['a'])).toEqual({ out: ['a', ''], found: false });
  });

  it('holds back what could become a stop string, and no more', () => {
    expect(feed('END', ['an E', 'N', 'O ', 'E'])).toEqual({ out: ['an ', '', 'ENO ', '', 'E'], found: false });
    expect(feed('aab', ['a', 'a', 'a', 'b', 'c'])).toEqual({ out: ['', '', 'a', '', '', ''], found: true });
  });

  it('cuts a text at the same place however it comes', () => {
    const cases: [string | string[], string, string][] = [
      ['cd', 'abcdef', 'ab'],
      [['b', 'abc'], 'xabcy', 'xa'],
      [['abc', 'c'], 'xabcy', 'x'],
      [['bcd', 'cx'], 'abcxd', 'ab'],
      ['aa', 'baaa', 'b'],
      ['\n\n', 'a\nb\n\nc', 'a\nb'],
      ['🙂!', 'a🙂🙂!', 'a🙂'],
      ['abcabd', 'abcabcabd', 'abc'],
      ['zz', 'abc', 'abc'],
    ];
    for (const [stop, text, expected] of cases)
      for (const pieces of cuts(text)) expect(feed(stop, pieces).out.join(''), pieces.join('|')).toBe(expected);
  });

  it('lets nothing out after the end', () => {
    const strings = new StopStrings('b');
    expect([strings.push('abab'), strings.push('more'), strings.flush()]).toEqual(['a', '', '']);
  });

  it('refuses what can never or always be found', () => {
    const message = 'generate: expected stop strings of one character or more, got "". Leave out what is empty.';
    expect(() => new StopStrings('')).toThrow(new ConfigError(message));
    expect(() => new StopStrings(['a', ''])).toThrow(message);
    expect(() => new StopStrings([3 as unknown as string])).toThrow(ConfigError);
  });
});

/** Text changed character by character (Unicode code points). */

export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

export function mapCharacters(text: string, map: (character: string, code: number) => string): string {
  let result = '';
  for (const character of text) result += map(character, character.codePointAt(0)!);
  return result;
}

/** Lower case, character by character: a whole string would give a final sigma its other form. */
export function lowerCase(text: string): string {
  return isAscii(text) ? text.toLowerCase() : mapCharacters(text, (character) => character.toLowerCase());
}

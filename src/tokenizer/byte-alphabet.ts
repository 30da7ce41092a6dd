/**
 * The byte alphabet: a way of writing bytes as printable characters, so that a vocabulary of byte strings can be a text file:
 * printable Latin-1 bytes stand for themselves, the other 68 become U+0100 … U+0143 (a space is `Ġ`, a newline `Ċ`).
 * Source: openai/gpt-2 `src/encoder.py`, bytes_to_unicode.
 */

/** The code point that stands for each byte. */
const CODE_OF_BYTE = new Uint16Array(256);
/** The byte that each code point below U+0144 stands for, or -1. */
const BYTE_OF_CODE = new Int16Array(0x144).fill(-1);

let next = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const code = printable ? byte : next++;
  CODE_OF_BYTE[byte] = code;
  BYTE_OF_CODE[code] = byte;
}

/** The character that stands for a byte. */
export function characterOfByte(byte: number): string {
  return String.fromCharCode(CODE_OF_BYTE[byte]!);
}

/** All 256 characters in the order of their code points: the order in which a trained vocabulary lists them. */
export function byteCharactersInOrder(): string[] {
  return Array.from({ length: 256 }, (_, byte) => characterOfByte(byte)).sort();
}

/** The byte that a UTF-16 unit stands for, or -1. */
export function byteOfCode(code: number): number {
  return code < 0x144 ? BYTE_OF_CODE[code]! : -1;
}

/** The decoder of byte-level tokenizers: the bytes of all tokens, as UTF-8. Bytes that are not UTF-8 become U+FFFD. */
import { byteOfCode } from '../byte-alphabet.ts';
import type { Decoder, DecoderStream } from './decoder.ts';

const UTF8 = new TextEncoder();
/** A byte order mark is text like any other. */
const newDecoder = (): TextDecoder => new TextDecoder('utf-8', { ignoreBOM: true });

export class ByteLevelDecoder implements Decoder {
  readonly #decoder = newDecoder();
  /** The bytes of token i: `bytes[starts[i] … starts[i + 1])`. */
  readonly #bytes: Uint8Array;
  readonly #starts: Uint32Array;

  constructor(tokens: readonly string[]) {
    const bytes = new Uint8Array(3 * tokens.reduce((sum, token) => sum + token.length, 0));
    this.#starts = new Uint32Array(tokens.length + 1);
    let at = 0;
    tokens.forEach((token, id) => {
      at += writeToken(token, bytes, at);
      this.#starts[id + 1] = at;
    });
    this.#bytes = bytes.slice(0, at);
  }

  decode(ids: Uint32Array): string {
    let length = 0;
    for (const id of ids) length += this.#starts[id + 1]! - this.#starts[id]!;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const id of ids) {
      const end = this.#starts[id + 1]!;
      for (let from = this.#starts[id]!; from < end; from++) bytes[at++] = this.#bytes[from]!;
    }
    return this.#decoder.decode(bytes);
  }

  stream(): DecoderStream {
    const decoder = newDecoder();
    return {
      push: (id) => {
        return decoder.decode(this.#bytes.subarray(this.#starts[id]!, this.#starts[id + 1]!), { stream: true });
      },
      flush: () => decoder.decode(),
    };
  }
}

/** Writes the bytes that a token stands for at `at`, and returns their number: its characters, unless all stand for bytes. */
function writeToken(token: string, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < token.length; i++) {
    const byte = byteOfCode(token.charCodeAt(i));
    if (byte < 0) return UTF8.encodeInto(token, bytes.subarray(at)).written;
    bytes[at + i] = byte;
  }
  return token.length;
}

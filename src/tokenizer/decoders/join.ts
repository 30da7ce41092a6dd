/** Tokens joined as they are spelled. */
import type { Decoder, DecoderStream } from './decoder.ts';

export class JoinDecoder implements Decoder {
  readonly #tokens: readonly string[];
  readonly #separator: string;

  /** `separator` goes between every two tokens. */
  constructor(tokens: readonly string[], separator: string) {
    this.#tokens = tokens;
    this.#separator = separator;
  }

  decode(ids: Uint32Array): string {
    let text = '';
    ids.forEach((id, i) => {
      text += i > 0 ? this.#separator + this.#tokens[id]! : this.#tokens[id]!;
    });
    return text;
  }

  stream(): DecoderStream {
    let isFirst = true;
    return {
      push: (id) => {
        const text = (isFirst ? '' : this.#separator) + this.#tokens[id]!;
        isFirst = false;
        return text;
      },
      flush: () => {
        isFirst = true;
        return '';
      },
    };
  }
}

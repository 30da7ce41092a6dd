/**
 * Tokens joined, with a space for each suffix that marks the end of a word (`</w>`), except in the last token.
 * Source: huggingface/tokenizers `decoders/bpe.rs`.
 */
import { asString, type JsonObject, unsupported } from '../json-checks.ts';
import type { Decoder, DecoderStream } from './decoder.ts';

/** Reads the fields of BPEDecoder. */
export function readSuffixDecoder(fields: JsonObject, where: string, tokens: readonly string[]): SuffixDecoder {
  const suffix = asString(fields.suffix, `${where}.suffix`);
  if (suffix === '') throw unsupported(`${where}.suffix`, 'a suffix such as "</w>"', suffix);
  return new SuffixDecoder(tokens, suffix);
}

class SuffixDecoder implements Decoder {
  readonly #tokens: readonly string[];
  readonly #suffix: string;

  constructor(tokens: readonly string[], suffix: string) {
    this.#tokens = tokens;
    this.#suffix = suffix;
  }

  decode(ids: Uint32Array): string {
    let text = '';
    ids.forEach((id, i) => {
      text += this.#tokens[id]!.replaceAll(this.#suffix, i + 1 < ids.length ? ' ' : '');
    });
    return text;
  }

  stream(): DecoderStream {
    const suffix = this.#suffix;
    // The suffix is a space only if another token follows: from the first suffix on, a token waits for the next.
    let waiting = '';
    return {
      push: (id) => {
        const token = this.#tokens[id]!;
        const certain = waiting.replaceAll(suffix, ' ');
        const at = token.indexOf(suffix);
        waiting = at < 0 ? '' : token.slice(at);
        return certain + (at < 0 ? token : token.slice(0, at));
      },
      flush: () => {
        const rest = waiting.replaceAll(suffix, '');
        waiting = '';
        return rest;
      },
    };
  }
}

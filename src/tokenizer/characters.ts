/**
 * One token per character (Unicode code point), as in the char-rnn experiments. In `tokenizer.json` it is a BPE model
 * without merges over unsplit text, which is the same thing.
 */
import { TokenizerError } from '../errors.ts';
import { type TokenizerParts, VocabularyTokenizer } from './base.ts';
import { type Description, expectSuffix, expectType } from './describe.ts';
import type { IdBuffer } from './id-buffer.ts';
import { unsupported } from './json-checks.ts';
import type { DecodeOptions, StreamDecoder } from './tokenizer.ts';

export class CharacterTokenizer extends VocabularyTokenizer {
  /** Ids by code point, of the tokens that are one character. */
  private readonly idOfCode = new Map<number, number>();
  private readonly unknownId: number | undefined;

  /** `unknownId`: the id for a character that has no token, if there is one. */
  constructor(parts: TokenizerParts, unknownId: number | undefined) {
    super(parts);
    this.unknownId = unknownId;
    for (const [token, id] of this.vocabulary.modelIds) {
      const code = token.codePointAt(0);
      if (code !== undefined && token.length === (code > 0xffff ? 2 : 1)) this.idOfCode.set(code, id);
    }
  }

  protected encodeText(text: string, offset: number, out: IdBuffer): void {
    out.reserve(text.length);
    for (let pos = 0; pos < text.length; ) {
      const code = text.codePointAt(pos)!;
      const id = this.idOfCode.get(code) ?? this.unknownId;
      if (id === undefined) throw unknownCharacter(code, offset + pos);
      out.ids[out.length++] = id;
      pos += code > 0xffff ? 2 : 1;
    }
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    let text = '';
    for (const id of this.visibleIds(ids, options)) text += this.vocabulary.tokens[id];
    return text;
  }

  stream(options: DecodeOptions = {}): StreamDecoder {
    return {
      push: (id) => {
        this.checkId(id, 'push');
        return this.isHidden(id, options) ? '' : this.vocabulary.tokens[id]!;
      },
      flush: () => '',
    };
  }
}

function unknownCharacter(code: number, index: number): TokenizerError {
  const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
  const shown = code >= 0xd800 && code < 0xe000 ? 'half a surrogate pair' : JSON.stringify(String.fromCodePoint(code));
  return new TokenizerError(
    `encode: expected characters of the vocabulary, got ${shown} (${name}) at index ${index}. ` +
      'Train the tokenizer on text with this character, or remove it.',
  );
}

/** The tokenizer that files describe by having no `pre_tokenizer`. */
export function readCharacters(description: Description): CharacterTokenizer {
  const { merges, where, unknownId } = description;
  expectType(description, 'normalizer', [undefined]);
  expectType(description, 'decoder', ['Fuse']);
  expectSuffix(description, '');
  if (merges.length > 0) {
    throw unsupported(`${where}: model.merges`, 'no merges where there is no pre_tokenizer', merges);
  }
  return new CharacterTokenizer(description, unknownId);
}

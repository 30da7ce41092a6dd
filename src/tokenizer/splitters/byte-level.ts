/**
 * The split of byte-level tokenizers: text → UTF-8 → words, spelled in the byte alphabet (`byte-alphabet.ts`).
 * Source: huggingface/tokenizers `pre_tokenizers/byte_level.rs`.
 */
import { characterOfByte } from '../byte-alphabet.ts';
import { asBoolean, booleanOr, type JsonObject } from '../json-checks.ts';
import { nextWord } from './byte-level-words.ts';
import type { OnWord, Splitter } from './splitter.ts';

/** The fields of ByteLevel. */
export interface ByteLevelSettings {
  /** Whether text that does not begin with a space gets one in front. */
  readonly addPrefixSpace: boolean;
  /** Whether text is cut into words; otherwise all of it is one. */
  readonly splitWords: boolean;
}

const UTF8 = new TextEncoder();

export class ByteLevelSplitter implements Splitter {
  readonly settings: ByteLevelSettings;

  constructor(settings: ByteLevelSettings) {
    this.settings = settings;
  }

  /** The text as UTF-8, with the space in front. */
  bytesOf(text: string): Uint8Array {
    return UTF8.encode(this.settings.addPrefixSpace && !text.startsWith(' ') ? ` ${text}` : text);
  }

  split(text: string, onWord: OnWord): void {
    const bytes = this.bytesOf(text);
    for (let pos = 0; pos < bytes.length; ) {
      const next = this.settings.splitWords ? nextWord(bytes, pos, bytes.length) : bytes.length;
      let word = '';
      for (; pos < next; pos++) word += characterOfByte(bytes[pos]!);
      onWord(word);
    }
  }
}

/** Reads the fields of ByteLevel; `trim_offsets` concerns offsets, which this package does not give. */
export function readByteLevelSplitter(fields: JsonObject, where: string): ByteLevelSplitter {
  return new ByteLevelSplitter({
    addPrefixSpace: asBoolean(fields.add_prefix_space, `${where}.add_prefix_space`),
    splitWords: booleanOr(fields.use_regex, true, `${where}.use_regex`),
  });
}

/**
 * The parts of `tokenizer.json` around the vocabulary, for each kind of tokenizer that is trained here or comes from
 * `vocab.json` and `merges.txt`. With vocabulary and merges in it, `readTokenizer` of `tokenizer-json.ts` reads it.
 */
import type { JsonObject } from './json-checks.ts';
import type { AddedToken } from './tokenizer.ts';

/** The content of tokenizer.json: a header with `model.vocab` and `model.merges`. */
export function withModel(header: JsonObject, vocab: unknown, merges: unknown): JsonObject {
  return { ...header, model: { ...(header.model as JsonObject), vocab, merges } };
}

function header(added: readonly AddedToken[], parts: JsonObject, model: JsonObject): JsonObject {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    ...parts,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      ...model,
    },
  };
}

/** Byte-level BPE; without `splitWords` all text is one word. */
export function byteLevelHeader(added: readonly AddedToken[], splitWords: boolean): JsonObject {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: splitWords };
  return header(added, { normalizer: null, pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel }, {});
}

/** BPE over the characters of words in lower case, of which the last has the suffix `</w>`. */
export function wordSuffixHeader(added: readonly AddedToken[], unkToken: string | null): JsonObject {
  const normalizer = {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  };
  return header(
    added,
    {
      normalizer,
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: null,
      decoder: { type: 'BPEDecoder', suffix: '</w>' },
    },
    { unk_token: unkToken, end_of_word_suffix: '</w>' },
  );
}

/** A character tokenizer's: BPE without merges over unsplit text. */
export function characterHeader(added: readonly AddedToken[]): JsonObject {
  return header(added, { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: 'Fuse' } }, {});
}

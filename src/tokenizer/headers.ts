/**
 * The parts of `tokenizer.json` around the vocabulary, for each kind of tokenizer that is made here rather than loaded.
 * `assemble.ts` turns such a header, a vocabulary and merges into a tokenizer.
 */
import type { JsonObject } from './problem.ts';
import type { AddedToken } from './tokenizer.ts';

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

/** GPT-2's; without `splitWords` the byte tokenizer's. */
export function byteLevelHeader(added: readonly AddedToken[], splitWords: boolean): JsonObject {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: splitWords };
  return header(added, { normalizer: null, pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel }, {});
}

/** GPT-1's, as `transformers` writes it. */
export function gpt1Header(added: readonly AddedToken[], unkToken: string | null): JsonObject {
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

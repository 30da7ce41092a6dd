/** Makes the tokenizer that files describe, of whichever kind. */
import { ByteLevelBPE } from './byte-level-bpe.ts';
import { readCharacters } from './characters.ts';
import { type Description, expectSuffix, expectType, mergesOf } from './describe.ts';
import { readGpt1 } from './gpt1-bpe.ts';
import { asBoolean, asObject, booleanOr, unsupported } from './json-checks.ts';
import type { Tokenizer } from './tokenizer.ts';

export function assemble(description: Description): Tokenizer {
  const { splitter, where } = description;
  if (splitter === 'ByteLevel') return readByteLevel(description);
  if (splitter === 'BertPreTokenizer') return readGpt1(description);
  if (splitter === undefined) return readCharacters(description);
  throw unsupported(`${where}: pre_tokenizer`, 'type none, ByteLevel or BertPreTokenizer', splitter);
}

/** The tokenizer that files describe by `pre_tokenizer` ByteLevel. */
function readByteLevel(description: Description): ByteLevelBPE {
  const { where, header, unknownId } = description;
  expectType(description, 'normalizer', [undefined]);
  expectType(description, 'decoder', ['ByteLevel']);
  expectSuffix(description, '');
  const settings = asObject(header.pre_tokenizer, where);
  return new ByteLevelBPE(description, mergesOf(description), {
    addPrefixSpace: asBoolean(settings.add_prefix_space, `${where}: pre_tokenizer.add_prefix_space`),
    splitWords: booleanOr(settings.use_regex, true, `${where}: pre_tokenizer.use_regex`),
    unknownId,
  });
}

/** Makes the tokenizer that files describe, of whichever kind. */
import { readByteLevel } from './byte-level-bpe.ts';
import { readCharacters } from './characters.ts';
import type { Description } from './describe.ts';
import { readGpt1 } from './gpt1-bpe.ts';
import { unsupported } from './json-checks.ts';
import type { Tokenizer } from './tokenizer.ts';

export function assemble(description: Description): Tokenizer {
  const { splitter, where } = description;
  if (splitter === 'ByteLevel') return readByteLevel(description);
  if (splitter === 'BertPreTokenizer') return readGpt1(description);
  if (splitter === undefined) return readCharacters(description);
  throw unsupported(`${where}: pre_tokenizer`, 'type none, ByteLevel or BertPreTokenizer', splitter);
}

/** Decoders by the `type` that tokenizer.json gives them. */
import { type PartReader, readPart } from '../parts.ts';
import { ByteLevelDecoder } from './byte-level.ts';
import type { Decoder } from './decoder.ts';
import { JoinDecoder } from './join.ts';
import { readSuffixDecoder } from './suffix.ts';

const READERS = new Map<string, PartReader<Decoder, readonly string[]>>([
  ['ByteLevel', (_fields, _where, tokens) => new ByteLevelDecoder(tokens)],
  ['BPEDecoder', readSuffixDecoder],
  ['Fuse', (_fields, _where, tokens) => new JoinDecoder(tokens, '')],
]);

/**
 * Reads `decoder` of tokenizer.json; where there is none, spaces separate the tokens.
 *
 * @param tokens - The tokens by id, as they are decoded.
 */
export function readDecoder(value: unknown, where: string, tokens: readonly string[]): Decoder {
  return readPart(value, READERS, where, tokens) ?? new JoinDecoder(tokens, ' ');
}

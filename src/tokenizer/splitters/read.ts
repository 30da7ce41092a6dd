/** Splitters by the `type` that tokenizer.json gives them. */
import type { JsonObject } from '../json-checks.ts';
import { type PartReader, readPart, readSequence } from '../parts.ts';
import { BertSplitter } from './bert.ts';
import { readByteLevelSplitter } from './byte-level.ts';
import type { Splitter } from './splitter.ts';

const READERS = new Map<string, PartReader<Splitter>>([
  ['ByteLevel', readByteLevelSplitter],
  ['BertPreTokenizer', () => new BertSplitter()],
  ['Sequence', readSplitters],
]);

/** Reads `pre_tokenizer` of tokenizer.json; undefined leaves text in one piece. */
export function readSplitter(value: unknown, where: string): Splitter | undefined {
  return readPart(value, READERS, where, undefined);
}

/** Each one cuts the words of the one before. */
function readSplitters(fields: JsonObject, where: string): Splitter | undefined {
  const [first, ...others] = readSequence(fields, 'pretokenizers', READERS, where, undefined);
  return first && others.reduce(inTurn, first);
}

function inTurn(first: Splitter, second: Splitter): Splitter {
  return { split: (text, onWord) => first.split(text, (word) => second.split(word, onWord)) };
}

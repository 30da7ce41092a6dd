/** Models by the `type` that tokenizer.json gives them. */
import { asString, type JsonObject, unsupported } from '../json-checks.ts';
import { readBPE } from './bpe.ts';
import type { Model, ModelPlaces } from './model.ts';

const READERS = new Map<string, (fields: JsonObject, places: ModelPlaces) => Model>([['BPE', readBPE]]);

/** The `type` of a model. Old files do not have it: the other fields then show which model it is. */
export function modelType(fields: JsonObject, where: string): string {
  const type = fields.type === undefined ? typeByFields(fields) : asString(fields.type, `${where}.type`);
  if (type !== undefined && READERS.has(type)) return type;
  const expected = [...READERS.keys()].map((name) => `"${name}"`).join(' or ');
  throw unsupported(`${where}.type`, expected, type);
}

function typeByFields({ vocab, merges, max_input_chars_per_word }: JsonObject): string | undefined {
  if (Array.isArray(vocab)) return 'Unigram';
  if (merges !== undefined) return 'BPE';
  return max_input_chars_per_word === undefined ? undefined : 'WordPiece';
}

/** Reads `model` of tokenizer.json, which is of type `type`. */
export function readModel(type: string, fields: JsonObject, places: ModelPlaces): Model {
  return READERS.get(type)!(fields, places);
}

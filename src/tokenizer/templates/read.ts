/** Templates by the `type` that tokenizer.json gives them. */
import type { JsonObject } from '../json-checks.ts';
import { type PartReader, readPart, readSequence } from '../parts.ts';
import type { Vocabulary } from '../vocabulary.ts';
import type { Template } from './template.ts';
import { readTemplateProcessing } from './template-processing.ts';

const READERS = new Map<string, PartReader<Template, Vocabulary>>([
  // It corrects offsets, which this package does not give.
  ['ByteLevel', () => undefined],
  ['TemplateProcessing', readTemplateProcessing],
  ['Sequence', readTemplates],
]);

/** Reads `post_processor` of tokenizer.json; undefined adds nothing. */
export function readTemplate(value: unknown, where: string, vocabulary: Vocabulary): Template | undefined {
  return readPart(value, READERS, where, vocabulary);
}

/** Each one adds to what the one before has made. */
function readTemplates(fields: JsonObject, where: string, vocabulary: Vocabulary): Template | undefined {
  const parts = readSequence(fields, 'processors', READERS, where, vocabulary);
  if (parts.length === 0) return undefined;
  return { apply: (ids) => parts.reduce((done, part) => part.apply(done), ids) };
}

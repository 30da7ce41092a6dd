/**
 * Every tokenizer of this package: five parts, one after the other.
 *
 *   text ─ added tokens ─ normalizer ─ splitter ─ model ─ template → ids        ids ─ decoder → text
 *
 * Added tokens are found first; what stands between them goes through normalizer, splitter and model; the template puts
 * special tokens around all ids. Any part but the model may be absent, and then changes nothing.
 */
import { AddedTokens } from './added-tokens.ts';
import { ByteLevelEncoder } from './byte-level-encoder.ts';
import type { Decoder } from './decoders/decoder.ts';
import { IdBuffer } from './id-buffer.ts';
import { type JsonObject, show } from './json-checks.ts';
import { BPE } from './models/bpe.ts';
import { writeMergesTxt } from './models/merge-list.ts';
import type { Model } from './models/model.ts';
import type { Normalizer } from './normalizers/normalizer.ts';
import { type PieceEncoder, WordEncoder } from './piece-encoder.ts';
import { ByteLevelSplitter } from './splitters/byte-level.ts';
import type { Splitter } from './splitters/splitter.ts';
import type { Template } from './templates/template.ts';
import type {
  AddedToken,
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  Tokenizer,
  TokenizerJSON,
  VocabAndMerges,
} from './tokenizer.ts';
import { entriesById, type Vocabulary, writeVocabJson } from './vocabulary.ts';

/** The token that separates documents, where a vocabulary has it. */
export const END_OF_TEXT = '<|endoftext|>';

/** What a tokenizer consists of; a part that is undefined changes nothing. */
export interface PipelineParts {
  readonly added: readonly AddedToken[];
  readonly vocabulary: Vocabulary;
  readonly normalizer: Normalizer | undefined;
  readonly splitter: Splitter | undefined;
  readonly model: Model;
  readonly template: Template | undefined;
  readonly decoder: Decoder;
  /** tokenizer.json without `model.vocab` and `model.merges`, as it is written back. */
  readonly header: JsonObject;
}

/** What encodes pieces of text: the special encoder where it gives the same ids, otherwise the general one. */
function encoderOf({ splitter, model }: Pick<PipelineParts, 'splitter' | 'model'>): PieceEncoder {
  if (splitter instanceof ByteLevelSplitter && model instanceof BPE && ByteLevelEncoder.suits(model)) {
    return new ByteLevelEncoder(splitter, model);
  }
  return new WordEncoder(splitter, model);
}

function vocabAndMergesOf(model: Model): VocabAndMerges {
  return { vocabJson: writeVocabJson(model.ids), mergesTxt: writeMergesTxt(model.mergePairs?.() ?? []) };
}

export class Pipeline implements Tokenizer {
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly endOfText: number | undefined;
  readonly toVocabAndMerges?: () => VocabAndMerges;
  readonly #parts: PipelineParts;
  readonly #added: AddedTokens;
  readonly #encoder: PieceEncoder;
  readonly #specialIds: ReadonlySet<number>;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#added = new AddedTokens(parts.added, parts.normalizer);
    this.#encoder = encoderOf(parts);
    const special = parts.added.filter((token) => token.special).sort((a, b) => a.id - b.id);
    this.specialTokens = new Map(special.map((token) => [token.content, token.id]));
    this.#specialIds = new Set(this.specialTokens.values());
    this.endOfText = this.specialTokens.get(END_OF_TEXT);
    const { splitter, model } = parts;
    // Readers of the two files always split text into words.
    if (splitter && model.mergePairs) this.toVocabAndMerges = () => vocabAndMergesOf(model);
  }

  get vocabSize(): number {
    return this.#parts.vocabulary.size;
  }

  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    if (typeof text !== 'string') throw new TypeError(`encode: expected text as a string, got ${show(text)}.`);
    const out = new IdBuffer(Math.ceil(text.length / 3) + 16);
    this.#added.split(
      text,
      options.allowSpecial ?? true,
      (piece, index) => this.#encoder.encode(piece, out, index),
      (id) => out.push(id),
    );
    const ids = out.finish();
    const { template } = this.#parts;
    return template && (options.addSpecialTokens ?? true) ? template.apply(ids) : ids;
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    const { vocabulary, decoder } = this.#parts;
    const visible = new Uint32Array(ids.length);
    let count = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i];
      if (!vocabulary.has(id)) throw vocabulary.noSuchId(id, `decode, position ${i}`);
      if (!this.#isHidden(id, options)) visible[count++] = id;
    }
    return decoder.decode(visible.subarray(0, count));
  }

  stream(options: DecodeOptions = {}): StreamDecoder {
    const { vocabulary, decoder } = this.#parts;
    const stream = decoder.stream();
    return {
      push: (id) => {
        if (!vocabulary.has(id)) throw vocabulary.noSuchId(id, 'push');
        return this.#isHidden(id, options) ? '' : stream.push(id);
      },
      flush: () => stream.flush(),
    };
  }

  tokenToId(token: string): number | undefined {
    return this.#parts.vocabulary.ids.get(token);
  }

  idToToken(id: number): string | undefined {
    return this.#parts.vocabulary.tokens[id];
  }

  toJSON(): TokenizerJSON {
    const { header, model } = this.#parts;
    const copy = structuredClone(header) as JsonObject & Pick<TokenizerJSON, 'added_tokens'>;
    const vocab = Object.fromEntries(entriesById(model.ids));
    const merges = model.mergePairs?.() ?? [];
    return { ...copy, model: { ...(copy.model as { type: string }), vocab, merges } };
  }

  #isHidden(id: number, options: DecodeOptions): boolean {
    return options.skipSpecialTokens === true && this.#specialIds.has(id);
  }
}

/** Text to token ids and back: loading, training and saving tokenizers. */
export type {
  AddedToken,
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  Tokenizer,
  TokenizerJSON,
  VocabAndMerges,
} from './tokenizer.ts';
export { tokenizerFromJSON } from './tokenizer-json.ts';
export { type TrainTokenizerOptions, trainTokenizer } from './trainers/train.ts';
export { tokenizerFromVocabAndMerges, type VocabAndMergesOptions } from './vocab-and-merges.ts';

/** Text to token ids and back: loading, training and saving tokenizers. */
export { tokenizerFromJSON, tokenizerFromVocabAndMerges, type VocabAndMergesOptions } from './load.ts';
export type {
  AddedToken,
  DecodeOptions,
  EncodeOptions,
  StreamDecoder,
  Tokenizer,
  TokenizerJSON,
  VocabAndMerges,
} from './tokenizer.ts';
export { type TrainTokenizerOptions, trainTokenizer } from './train.ts';

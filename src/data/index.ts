/** Text as training data. */
export type { BatchRequest, BatchShape, Dataset, TokenBatch, TokenSequence } from './batch.ts';
export { type TokenDataset, type TokenDatasetOptions, tokenDataset } from './tokens.ts';

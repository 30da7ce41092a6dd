/** Text as training data. */
export { type TokenDataset, type TokenDatasetOptions, tokenDataset } from './tokens.ts';

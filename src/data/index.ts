export { type TokenDataset, type TokenDatasetOptions, tokenDataset } from './tokens.ts';

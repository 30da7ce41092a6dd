/** Measuring models: loss, perplexity, logits. */
export { type LogitsPiece, logitsOf, writeLogits } from './logits.ts';
export { type ScoreOptions, type ScoreResult, scoreTokens } from './score.ts';

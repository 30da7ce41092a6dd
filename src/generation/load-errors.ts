/** Why a folder is no model with a tokenizer, in words. */
import { CheckpointError } from '../errors.ts';
import type { Directory } from '../files/index.ts';

export function tokenizerTooLarge(
  { name }: Directory,
  config: { readonly vocabSize: number },
  tokenizer: { readonly vocabSize: number },
): CheckpointError {
  return new CheckpointError(
    `${name}: expected a tokenizer of at most ${config.vocabSize} tokens (config.json: vocab_size), got ${tokenizer.vocabSize}. Use the tokenizer that the model was trained with.`,
    { file: `${name}/config.json` },
  );
}

export function tokenizerMissing({ name }: Directory): CheckpointError {
  return new CheckpointError(
    `${name}: expected tokenizer.json, or vocab.json and merges.txt, got neither. Copy them from where the model comes from, or use loadCausalLM for token ids alone.`,
    { file: name },
  );
}

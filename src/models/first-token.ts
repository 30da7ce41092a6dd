/** The least that a program does with a model: what the benchmark's `start` measures. */
import type { Directory } from '../files/index.ts';
import { Session } from './inference/session.ts';
import { type LoadOptions, loadCausalLM } from './load.ts';

/** Tokens that are read before the first one is written. */
export const PROMPT_TOKENS = 16;

/** Loads a model and lets it read a short prompt; the id of the likeliest next token. */
export async function firstToken(source: string | URL | Directory, options: LoadOptions): Promise<number> {
  const model = await loadCausalLM(source, options);
  try {
    const { blockSize, vocabSize } = model.config;
    const tokens = Int32Array.from({ length: Math.min(PROMPT_TOKENS, blockSize) }, (_, i) => i % vocabSize);
    const session = await Session.create(model, { capacity: tokens.length });
    const [logits] = await session.append([{ tokens }]);
    return logits!.reduce((best, value, id) => (value > logits![best]! ? id : best), 0);
  } finally {
    model.dispose();
  }
}

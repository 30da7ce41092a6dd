// What all inference peers do, so that they do the same: prefill of `prompt` tokens, or decode steps behind them.
// task: { folder, mode: 'prefill' | 'decode', prompt, tokens, sequences = 1, vocabSize, … }
import { readFileSync } from 'node:fs';
import { serveSamples } from './protocol.mjs';

/**
 * The tokens at `count` positions from `first` of sequence `slot`: arbitrary, the same for every engine. All are words of their
 * own, so that their text gives these tokens again (some engines take nothing else).
 */
export function tokensAt(task, count, first, slot = 0) {
  words ??= readWords(task.folder);
  return Array.from({ length: count }, (_, i) => words[((first + i) * 7919 + slot * 104729) % words.length]);
}
let words;

/** The tokens of a tokenizer.json that are a space and letters: { id, text } */
function readWords(folder) {
  const { vocab } = JSON.parse(readFileSync(`${folder}/tokenizer.json`, 'utf8')).model;
  return Object.entries(vocab)
    .filter(([token]) => /^Ġ[a-z]{3,}$/.test(token))
    .map(([token, id]) => ({ id, text: token.replace('Ġ', ' ') }));
}

/** What a sample is checked by: the likeliest next token and the logarithm of its probability. */
export function likeliest(logits) {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i] > logits[best]) best = i;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - logits[best]);
  return showLikeliest(best, -Math.log(sum));
}
export const showLikeliest = (token, logProbability) => `${token}: ${logProbability.toFixed(4)}`;

/** Steps that are not timed before those that are. */
export const WARM_STEPS = 4;

/**
 * @param {string} ready
 * @param {object} task
 * @param {object} engine
 * @param {(groups: { tokens: Int32Array, position: number, slot: number }[]) => Promise<unknown>} engine.append
 *   appends to each sequence and computes the logits behind its last token; position 0 starts it anew
 * @param {(last: unknown) => Promise<ArrayLike<number>>} engine.logits of the last group, from what `append` returned
 */
export async function serveInference(ready, task, { append, logits }) {
  const { mode, prompt, tokens, sequences = 1 } = task;
  const name = sequences === 1 ? ready : `${ready}, ${sequences} sequences`;
  const at = (count, position) =>
    Array.from({ length: sequences }, (_, slot) => {
      const tokens = Int32Array.from(tokensAt(task, count, position, slot), ({ id }) => id);
      return { tokens, position, slot };
    });
  let checked;
  const result = async (start, end, units, last) => {
    checked ??= likeliest(await logits(last)); // once: it is not free everywhere
    return { seconds: (end - start) / 1000 / units, check: checked };
  };
  if (mode === 'prefill') {
    await append(at(prompt, 0));
    await serveSamples(name, async () => {
      const start = performance.now();
      const last = await append(at(prompt, 0));
      return result(start, performance.now(), prompt * sequences, last);
    });
  } else {
    await serveSamples(name, async () => {
      await append(at(prompt, 0));
      let position = prompt;
      let last;
      for (const end = prompt + WARM_STEPS; position < end; position++) last = await append(at(1, position));
      const start = performance.now();
      for (const end = position + tokens; position < end; position++) last = await append(at(1, position));
      return result(start, performance.now(), tokens * sequences, last);
    });
  }
  process.exit(0);
}

// How soon the example answers in workerd: the first token of the first request, which loads the model, and of later ones.
// Fails when a later one takes more than 300 ms at the median. Usage: node examples/edge-worker/bench.mjs [model folder]
// WORKERD names the program, as for workerd.mjs.
import { startWorkerd } from './workerd.mjs';

const LIMIT_MILLISECONDS = 300;
const RUNS = 21;
// About 60 tokens of its tokenizer.
const prompt =
  'Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my purse, and nothing particular to interest me on shore, I thought I would sail about a little and see the watery part of the world.';

const [folder = 'out/edge-model'] = process.argv.slice(2);
const { url, child } = await startWorkerd({ program: process.env.WORKERD ?? 'workerd', folder });

/** Milliseconds from the request to its first token, and to its end. @param {number} seed */
async function measure(seed) {
  const start = performance.now();
  const body = JSON.stringify({ prompt, max_tokens: 32, seed });
  const response = await fetch(url, { method: 'POST', body });
  if (!response.ok || !response.body) throw new Error(await response.text());
  const reader = response.body.getReader();
  await reader.read();
  const first = performance.now() - start;
  while (!(await reader.read()).done);
  return { first, all: performance.now() - start };
}

try {
  const cold = await measure(0);
  const warm = [];
  for (let run = 1; run <= RUNS; run++) warm.push(await measure(run));
  const firsts = warm.map(({ first }) => first).sort((a, b) => a - b);
  const [fastest = 0, median = 0, slowest = 0] = [firsts[0], firsts[(RUNS - 1) / 2], firsts[RUNS - 1]];
  const rate = (31 * RUNS * 1000) / warm.reduce((sum, { first, all }) => sum + all - first, 0);
  console.log(`first token, model not loaded: ${cold.first.toFixed(0)} ms`);
  console.log(
    `first token, warm: ${median.toFixed(0)} ms (${fastest.toFixed(0)} to ${slowest.toFixed(0)}, ${RUNS} runs)`,
  );
  console.log(`tokens/s after it: ${rate.toFixed(0)}`);
  if (median > LIMIT_MILLISECONDS)
    throw new Error(`expected a first token within ${LIMIT_MILLISECONDS} ms, got ${median.toFixed(0)} ms`);
} finally {
  child.kill();
}

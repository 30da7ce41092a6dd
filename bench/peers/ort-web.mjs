// onnxruntime-web (wasm) on a graph of make_onnx.py, with a key-value cache.
// task: that of inference.mjs with { model: 'gpt2.onnx', form, nHead, nEmbd, threads }
import { readFile } from 'node:fs/promises';
import * as ort from 'onnxruntime-web';
import { serveInference } from './inference.mjs';

const task = JSON.parse(process.argv[2]);
ort.env.wasm.numThreads = task.threads;
ort.env.logLevel = 'error';
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(task.model)), {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'all',
});
const { nHead, nEmbd, sequences = 1 } = task;
const tensor = (values, count) => new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [sequences, count]);
const pasts = session.inputNames.filter((name) => name.startsWith('past'));
/** Keys and values of a layer in one tensor, or a tensor each. */
const empty = (name) =>
  new ort.Tensor('float32', new Float32Array(0), [
    ...(/^past_\d/.test(name) ? [2] : []),
    sequences,
    nHead,
    0,
    nEmbd / nHead,
  ]);

let state;
/** All sequences get equally many tokens at the same position, which is what the graph's batch can do. */
async function append(groups) {
  const [{ tokens, position }] = groups;
  const ids = groups.flatMap((group) => [...group.tokens]);
  const positions = groups.flatMap(() => Array.from(tokens, (_, i) => position + i));
  const feeds = { input_ids: tensor(ids, tokens.length), position_ids: tensor(positions, tokens.length) };
  for (const name of pasts) feeds[name] = position === 0 ? empty(name) : state[name.replace('past', 'present')];
  state = await session.run(feeds);
  return state.logits;
}
const { web } = ort.env.versions;
await serveInference(`onnxruntime-web ${web} ${task.form ?? 'f32'}, node ${process.versions.node}`, task, {
  append,
  logits: ({ data }) => data.subarray(-task.vocabSize),
});

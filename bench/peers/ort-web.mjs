// onnxruntime-web peer (wasm): prefill of `prompt` tokens or one decode step behind `past` positions, per line of input.
// usage: ort-web.mjs '{"model":"gpt2.onnx","mode":"prefill","prompt":512,"nLayer":12,"nHead":12,"nEmbd":768,"threads":1}'
import { readFile } from 'node:fs/promises';
import * as ort from 'onnxruntime-web';
import { serveSamples } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
ort.env.wasm.numThreads = task.threads;
ort.env.logLevel = 'error';
const session = await ort.InferenceSession.create(new Uint8Array(await readFile(task.model)), {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'all',
});
const headSize = task.nEmbd / task.nHead;
const ids = (count, first) => {
  const tokens = BigInt64Array.from({ length: count }, (_, i) => BigInt(((first + i) * 7919) % task.vocabSize));
  return new ort.Tensor('int64', tokens, [1, count]);
};
const positions = (count, first) =>
  new ort.Tensor(
    'int64',
    BigInt64Array.from({ length: count }, (_, i) => BigInt(first + i)),
    [1, count],
  );
const empty = () => new ort.Tensor('float32', new Float32Array(0), [2, 1, task.nHead, 0, headSize]);

async function run(count, first, past) {
  const feeds = { input_ids: ids(count, first), position_ids: positions(count, first) };
  for (let i = 0; i < task.nLayer; i++) feeds[`past_${i}`] = past ? past[`present_${i}`] : empty();
  return session.run(feeds);
}
const checksum = ({ logits }) => logits.data[task.vocabSize >> 1];

let sample;
if (task.mode === 'prefill') {
  await run(task.prompt, 0);
  sample = async () => {
    const start = performance.now();
    const out = await run(task.prompt, 0);
    return { seconds: (performance.now() - start) / 1000 / task.prompt, check: checksum(out) };
  };
} else {
  sample = async () => {
    let state = await run(task.prompt, 0);
    for (let i = 0; i < 4; i++) state = await run(1, task.prompt + i, state);
    const start = performance.now();
    for (let i = 0; i < task.tokens; i++) state = await run(1, task.prompt + 4 + i, state);
    return { seconds: (performance.now() - start) / 1000 / task.tokens, check: checksum(state) };
  };
}
await serveSamples(`onnxruntime-web ${ort.env.versions.web}, node ${process.versions.node}`, sample);
process.exit(0);

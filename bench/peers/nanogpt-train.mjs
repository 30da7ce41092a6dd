// @genai-fi/nanogpt, a GPT trainer on tfjs, in Node on its cpu backend (the others want a GPU): one step of its trainer with its
// AdamW, without clipping, for which this backend has no kernel. Its model has RMS norms and no biases: a little less work.
// task: { nLayer, nHead, nEmbd, blockSize, vocabSize, batchSize, warmup }
import { readdirSync } from 'node:fs';
import { serveSamples, versionOf } from './protocol.mjs';

const { nLayer, nHead, nEmbd, blockSize, vocabSize, batchSize, warmup = 1 } = JSON.parse(process.argv[2]);
const log = console.log;
console.log = console.error; // it logs the backend; standard output is the protocol's
const dist = new URL('./node_modules/@genai-fi/nanogpt/dist/', import.meta.url);
const part = (name) => import(new URL(name, dist).href);
// The package is built for browsers: where its tfjs sees Node it asks for node:util, which is not in the bundle.
globalThis.WorkerGlobalScope ??= class {};
const { models } = await part('main.js');
const { selectBackend } = await part('backend.js');
await selectBackend('cpu');
const { default: BasicTrainer } = await part('training/BasicTrainer.js');

// The package brings its own tfjs and exports no tensors. Its functions have short names; this one is known by its message.
const bundles = await Promise.all(
  readdirSync(dist)
    .filter((name) => /^dist-.*\.js$/.test(name))
    .map(part),
);
const tensor2d = bundles
  .flatMap((bundle) => Object.values(bundle))
  .find((value) => typeof value === 'function' && String(value).includes('tensor2d() requires'));

const model = new models.NanoGPTV1({
  nLayer,
  nHead,
  nEmbed: nEmbd,
  blockSize,
  vocabSize,
  mlpFactor: 4,
  useRope: false,
});
const trainer = new BasicTrainer(model, undefined, {
  learningRate: 1e-4,
  beta2: 0.95,
  weightDecay: 0.1,
  warmupSteps: 0,
});
const ids = (f) =>
  tensor2d(
    Int32Array.from({ length: batchSize * blockSize }, (_, i) => f((i * 7919) % vocabSize)),
    [batchSize, blockSize],
    'int32',
  );
const batch = { xs: ids((id) => id), ys: ids((id) => (id * 31 + 7) % vocabSize) };
async function step() {
  const loss = trainer.trainStep({}, batch);
  const [value] = await loss.data();
  loss.dispose();
  return value;
}
for (let i = 0; i < warmup; i++) await step();
console.log = log;
await serveSamples(
  `@genai-fi/nanogpt ${versionOf('@genai-fi/nanogpt')}, tfjs cpu, node ${process.versions.node}`,
  async () => {
    const start = performance.now();
    const loss = await step();
    return { seconds: (performance.now() - start) / 1000, loss };
  },
);
process.exit(0);

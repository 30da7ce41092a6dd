// tfjs peer: one AdamW-like (Adam) training step of a GPT-2 of the given shape on the wasm or cpu backend.
// The wasm backend has no gradient of gather, so tokens enter as one-hot rows times the table (as its users do).
import * as tf from '@tensorflow/tfjs';
import { serveSamples } from './protocol.mjs';

const { nLayer, nHead, nEmbd, blockSize, vocabSize, batchSize, backend, warmup = 1 } = JSON.parse(process.argv[2]);
if (backend === 'wasm') {
  const { setThreadsCount, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths(new URL('./node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url).pathname);
  setThreadsCount(1);
} // the cpu backend comes with tfjs
await tf.setBackend(backend);
await tf.ready();

const headSize = nEmbd / nHead;
const normal = (shape, std = 0.02) => tf.variable(tf.randomNormal(shape, 0, std, 'float32', 1));
const constant = (shape, value) => tf.variable(tf.fill(shape, value));
const dense = (from, to) => ({ w: normal([from, to]), b: constant([to], 0) });
const norm = () => ({ g: constant([nEmbd], 1), b: constant([nEmbd], 0) });
const wte = normal([vocabSize, nEmbd]);
const wpe = normal([blockSize, nEmbd]);
const blocks = Array.from({ length: nLayer }, () => ({
  ln1: norm(),
  qkv: dense(nEmbd, 3 * nEmbd),
  proj: dense(nEmbd, nEmbd),
  ln2: norm(),
  fc: dense(nEmbd, 4 * nEmbd),
  out: dense(4 * nEmbd, nEmbd),
}));
const lnf = norm();
const mask = tf.tensor2d(
  Array.from({ length: blockSize }, (_, i) => Array.from({ length: blockSize }, (_, j) => (j <= i ? 0 : -1e9))),
);

const layerNorm = (x, { g, b }) => {
  const { mean, variance } = tf.moments(x, -1, true);
  return x.sub(mean).mul(variance.add(1e-5).rsqrt()).mul(g).add(b);
};
const linear = (x, { w, b }) => tf.matMul(x, w).add(b);
const gelu = (x) =>
  x.mul(0.5).mul(
    x
      .add(x.mul(x).mul(x).mul(0.044715))
      .mul(Math.sqrt(2 / Math.PI))
      .tanh()
      .add(1),
  );
const heads = (x) => x.reshape([batchSize, blockSize, nHead, headSize]).transpose([0, 2, 1, 3]);

const ids = Array.from({ length: batchSize * blockSize }, (_, i) => (i * 7919) % vocabSize);
const tokens = tf.oneHot(tf.tensor1d(ids, 'int32'), vocabSize).toFloat();
const targets = tf
  .oneHot(
    tf.tensor1d(
      ids.map((id) => (id * 31 + 7) % vocabSize),
      'int32',
    ),
    vocabSize,
  )
  .toFloat();

function loss() {
  let x = tf.matMul(tokens, wte).reshape([batchSize, blockSize, nEmbd]).add(wpe).reshape([-1, nEmbd]);
  for (const block of blocks) {
    const [q, k, v] = tf.split(linear(layerNorm(x, block.ln1), block.qkv), 3, -1).map(heads);
    const scores = tf
      .matMul(q, k, false, true)
      .mul(1 / Math.sqrt(headSize))
      .add(mask);
    const mixed = tf.matMul(tf.softmax(scores), v).transpose([0, 2, 1, 3]).reshape([-1, nEmbd]);
    x = x.add(linear(mixed, block.proj));
    x = x.add(linear(gelu(linear(layerNorm(x, block.ln2), block.fc)), block.out));
  }
  const logits = tf.matMul(layerNorm(x, lnf), wte, false, true);
  return tf.losses.softmaxCrossEntropy(targets, logits);
}

const optimizer = tf.train.adam(1e-4, 0.9, 0.95, 1e-8);
async function step() {
  const value = optimizer.minimize(loss, true);
  const [number] = await value.data();
  value.dispose();
  return number;
}
for (let i = 0; i < warmup; i++) await step();
await serveSamples(`tfjs-${backend} ${tf.version.tfjs}, node ${process.versions.node}`, async () => {
  const start = performance.now();
  const value = await step();
  return { seconds: (performance.now() - start) / 1000, loss: value };
});
process.exit(0);

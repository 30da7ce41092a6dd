// tfjs on its wasm backend: one matMul of two tensors that stay there.
// task: { m, n, k, threads }
import * as tf from '@tensorflow/tfjs';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import { matrices, timeProduct } from './gemm-data.mjs';
import { serveSamples } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const { m, n, k, threads } = task;
setWasmPaths(new URL('./node_modules/@tensorflow/tfjs-backend-wasm/dist/', import.meta.url).pathname);
setThreadsCount(threads);
await tf.setBackend('wasm');
const { a, b } = matrices(task);
const [left, right] = [tf.tensor2d(a, [m, k]), tf.tensor2d(b, [k, n])];
tf.matMul(left, right).dispose();
await serveSamples(`tfjs-wasm ${tf.version.tfjs}, node ${process.versions.node}`, async () => {
  const { seconds } = await timeProduct(() => tf.matMul(left, right).dispose());
  const out = tf.matMul(left, right);
  const check = (await out.data()).at(-1);
  out.dispose();
  return { seconds, check };
});
process.exit(0);

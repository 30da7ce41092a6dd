// onnxruntime-web (wasm): a graph of one MatMul, its weight a constant, so that it is packed when the graph is loaded.
// task: { m, n, k, threads }
import * as ort from 'onnxruntime-web';
import { matrices, timeProduct } from './gemm-data.mjs';
import { serveSamples } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const { m, n, k } = task;
ort.env.wasm.numThreads = task.threads;
ort.env.logLevel = 'error';
const { a, b } = matrices(task);

// An ONNX file is a protocol buffer: fields of (number, bytes) or (number, integer).
const varint = (value) => (value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]);
const integer = (field, value) => Buffer.from([...varint(field * 8), ...varint(value)]);
const bytes = (field, ...parts) => {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
};
const FLOAT = 1;
const value = (name, shape) => {
  const dimensions = shape.map((size) => bytes(1, integer(1, size)));
  return [bytes(1, name), bytes(2, bytes(1, integer(1, FLOAT), bytes(2, ...dimensions)))];
};
const graph = bytes(
  7,
  bytes(1, bytes(1, 'a'), bytes(1, 'b'), bytes(2, 'c'), bytes(4, 'MatMul')),
  bytes(2, 'product'),
  bytes(5, integer(1, k), integer(1, n), integer(2, FLOAT), bytes(8, 'b'), bytes(9, Buffer.from(b.buffer))),
  bytes(11, ...value('a', [m, k])),
  bytes(12, ...value('c', [m, n])),
);
const model = Buffer.concat([integer(1, 8), graph, bytes(8, integer(2, 17))]);

const session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ['wasm'] });
const feeds = { a: new ort.Tensor('float32', a, [m, k]) };
await session.run(feeds);
await serveSamples(`onnxruntime-web ${ort.env.versions.web}, node ${process.versions.node}`, async () => {
  const { seconds, out } = await timeProduct(() => session.run(feeds));
  return { seconds, check: out.c.data.at(-1) };
});
process.exit(0);

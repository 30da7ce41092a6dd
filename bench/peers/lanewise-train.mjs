// lanewise: one training step of a GPT-2 of the given shape, one sample per line of standard input. See pytorch_train.py.
import { describe, lanewise } from './lanewise.mjs';
import { serveSamples } from './protocol.mjs';

const { causalLanguageModel, createModel, Trainer } = await lanewise();
const { batchSize, threads, precision, warmup = 2, ...shape } = JSON.parse(process.argv[2]);
const dropout = { embdDropout: 0, attnDropout: 0, residDropout: 0 };
const model = await createModel('gpt2', { ...shape, ...dropout, seed: 1, threads, precision });
let state = 1;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const tokens = Array.from({ length: batchSize }, () =>
  Int32Array.from({ length: shape.blockSize + 1 }, () => Math.floor(random() * shape.vocabSize)),
);
const batch = tokens.map((row) => ({ tokens: row.subarray(0, -1), targets: row.subarray(1) }));
const dataset = { batch: () => batch, fingerprint: 'random' };
const trainer = new Trainer(causalLanguageModel(model), dataset, {
  batchSize,
  steps: 1e9,
  learningRate: 1e-4,
  warmupSteps: 0,
  schedule: 'constant',
});
const steps = trainer.run();
for (let i = 0; i < warmup; i++) await steps.next();
await serveSamples(describe(model.engine.info), async () => {
  const start = performance.now();
  const { value } = await steps.next();
  return { seconds: (performance.now() - start) / 1000, loss: value.loss };
});
process.exit(0);

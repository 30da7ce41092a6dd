// lanewise: prefill and decoding by a Session, as `generate` and `generateBatch` use it, without sampling.
// task: that of inference.mjs with { folder, dtype = 'f32', precision, threads }
import { serveInference } from './inference.mjs';
import { describe, lanewise } from './lanewise.mjs';

const task = JSON.parse(process.argv[2]);
const { folder, dtype = 'f32', precision, threads, sequences = 1 } = task;
const { loadModel, Session } = await lanewise();
const { model } = await loadModel(folder, { threads, precision, ...(dtype === 'f32' ? {} : { dtype }) });
if (dtype !== 'f32' && model.dtype !== dtype) {
  console.log(JSON.stringify({ missing: `this build of lanewise has no ${dtype}` }));
  process.exit(0);
}
const capacity = task.prompt + (task.tokens ?? 0) + 8;
const session = await Session.create(model, { sequences, capacity, maxRows: 512 });
const memory = new Float32Array(sequences * model.config.vocabSize);
await serveInference(describe(model.engine.info, dtype), task, {
  append: (groups) => session.append(groups, { logits: memory }),
  logits: (all) => all.at(-1),
});

// lanewise: the same work as ort-web.mjs, on the model folder that its graph was built from.
import { loadGPT, Session } from '../../dist/index.js';
import { serveSamples } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const model = await loadGPT(task.folder, { threads: task.threads, precision: task.precision });
const ids = (count, first) => Int32Array.from({ length: count }, (_, i) => ((first + i) * 7919) % task.vocabSize);
const capacity = task.prompt + (task.tokens ?? 0) + 8;
const session = await Session.create(model, { capacity, maxRows: 512 });
const run = (count, first) => session.append([{ tokens: ids(count, first), position: first }]);
const checksum = ([logits]) => logits[task.vocabSize >> 1];

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
    await run(task.prompt, 0);
    let out;
    for (let i = 0; i < 4; i++) out = await run(1, task.prompt + i);
    const start = performance.now();
    for (let i = 0; i < task.tokens; i++) out = await run(1, task.prompt + 4 + i);
    return { seconds: (performance.now() - start) / 1000 / task.tokens, check: checksum(out) };
  };
}
const { binary, runtime } = model.engine.info;
await serveSamples(`lanewise ${binary}, ${runtime}`, sample);
process.exit(0);

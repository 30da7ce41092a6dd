// Native llama.cpp: node-llama-cpp's prebuilt CPU library, which picks the code for this CPU when it loads. Batches go to
// llama_decode as they are, without sampling.
// task: that of inference.mjs with { model: 'gpt2-q8_0.gguf', type, flashAttention = true, threads }
import { getLlama, LlamaLogLevel } from 'node-llama-cpp';
import { serveInference } from './inference.mjs';
import { versionOf } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const { threads, sequences = 1, flashAttention = true } = task;
const llama = await getLlama({
  gpu: false,
  build: 'never',
  skipDownload: true,
  maxThreads: threads,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: task.model, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Math.max(512, task.prompt + (task.tokens ?? 0) + 8),
  batchSize: 512,
  sequences,
  threads: { min: threads, ideal: threads },
  flashAttention,
});
// The package's own loop samples; its binding does not have to.
const { _ctx: binding } = context;
binding.setThreads(threads);
const sampler = new llama._bindings.AddonSampler(model._model);
sampler.applyConfig({ temperature: 0 });

async function append(groups) {
  const rows = groups.reduce((sum, { tokens }) => sum + tokens.length, 0);
  if (rows > 512) {
    // more rows than one batch takes: one sequence after the other
    let last;
    for (const group of groups) last = await append([group]);
    return last;
  }
  binding.initBatch(rows);
  let last;
  for (const { tokens, position, slot } of groups) {
    if (position === 0) binding.disposeSequence(slot);
    last = binding.addToBatch(slot, position, Uint32Array.from(tokens), Uint32Array.of(tokens.length - 1));
  }
  await binding.decodeBatch();
  return last[0];
}

async function logits(last) {
  const [, , , pairs] = await binding.sampleToken(last, sampler, false, false, true);
  const values = new Float32Array(task.vocabSize);
  for (let i = 0; i < pairs.length; i += 2) values[pairs[i]] = pairs[i + 1];
  return values;
}

const form = `${task.type}${flashAttention ? ', flash attention' : ''}`;
await serveInference(`llama.cpp native ${form} (node-llama-cpp ${versionOf('node-llama-cpp')})`, task, {
  append,
  logits,
});

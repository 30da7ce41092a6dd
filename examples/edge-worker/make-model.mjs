// Makes the example's model: 10M parameters in q8 with a tokenizer learned from a text. Its weights are drawn, not trained:
// it shows speed and memory, not language. Replace it with any q8 folder (`lanewise quantize`).
// Usage: node examples/edge-worker/make-model.mjs text.txt [model folder]
import { readFileSync } from 'node:fs';
import { createModel, loadModel, memoryDirectory, trainTokenizer } from 'lanewise';

const [file, folder = 'out/edge-model'] = process.argv.slice(2);
if (!file) throw new Error('make-model: expected a text file to learn a tokenizer from, got none.');
const tokenizer = await trainTokenizer(readFileSync(file, 'utf8'), { kind: 'byte-level-bpe', vocabSize: 8192 });
const { vocabSize } = tokenizer;
const shape = { nLayer: 6, nHead: 5, nEmbd: 320, blockSize: 256, vocabSize };
const model = await createModel('gpt2', { ...shape, seed: 1, initializerRange: 0.1 });
const whole = memoryDirectory();
await model.save(whole, { tokenizer });
model.dispose();
const q8 = await loadModel(whole, { dtype: 'q8' });
await q8.save(folder);
console.log(`${folder}: ${q8.model.parameters.count} parameters, ${vocabSize} tokens`);
q8.dispose();

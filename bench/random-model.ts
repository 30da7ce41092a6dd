// Writes a GPT-2 folder of a published size with random weights in F16, for trying sizes that nobody wants to download.
// usage: node bench/random-model.ts 124M|355M|774M|1.5B FOLDER      (Node 22.18 or later; 1.5B takes 3.1 GB of disk)
import { drawFolder } from '../src/benchmark/draw.ts';
import { openDirectory } from '../src/files/index.ts';
import { completeConfig } from '../src/models/create.ts';
import { gpt2 } from '../src/models/gpt2/family.ts';
import { GPT2_SIZES } from '../src/models/gpt2/sizes.ts';
import { trainTokenizer } from '../src/tokenizer/index.ts';

const [size, folder] = process.argv.slice(2);
if (size === undefined || !Object.hasOwn(GPT2_SIZES, size) || folder === undefined) {
  console.error(`usage: node bench/random-model.ts ${Object.keys(GPT2_SIZES).join('|')} FOLDER`);
  process.exit(2);
}
const directory = await openDirectory(folder);
const config = completeConfig(gpt2, GPT2_SIZES[size as keyof typeof GPT2_SIZES], size);
await drawFolder(directory, { family: gpt2, config }, 'F16');
const tokenizer = await trainTokenizer('The quick brown fox jumps over the lazy dog. '.repeat(20), {
  kind: 'byte-level-bpe',
  vocabSize: 300,
});
await directory.write('tokenizer.json', JSON.stringify(tokenizer.toJSON()));
console.log(`${size} in ${folder}`);

// Writes a GPT-2 folder of a published size with random weights in F16, for trying sizes that nobody wants to download.
// usage: node bench/random-model.ts 124M|355M|774M|1.5B FOLDER      (Node 22.18 or later; 1.5B takes 3.1 GB of disk)
import { openDirectory } from '../src/files/index.ts';
import { completeGPTConfig, formatConfig, modelTensors, saveWeights } from '../src/formats/index.ts';
import { GPT2_SIZES, type GPT2Size } from '../src/models/index.ts';
import { trainTokenizer } from '../src/tokenizer/index.ts';

const [size, folder] = process.argv.slice(2);
if (size === undefined || !Object.hasOwn(GPT2_SIZES, size) || folder === undefined) {
  console.error(`usage: node bench/random-model.ts ${Object.keys(GPT2_SIZES).join('|')} FOLDER`);
  process.exit(2);
}
const config = completeGPTConfig(GPT2_SIZES[size as GPT2Size], size);

/** About a million numbers around 0 with standard deviation 0.02, as f16: uniform bits of mantissa and exponent will do. */
const noise = new Uint16Array((1 << 20) - 3);
let state = 1;
for (let i = 0; i < noise.length; i++) {
  state = (Math.imul(state, 1664525) + 1013904223) | 0;
  noise[i] = ((state >>> 16) & 0x83ff) | (0x2000 + ((state & 1) << 10)); // ± 2^-7 … 2^-5
}

/** Bytes of a tensor: layer norms scale by 1, all else is noise. */
function* chunks(name: string, count: number): Generator<Uint8Array> {
  const values = /\.ln_(1|2|f)\.weight$/.test(name) ? new Uint16Array(noise.length).fill(0x3c00) : noise;
  for (let left = count; left > 0; left -= values.length) {
    const piece = values.subarray(0, Math.min(left, values.length));
    yield new Uint8Array(piece.buffer, 0, piece.length * 2);
  }
}

const directory = await openDirectory(folder);
const entries = modelTensors('gpt2', config).map(({ name, shape }) => {
  const count = shape.reduce((product, extent) => product * extent, 1);
  return { name, dtype: 'F16' as const, shape, chunks: () => chunks(name, count) };
});
await saveWeights(directory, entries);
await directory.write('config.json', formatConfig('gpt2', config));
const tokenizer = await trainTokenizer('The quick brown fox jumps over the lazy dog. '.repeat(20), {
  kind: 'byte-level-bpe',
  vocabSize: 300,
});
await directory.write('tokenizer.json', JSON.stringify(tokenizer.toJSON()));
console.log(`${size} in ${folder}`);

// Encoding a text with GPT-2's vocabulary: lanewise, gpt-tokenizer, native tokenizers, @huggingface/tokenizers.
// The last three are development dependencies of lanewise itself, whose tests compare with them.
// task: { engine, folder, text, fresh }: `fresh` encodes with a tokenizer that has seen nothing, made outside the measured time
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { lanewise } from './lanewise.mjs';
import { serveSamples } from './protocol.mjs';

const { engine, folder, text: file, fresh } = JSON.parse(process.argv[2]);
const require = createRequire(new URL('../../package.json', import.meta.url));
const text = readFileSync(file, 'utf8');
const json = readFileSync(`${folder}/tokenizer.json`, 'utf8');
const engines = {
  async lanewise() {
    const { tokenizerFromJSON } = await lanewise();
    const tokenizer = tokenizerFromJSON(json);
    return (input) => tokenizer.encode(input);
  },
  async 'gpt-tokenizer'() {
    const { encode } = await import('gpt-tokenizer/encoding/r50k_base');
    return encode;
  },
  async tokenizers() {
    const { Tokenizer } = await import('tokenizers');
    const tokenizer = Tokenizer.fromString(json);
    return async (input) => (await tokenizer.encode(input)).getIds();
  },
  async '@huggingface/tokenizers'() {
    const { Tokenizer } = await import('@huggingface/tokenizers');
    const tokenizer = new Tokenizer(JSON.parse(json), {});
    return (input) => tokenizer.encode(input).ids;
  },
};
let encode = await engines[engine]();
await encode(text);
const version = engine === 'lanewise' ? '' : ` ${packageVersion(engine)}`;
await serveSamples(`${engine}${version}${fresh ? ', empty cache' : ''}, node ${process.versions.node}`, async () => {
  if (fresh) encode = await engines[engine]();
  const start = performance.now();
  const ids = await encode(text);
  const seconds = (performance.now() - start) / 1000;
  let hash = 0;
  for (const id of ids) hash = (Math.imul(hash, 31) + id) | 0;
  return { seconds, check: `${ids.length} ids, hash ${hash}` };
});
process.exit(0);

function packageVersion(name) {
  const [folder] = require.resolve.paths(name);
  return JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version;
}

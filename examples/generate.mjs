// Continues a text with any GPT-1 or GPT-2 folder: node examples/generate.mjs out/moby-dick "Call me Ishmael."
import { loadModel } from 'lanewise';

const [folder = 'out/moby-dick', prompt = 'Call me Ishmael.'] = process.argv.slice(2);
const gpt = await loadModel(folder); // config.json + model.safetensors + tokenizer.json
for await (const piece of gpt.generate(prompt, { maxNewTokens: 64, temperature: 0.8, topK: 40, seed: 7 }))
  process.stdout.write(piece);
gpt.dispose();

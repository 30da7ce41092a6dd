// llama.cpp in WebAssembly (wllama), in headless Chromium, one thread. Its interface is a server's: a prompt goes in, generated
// tokens come out, with the server's own times of both. So decoding continues with the likeliest tokens instead of tokensAt's.
// task: that of inference.mjs with { model: 'gpt2-q8_0.gguf', type, flashAttention = true, chromium = '/usr/bin/chromium' }
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { showLikeliest, tokensAt, WARM_STEPS } from './inference.mjs';
import { serveSamples, versionOf } from './protocol.mjs';

const task = JSON.parse(process.argv[2]);
const { model, prompt, mode, tokens = 1, flashAttention = true, chromium: executablePath = '/usr/bin/chromium' } = task;
if (!existsSync(executablePath)) {
  console.log(JSON.stringify({ missing: `no browser at ${executablePath}` }));
  process.exit(0);
}
const packageFolder = new URL('./node_modules/@wllama/wllama/esm/', import.meta.url).pathname;
const files = {
  '/': { type: 'text/html', text: '<!doctype html><title>wllama</title>' },
  '/index.js': { type: 'text/javascript', path: `${packageFolder}index.js` },
  '/wllama.wasm': { type: 'application/wasm', path: `${packageFolder}wasm/wllama.wasm` },
  '/model.gguf': { type: 'application/octet-stream', path: model },
};
const server = createServer((request, response) => {
  const file = files[request.url];
  if (!file) return response.writeHead(404).end();
  response.writeHead(200, {
    'content-type': file.type,
    ...(file.path && { 'content-length': statSync(file.path).size }),
  });
  if (file.path) createReadStream(file.path).pipe(response);
  else response.end(file.text);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));

const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] });
let page;
/** Loads the model on a fresh page. */
async function open() {
  await page?.close();
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate(
    async ({ context, flashAttention }) => {
      const { Wllama } = await import('/index.js');
      const blob = await (await fetch('/model.gguf')).blob();
      globalThis.wllama = new Wllama({ default: '/wllama.wasm' }, { suppressNativeLog: true });
      await globalThis.wllama.loadModel([blob], {
        n_ctx: context,
        n_batch: 512,
        n_ubatch: 512,
        n_threads: 1,
        n_gpu_layers: 0,
        n_parallel: 1,
        flash_attn: flashAttention,
      });
    },
    { context: 1024, flashAttention },
  );
}

/** Half characters may not be generated: the server's answer is JSON, and fails on them. Such tokens have bytes above 0x7f. */
const { vocab } = JSON.parse(readFileSync(`${task.folder}/tokenizer.json`, 'utf8')).model;
const halves = Object.entries(vocab).filter(([token]) => !/^[!-~ĠĊ]+$/.test(token));
const logit_bias = Object.fromEntries(halves.map(([, id]) => [id, -1000]));

/** Completes the text of the first `length` tokens; `timings` are the server's, in milliseconds. */
async function complete(length, count, extra = {}) {
  const options = {
    prompt: tokensAt(task, length, 0)
      .map(({ text }) => text)
      .join(''),
    max_tokens: count,
    temperature: 0,
    cache_prompt: false,
    ignore_eos: true,
    logit_bias,
    ...extra,
  };
  const result = await page.evaluate((options) => globalThis.wllama.createCompletion(options), options);
  const { prompt_n, predicted_n } = result.timings;
  if (prompt_n !== length || predicted_n !== count)
    throw new Error(`wllama: expected ${length} tokens and ${count} more, got ${prompt_n} and ${predicted_n}.`);
  return result;
}
const version = versionOf('@wllama/wllama');
const name = `wllama ${version} ${task.type}${flashAttention ? ', flash attention' : ''}, Chromium ${browser.version()}`;

/** The likeliest token behind the first `length`, on its own: probabilities cost time. Also warms up. */
async function checkOf(length) {
  try {
    const { choices } = await complete(length, 1, { logprobs: 1, n_probs: 1 });
    const [{ id, logprob }] = choices[0].logprobs.content;
    return showLikeliest(id, logprob);
  } catch (error) {
    if (!/Invalid typed array length/.test(error.message)) throw error;
    await open(); // the likeliest is half a character, which the bias does not keep out of this list
    return 'half a character';
  }
}
await open();
const count = WARM_STEPS + tokens;
const check = await checkOf(mode === 'prefill' ? prompt : prompt + count);
await complete(64, 2);
await serveSamples(name, async () => {
  if (mode === 'prefill') {
    const { timings } = await complete(prompt, 1);
    return { seconds: timings.prompt_ms / 1000 / prompt, check };
  }
  const { timings } = await complete(prompt, count);
  // The first token is that of the prompt: its time ends when that of the others starts.
  return { seconds: timings.predicted_ms / 1000 / (count - 1), check };
});
await browser.close();
process.exit(0);

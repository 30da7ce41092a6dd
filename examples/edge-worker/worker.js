/**
 * The example for workerd and Cloudflare Workers. The binding MODEL serves the files of the model's folder: a disk service of
 * workerd (workerd.mjs), static assets of Cloudflare (wrangler.jsonc), or any other Worker.
 */
import { memoryDirectory } from 'lanewise';
import { completions } from './completions.js';

/** Bytes go from the binding to the model's memory through one copy, which is then let go. */
const handle = completions(async (/** @type {{ MODEL: { fetch: typeof fetch } }} */ { MODEL }) => {
  const folder = memoryDirectory();
  for (const name of ['config.json', 'tokenizer.json', 'model.safetensors']) {
    const { ok, status, body } = await MODEL.fetch(`http://model/${name}`);
    if (!ok || !body)
      throw new Error(`MODEL: expected the file ${name}, got HTTP ${status}. Make it with make-model.mjs.`);
    await folder.write(name, /** @type {AsyncIterable<Uint8Array>} */ (/** @type {unknown} */ (body)));
  }
  return folder;
});

export default { fetch: handle };

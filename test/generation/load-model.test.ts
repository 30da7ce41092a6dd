/** Folders with model and tokenizer, and the first program of the README. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { CheckpointError } from '../../src/errors.ts';
import { type Directory, memoryDirectory } from '../../src/files/index.ts';
import { loadModel, loadTokenizer, TextModel } from '../../src/generation/index.ts';
import { Engine } from '../../src/runtime/engine.ts';
import { type Tokenizer, trainTokenizer } from '../../src/tokenizer/index.ts';
import { TINY, tinyModel } from './models.ts';

const TEXT = 'Once upon a time there was a tiny model. Once upon a time it had 512 tokens.';
const OPTIONS = { threads: 1, precision: 'exact' } as const;
let tokenizer: Tokenizer;
let folder: string;

beforeAll(async () => {
  tokenizer = await trainTokenizer(TEXT, { kind: 'byte-level-bpe', vocabSize: 290 });
  folder = await mkdtemp(`${tmpdir()}/lanewise-`);
  using gpt = new TextModel(await tinyModel(), tokenizer);
  await gpt.save(folder);
});
afterAll(() => rm(folder, { recursive: true }));

/** The reference model's own files with others beside them. */
async function withFiles(files: Record<string, string>): Promise<Directory> {
  const own = { 'config.json': await readFile(`${TINY}/config.json`, 'utf8') };
  const weights = await readFile(`${TINY}/model.safetensors`);
  return memoryDirectory({ ...own, 'model.safetensors': new Uint8Array(weights), ...files }, 'folder');
}

describe('kernels', () => {
  it('generating takes those of inference, scoring brings the others, and the texts stay the same', async () => {
    const options = { maxNewTokens: 12, seed: 3 };
    const loadFull = vi.spyOn(Engine.prototype, 'loadFull');
    const gpt = await loadModel(folder, OPTIONS);
    const { text } = await gpt.complete('Once', options);
    expect(loadFull).not.toHaveBeenCalled();
    const { perplexity } = await gpt.score(TEXT);
    expect(loadFull).toHaveBeenCalled();
    loadFull.mockRestore();
    expect((await gpt.complete('Once', options)).text).toBe(text);
    const trainable = await loadModel(folder, { ...OPTIONS, trainable: true });
    expect((await trainable.complete('Once', options)).text).toBe(text);
    expect((await trainable.score(TEXT)).perplexity).toBe(perplexity);
    gpt.dispose();
    trainable.dispose();
  });
});

describe('loadModel', () => {
  it('runs the first program of the README', async () => {
    const out: string[] = [];
    const gpt = await loadModel(folder);
    for await (const piece of gpt.generate('Once upon a time', {
      maxNewTokens: 64,
      temperature: 0.8,
      topK: 40,
      seed: 7,
    }))
      out.push(piece);
    expect(out.join('').length).toBeGreaterThan(32);
    gpt.dispose();
  });

  it('gives what was saved', async () => {
    using gpt = await loadModel(folder, OPTIONS);
    using saved = new TextModel(await tinyModel(), tokenizer);
    const options = { maxNewTokens: 30, seed: 2 };
    const { text, tokenIds } = await gpt.complete('Once', options);
    expect(await saved.complete('Once', options)).toMatchObject({ text, tokenIds });
  });

  it('reads vocab.json and merges.txt where there is no tokenizer.json', async () => {
    const { vocabJson, mergesTxt } = tokenizer.toVocabAndMerges!();
    using gpt = await loadModel(await withFiles({ 'vocab.json': vocabJson, 'merges.txt': mergesTxt }), OPTIONS);
    expect(gpt.tokenizer.encode(TEXT)).toEqual(tokenizer.encode(TEXT));
  });

  it('says what is missing, and what does not fit', async () => {
    const missing = loadModel(await withFiles({ 'vocab.json': '{}' }));
    await expect(missing).rejects.toThrow(
      'folder: expected tokenizer.json, or vocab.json and merges.txt, got neither. Copy them from where the model comes from, or use loadCausalLM for token ids alone.',
    );
    await expect(missing).rejects.toBeInstanceOf(CheckpointError);
    const special = Array.from({ length: 300 }, (_, i) => `<${i}>`);
    const larger = JSON.stringify(await trainTokenizer('', { kind: 'byte', specialTokens: special }));
    const tooLarge = loadModel(await withFiles({ 'tokenizer.json': larger }));
    await expect(tooLarge).rejects.toThrow(
      'folder: expected a tokenizer of at most 512 tokens (config.json: vocab_size), got 556. Use the tokenizer that the model was trained with.',
    );
  });
});

describe('loadTokenizer', () => {
  const plain = { 'vocab.json': '{"a":0,"a</w>":1,"b":2,"b</w>":3}', 'merges.txt': '#version: 0.2\n' };
  const idsOf = async (config: string | undefined, options?: Parameters<typeof loadTokenizer>[1]) => {
    const folder = memoryDirectory(config === undefined ? plain : { ...plain, 'config.json': config });
    return Array.from((await loadTokenizer(folder, options)).encode('ab'));
  };

  it('takes vocab.json and merges.txt for what the family of config.json has, else for byte-level BPE', async () => {
    expect(await idsOf(undefined)).toEqual([0, 2]);
    expect(await idsOf('{"model_type":"gpt2"}')).toEqual([0, 2]);
    expect(await idsOf('{"model_type":"openai-gpt"}')).toEqual([0, 3]);
    expect(await idsOf('{"model_type":"openai-gpt"}', { kind: 'byte-level-bpe' })).toEqual([0, 2]);
  });

  it('reads the tokenizer of a model that is none of the families, or that could not be loaded', async () => {
    for (const config of ['{"model_type":"roberta"}', '{"model_type":5}', '{}'])
      expect(await idsOf(config)).toEqual([0, 2]);
    expect(await idsOf('{"model_type":"openai-gpt","afn":"relu6"}')).toEqual([0, 3]);
    await expect(idsOf('[]')).rejects.toThrow('memory:/config.json: expected a JSON object, got an array.');
  });

  it('refuses the name of a family, which earlier versions took', async () => {
    await expect(idsOf(undefined, 'openai-gpt' as never)).rejects.toThrow(
      'loadTokenizer: expected options, got "openai-gpt". Pass { kind }.',
    );
  });
});
